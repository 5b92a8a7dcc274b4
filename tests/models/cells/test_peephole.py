"""A cell of one's own is one file and one row: the peephole LSTM of ``conftest``, for which torch
has no layer, is trained, exported and verified in every format, and writes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.bundle import Bundle
from edgernn.cli.choices import cell_names
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models import checkpoint
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.models.recurrent import CellStack, make_stack
from edgernn.parity.report.data import VerifyReport
from edgernn.parity.verify import verify_bundle
from edgernn.training.options import TrainOptions
from edgernn.training.run_text import TextSetup, train_text
from edgernn.training.schedule import Budget
from edgernn.writing.text import write_text

ONNX_INT8 = ("onnx", "int8", "step")
TEXT = "the quick brown fox jumps over the lazy dog.\n" * 60


@pytest.fixture(scope="module")
def run(peephole: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a tiny model with it."""
    folder = tmp_path_factory.mktemp("peephole")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    model = {"cell": "peephole", "embedding": 8, "hidden": 16, "layers": 2}
    options = TrainOptions(
        budget=Budget(unit="steps", amount=40),
        batch=4,
        chunk=16,
        evaluations=1,
        threads=1,
        mixed="off",
    )
    train_text(
        str(folder / "text.txt"), folder / "run", options=options, setup=TextSetup(model=model)
    )
    return folder / "run"


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    """The run in ONNX, float32 and int8, TorchScript and Core ML."""
    folder = run.parent / "bundle"
    export_bundle(run, folder, precision=["float32", "int8"], in_graph=True, steps=32)
    return folder


def failed(report: VerifyReport) -> list[tuple[str, str, str]]:
    return [
        (artifact.path, check.name, check.detail)
        for artifact in report.artifacts
        for check in artifact.checks
        if check.status == "failed"
    ]


def reference(x: np.ndarray, state: list[np.ndarray], cell: torch.nn.Module) -> list[np.ndarray]:
    """One step of Gers & Schmidhuber (2000), written again."""
    p = {name: tensor.detach().numpy() for name, tensor in cell.named_parameters()}
    a = x @ p["from_input.weight"].T + p["from_input.bias"]
    a = a + state[0] @ p["from_hidden.weight"].T + p["from_hidden.bias"]
    i, f, g, o = np.split(a, 4, axis=1)
    i, f = (1 / (1 + np.exp(-(y + q * state[1]))) for y, q in ((i, p["p_i"]), (f, p["p_f"])))
    c = f * state[1] + i * np.tanh(g)
    return [np.tanh(c) / (1 + np.exp(-(o + p["p_o"] * c))), c]


def test_it_trains_its_own_parameters(run: Path) -> None:
    model = checkpoint.load(run).model
    assert isinstance(model, LanguageModel)
    assert isinstance(model.recurrent, CellStack)
    torch.manual_seed(0)  # as the run began
    fresh = dict(LanguageModel(model.config).named_parameters())
    peepholes = [name for name in fresh if ".p_" in name]
    assert peepholes == [f"recurrent.layers.{layer}.p_{gate}" for layer in (0, 1) for gate in "ifo"]
    trained = dict(model.named_parameters())
    for name in peepholes:
        assert (trained[name] - fresh[name]).abs().max() > 1e-3, name


def test_it_computes_its_equations_over_time() -> None:
    stack = make_stack("peephole", 3, hidden=5, layers=1).double()
    x = torch.randn(2, 6, 3).double()
    start = tuple(torch.rand(1, 2, 5).double() for _ in range(2))
    y, after = stack(x, start)
    state = [tensor[0].numpy() for tensor in start]
    for t in range(6):
        state = reference(x[:, t].numpy(), state, stack.cells()[0])
        np.testing.assert_allclose(y[:, t].detach().numpy(), state[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(after[1][0].detach().numpy(), state[1], rtol=0, atol=1e-12)


def test_it_is_exported_to_every_format_step_by_step(bundle: Path) -> None:
    with Bundle.open(bundle) as opened:
        artifacts = opened.manifest.artifacts
    assert {(a.format, a.precision, a.graph) for a in artifacts} >= {
        ("onnx", "float32", "step"),
        ("onnx", "int8", "step"),
        ("onnx", "float32", "generate"),
        ("torchscript", "float32", "step"),
        ("coreml", "float32", "step"),
    }
    for artifact in artifacts:
        assert artifact.graph != "step" or artifact.narrowing.axes["time"] == 1
    (rounded,) = (a for a in artifacts if (a.format, a.precision, a.graph) == ONNX_INT8)
    assert {w.name: (w.dtype, w.recurrent) for w in rounded.weights if len(w.shape) == 2} == {
        "embedding": ("int8", False),
        "head": ("int8", False),
        **{f"recurrent.layers.{n}.from_input": ("int8", False) for n in (0, 1)},
        **{f"recurrent.layers.{n}.from_hidden": ("int8", True) for n in (0, 1)},
    }


def test_all_checks_pass(bundle: Path) -> None:
    report = verify_bundle(bundle, steps=32)
    assert report.passed, failed(report)


def test_all_files_write_the_same_text(bundle: Path) -> None:
    with Bundle.open(bundle) as opened:
        paths = [a.path for a in opened.manifest.artifacts if a.format in ("onnx", "torchscript")]
    exact = [path for path in paths if "int8" not in path and "generate" not in path]
    texts = [
        write_text(bundle, "the ", artifact=path, length=12, temperature=0)["tokens"]
        for path in exact
    ]
    assert len(texts) == 2 and texts[0] == texts[1] and len(texts[0]) == 12


@pytest.mark.parametrize("conditioning", ["soft-attention", "every-step"])
def test_a_captioner_has_it(
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    tmp_path: Path,
    conditioning: str,
) -> None:
    model = make_captioner(conditioning=conditioning, cell="peephole", layers=2)
    evaluation = {"image": pictures, "captions": caption_ids}
    save(Checkpoint(model, caption_tokenizer, evaluation=evaluation), tmp_path / "run")
    names = [name for name, _ in model.decoder.named_parameters()]
    assert names[0] == "from_input.0.weight"
    assert "layers.1.p_o" in names
    export_bundle(tmp_path / "run", tmp_path / "bundle", to=["onnx", "torchscript"], steps=8)
    report = verify_bundle(tmp_path / "bundle", steps=8)
    assert report.passed, failed(report)


def test_a_command_knows_it() -> None:
    assert "peephole" in cell_names()
    assert LanguageConfig(vocabulary=3, cell="peephole").contract().step.states[1].name == "c"
