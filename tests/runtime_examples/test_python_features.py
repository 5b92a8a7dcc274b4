"""The Python example captions from features, as ``edgernn caption`` does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from feature_captioners import (
    DECODING,
    feature_captioner,
    feature_tokenizer,
    features,
)

from edgernn.bundle import Bundle
from edgernn.decoding.captions import search_caption
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.sessions.model import open_model

MAIN = Path(__file__).parents[2] / "runtime_examples" / "python" / "main.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("features")
    given = Checkpoint(feature_captioner(), feature_tokenizer())
    export_bundle(given, out / "b", to=["onnx"], steps=2)
    np.savez(out / "one.npz", **{name: array[4] for name, array in features().items()})
    np.savez(out / "six.npz", **features())
    return out


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(MAIN), "b", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_its_captions_are_the_librarys(folder: Path) -> None:
    with Bundle.open(folder / "b") as bundle:
        row = {name: array[4:5] for name, array in features().items()}
        expected = search_caption(open_model(bundle), row, DECODING)
    done = run(folder, "--features", "one.npz", "--length", "6", "--attention")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["tokens"] == list(expected.tokens)
    np.testing.assert_allclose(found["attention"], expected.outputs["attention"], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "no features were given; expected --features FILE.npz with fc, att; add it"),
        (["--features", "none.npz"], "cannot read the features none.npz"),
        (["--features", "six.npz"], "six.npz has float32 [6, 5] as fc, expected floats [1, 5]"),
        (["--image", "one.npz"], "expected a picture in this example"),
    ],
)
def test_what_it_refuses(arguments: list[str], problem: str, folder: Path) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
