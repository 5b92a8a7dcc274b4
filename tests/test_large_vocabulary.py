"""Twenty thousand words: exporting and verifying hold no table of all positions and all words, and
little memory besides.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("coremltools")  # it exports
_WORDS = 20_000
_POSITIONS = {
    "text": 1_000,
    "captions": 600,
}  # a float64 table of both takes 100 MB and more, and comparing takes several
_MOST_MB = 400  # more than after importing everything; with tables it was 880 and 700
_SCRIPT = r"""
import json, sys, tempfile
from pathlib import Path
import numpy as np, torch
from edgernn.bench.alone import peak_bytes
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.source import ReducedOptions
from edgernn.export.rounding.compression import Budget
from edgernn.export.pack import export_bundle
from edgernn.models.captioner import Captioner, CaptionerConfig
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.parity.verify import verify_bundle

kind, words, positions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
peak_mb = lambda: peak_bytes() / (1 << 20)
torch.manual_seed(0)
random = np.random.default_rng(0)
text = " ".join(f"w{i}" for i in range(words)) + "\n"
tokenizer = Tokenizer.build([text], "word" if kind == "text" else "caption", minimum_count=1)
size = tokenizer.vocabulary_size
if kind == "text":
    model = LanguageModel(LanguageConfig(vocabulary=size, embedding=8, hidden=8, layers=1))
    evaluation = {"tokens": random.integers(0, size, positions + 1)}
else:
    small = {"embedding": 8, "hidden": 8, "keys": 4, "image_size": 32, "length": 6}
    model = Captioner(CaptionerConfig(vocabulary=size, **small))
    captions = np.full((positions // 6, 1, 8), 3)
    captions[:, 0, 1:7] = random.integers(4, size, (positions // 6, 6))
    captions[:, 0, 0], captions[:, 0, 7] = 1, 2
    image = random.integers(0, 256, (len(captions), 32, 32, 3), dtype=np.uint8)
    evaluation = {"image": image, "captions": captions}
before = peak_mb()
options = ReducedOptions(budget=Budget(perplexity=0.5))
with tempfile.TemporaryDirectory() as folder:
    bundle = export_bundle(
        Checkpoint(model.eval(), tokenizer, {}, evaluation), Path(folder) / "b", to="onnx",
        precision=["float32", "int4"], steps=8, options=options,
    )
    exported = peak_mb()
    report = verify_bundle(bundle, steps=8)
    golden = (Path(folder) / "b" / "golden.safetensors").stat().st_size
checks = {f"{a.path} {c.name}": c.status for a in report.artifacts for c in a.checks}
peaks = {"before": before, "exported": exported, "verified": peak_mb()}
print(json.dumps({**peaks, "golden": golden, "checks": checks}))
"""


@pytest.mark.parametrize("kind", ["text", "captions"])
def test_memory_does_not_grow_with_positions_times_words(kind: str) -> None:
    command = [sys.executable, "-c", _SCRIPT, kind, str(_WORDS), str(_POSITIONS[kind])]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["verified"] - found["before"] < _MOST_MB, found
    assert found["golden"] <= 4_000_000
    assert set(found["checks"].values()) == {"passed"}, found["checks"]
