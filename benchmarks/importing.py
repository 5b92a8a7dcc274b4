"""What ``edgernn import`` of a word language model of 56 MB takes: python benchmarks/importing.py

The checkpoint is one of pytorch/examples' word_language_model, the whole object as its ``main.py``
saves it, with random weights, and the corpus has as many words as its vocabulary. The import runs
in a process of its own; its memory is told above the process's peak after its imports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch
from _report import edgernn, table
from torch import nn

_WORDS, _WIDTH, _LAYERS = 33278, 200, 2

_CHILD = """
import json, resource, sys, time
from pathlib import Path
from edgernn.importers import importing
from edgernn.importers.base import Wishes
from edgernn.importers.table import importers
from edgernn.models import language
importers()
unit = 1 if sys.platform == "darwin" else 1024
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
before, began = peak(), time.perf_counter()
wishes = Wishes(vocabulary=Path(sys.argv[2]))
importing.import_checkpoint(sys.argv[1], sys.argv[3], wishes=wishes)
print(json.dumps({"seconds": time.perf_counter() - began, "bytes": peak() - before}))
"""


class RNNModel(nn.Module):
    """As upstream's: its class, its attributes, the names of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.ntoken, self.rnn_type, self.nhid, self.nlayers = _WORDS, "LSTM", _WIDTH, _LAYERS
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.Embedding(_WORDS, _WIDTH)
        self.rnn = nn.LSTM(_WIDTH, _WIDTH, _LAYERS, dropout=0.2)
        self.decoder = nn.Linear(_WIDTH, _WORDS)


def _save(path: Path) -> None:
    """Write the checkpoint, whose class is ``model.RNNModel``."""
    module = ModuleType("model")
    module.RNNModel = RNNModel  # type: ignore[attr-defined]
    RNNModel.__module__ = "model"
    sys.modules["model"] = module
    torch.save(RNNModel(), path)


def _write_corpus(folder: Path) -> None:
    """Write a corpus whose words and <eos> are the vocabulary."""
    folder.mkdir()
    words = [f"word{index}" for index in range(_WORDS - 1)]
    lines = [" ".join(words[at : at + 20]) for at in range(0, len(words), 20)]
    for name in ("train", "valid", "test"):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        file, corpus, out = (Path(scratch) / name for name in ("model.pt", "corpus", "run"))
        _save(file)
        _write_corpus(corpus)
        size = file.stat().st_size
        command = [sys.executable, "-c", _CHILD, str(file), str(corpus), str(out)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        whole = edgernn("import", file, "--vocabulary", corpus, "--out", out)
        seen = edgernn("inspect", file)
    rows = [
        ("the file", f"{size / 1e6:.1f} MB"),
        ("import_checkpoint, vocabulary and invariances included", f"{found['seconds']:.1f} s"),
        (
            "its peak memory above that after the imports, times the file",
            f"{found['bytes'] / size:.1f}",
        ),
        ("edgernn import, from the shell", f"{whole.seconds:.1f} s"),
        ("edgernn inspect", f"{seen.seconds:.1f} s, {seen.peak_bytes / 1e6:.0f} MB"),
    ]
    table(("", "measured"), rows)


if __name__ == "__main__":
    main()
