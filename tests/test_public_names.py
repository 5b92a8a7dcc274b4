"""What the documentation of the first version (commit 02c4058) shows stays importable, and its
examples go on running: the names are read off its README, docstrings and packaging.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import edgernn

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "fixtures" / "version1"
NAMES = [  # module, attribute, the packages without which it cannot be had
    *(  # "From Python", "In CI", and the docstring of the package
        ("edgernn", name, ()) for name in ("Bundle", "CaptionWriter", "EdgernnError", "__version__")
    ),
    *(("edgernn", name, ()) for name in ("assert_parity", "open_session", "verify_bundle")),
    ("edgernn", "load", ("torch",)),
    ("edgernn.export", "export_bundle", ("torch", "onnx")),
    ("edgernn.data.pictures", "load_picture", ()),
    ("edgernn.decoding.sampling", "Sampler", ()),  # "Small and fast"
    ("edgernn.tolerances", "tolerance", ()),  # "The formats, and what is verified on each"
    ("edgernn.cli.app", "main", ()),  # the console script
    ("edgernn.pytest_plugin", "pytest_collect_file", ("pytest",)),  # the entry point of pytest
]


@pytest.mark.parametrize(("module", "attribute", "needs"), NAMES)
def test_a_documented_name_is_importable(
    module: str, attribute: str, needs: tuple[str, ...]
) -> None:
    for package in needs:
        pytest.importorskip(package)
    found = importlib.import_module(module)
    assert getattr(found, attribute) is not None
    assert importlib.import_module(module) is found


def test_a_name_that_was_never_there_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"edgernn\.never"):
        importlib.import_module("edgernn.never")


def test_a_moved_module_is_one_module_under_both_names() -> None:
    old = importlib.import_module("edgernn.pytest_plugin")
    assert old is importlib.import_module("edgernn.testing.pytest_plugin")
    assert old.__spec__ is not None
    assert old.__spec__.name == old.__name__ == "edgernn.testing.pytest_plugin"


def test_the_command_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgernn", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert edgernn.__version__ in done.stdout


def test_the_example_of_a_language_model_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from edgernn.export import export_bundle

    with zipfile.ZipFile(FILES / "run_first.zip") as archive:
        archive.extractall(tmp_path)
    checkpoint = edgernn.load(str(tmp_path / "run_first"))
    assert {"model", "training"} <= set(dir(checkpoint))
    bundle = export_bundle(checkpoint, str(tmp_path / "bundle"), to=["onnx"])
    assert edgernn.verify_bundle(bundle, steps=16).passed
    session = edgernn.open_session(str(tmp_path / "bundle"))
    state = session.initial_state(batch=1)
    tokens = checkpoint.tokenizer.encode("The ")[None]  # [B, T]
    outputs, state = session.step({"tokens": tokens}, state)
    next_token = np.array([[outputs["logits"][0, -1].argmax()]])
    outputs, state = session.step({"tokens": next_token}, state)
    assert outputs["logits"].shape == (1, 1, 32)
    edgernn.assert_parity(str(tmp_path / "bundle"), to="onnx", steps=16)


def test_the_example_of_a_captioner_runs() -> None:
    pytest.importorskip("PIL")
    from edgernn.data.pictures import load_picture

    scene = ROOT / "benchmarks" / "pictures" / "scene.png"
    with edgernn.CaptionWriter(FILES / "captioner_last.edgernn") as writer:
        caption = writer.write(scene, beam=3)
        assert caption.text.startswith("small the")
        assert caption.hypothesis.score < 0
        assert caption.attention is not None
        assert caption.attention.shape == (12, 16)  # [N words, R regions]
        size = writer.sessions.encode.contract.sizes["height"]
        image = load_picture(scene, size)[None]  # [B, S, S, 3]
        contexts, state = writer.sessions.look(image)
        start = np.array([[1]])
        outputs, state = writer.sessions.step.step({"tokens": start, **contexts}, state)
        assert outputs["logits"].shape == (1, 1, 37)


def test_the_example_of_generating_in_the_graph_runs() -> None:
    from edgernn.decoding.sampling import Sampler

    source, path = FILES / "language_last.edgernn", "onnx/generate-int8.onnx"
    generator = edgernn.open_session(source, path)
    sampler = Sampler(temperature=0.8, top_k=20)
    made = generator.generate(np.array([3, 4]), length=20, sampler=sampler, seed=1)
    made = generator.generate(
        made.tokens[-1:], made.state, length=20, sampler=Sampler(), seed=1, position=20
    )
    assert len(made.tokens) == 20
