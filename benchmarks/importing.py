"""What ``edgernn import`` of a word language model of 56 MB takes: python benchmarks/importing.py

The checkpoint is one of pytorch/examples' word_language_model, the whole object as its ``main.py``
saves it, with random weights, and the corpus has as many words as its vocabulary; the same model
also in torch's format before 1.6, and its tensors as safetensors. Each import runs in a process of
its own; its memory is told above the process's peak after its imports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch
from _report import PEAK, edgernn, table
from safetensors.torch import save_model
from torch import nn

_WORDS, _WIDTH, _LAYERS = 33278, 200, 2

_CHILD = f"""
{PEAK}
import json, time
from edgernn.importers import importing
from edgernn.importers.base import Wishes
from edgernn.importers.table import importers
from edgernn.models import language
importers()
before, began, used = peak_bytes(), time.perf_counter(), time.process_time()
wishes = Wishes(vocabulary=Path(sys.argv[2]))
importing.import_checkpoint(sys.argv[1], sys.argv[3], wishes=wishes)
seconds, used = time.perf_counter() - began, time.process_time() - used
print(json.dumps([seconds, used, peak_bytes() - before]))
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


def _save(folder: Path) -> dict[str, Path]:
    """Write the checkpoint, whose class is ``model.RNNModel``, in each container."""
    module = ModuleType("model")
    module.RNNModel = RNNModel  # type: ignore[attr-defined]
    RNNModel.__module__ = "model"
    sys.modules["model"] = module
    network = RNNModel()
    names = {"torch zip": "model.pt", "torch's older format": "old.pt", "safetensors": "model.st"}
    files = {container: folder / name for container, name in names.items()}
    torch.save(network, files["torch zip"])
    torch.save(network, files["torch's older format"], _use_new_zipfile_serialization=False)
    save_model(network, str(files["safetensors"]))
    return files


def _write_corpus(folder: Path) -> None:
    """Write a corpus whose words and <eos> are the vocabulary."""
    folder.mkdir()
    words = [f"word{index}" for index in range(_WORDS - 1)]
    lines = [" ".join(words[at : at + 20]) for at in range(0, len(words), 20)]
    for name in ("train", "valid", "test"):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def _row(container: str, file: Path, corpus: Path, out: Path) -> tuple[str, ...]:
    command = [sys.executable, "-c", _CHILD, str(file), str(corpus), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, used, peak = json.loads(done.stdout)
    size = file.stat().st_size
    whole = edgernn("import", file, "--vocabulary", corpus, "--out", f"{out}-shell")
    seen = edgernn("inspect", file)
    return (
        f"{container}, {size / 1e6:.1f} MB",
        f"{seconds:.1f} s ({used:.1f} s of a core)",
        f"{peak / size:.1f}",
        f"{whole.seconds:.1f} s",
        f"{seen.seconds:.1f} s, {seen.peak_bytes / 1e6:.0f} MB",
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "corpus"
        _write_corpus(corpus)
        files = _save(Path(scratch))
        rows = [
            _row(container, file, corpus, Path(scratch) / f"run{place}")
            for place, (container, file) in enumerate(files.items())
        ]
    headings = (
        "the file",
        "import_checkpoint, vocabulary and invariances included",
        "its peak memory above that after the imports, times the file",
        "edgernn import, from the shell",
        "edgernn inspect",
    )
    table(headings, rows)


if __name__ == "__main__":
    main()
