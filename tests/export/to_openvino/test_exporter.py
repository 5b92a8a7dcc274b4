"""The folders that the exporter of OpenVINO writes: the same every time, and what they store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from edgernn import formats
from edgernn.contract import Decoding, FileContract
from edgernn.export.base import Written
from edgernn.export.to_openvino.exporter import OpenVinoExporter
from edgernn.models.cells.table import CELLS
from edgernn.models.eager import EagerSession
from edgernn.sessions.opening import open_session

PRECISIONS = formats.by_name("openvino").precisions


def export(model: Any, path: Path, precision: str) -> Written:
    return OpenVinoExporter().export(model, path, precision=precision, decoding=Decoding())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_model_is_the_same_bytes(
    make_model: Callable[..., Any], tmp_path: Path, precision: str
) -> None:
    model = make_model()
    for name in ("first", "again"):
        export(model, tmp_path / name, precision)
    for file in ("model.xml", "model.bin"):
        first, again = ((tmp_path / name / file).read_bytes() for name in ("first", "again"))
        assert first == again, file
        assert str(tmp_path).encode() not in first
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == [
        "model.bin",
        "model.xml",
    ]


@pytest.mark.parametrize(
    ("precision", "stored"),
    [
        ("float32", {"float32"}),
        ("float16", {"float16"}),
        ("int8", {"int8"}),
        ("int4", {"int4", "int8"}),
    ],
)
def test_the_table_of_weights_is_what_the_file_stores(
    make_model: Callable[..., Any], tmp_path: Path, precision: str, stored: set[str]
) -> None:
    model = make_model(hidden=32, embedding=32)
    written = export(model, tmp_path / "step", precision)
    matrices = [weight for weight in written.weights if len(weight.shape) > 1]
    assert {weight.dtype for weight in matrices} == stored
    assert any(weight.recurrent for weight in matrices)
    sizes = {"float32": 4, "float16": 2, "int8": 1, "int4": 0.5}
    for weight in matrices:
        values = float(np.prod(weight.shape))
        scales = 4 * values / weight.block_size if weight.block_size else 0
        assert weight.bytes == values * sizes[weight.dtype] + scales
    held = (tmp_path / "step" / "model.bin").stat().st_size
    assert sum(weight.bytes for weight in written.weights) == held


@pytest.mark.parametrize("embedding", [8, 20, 300])
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_rows_that_no_block_divides_are_rounded_too(
    make_model: Callable[..., Any], tmp_path: Path, precision: str, embedding: int
) -> None:
    model = make_model(hidden=40, embedding=embedding)
    written = export(model, tmp_path / "step", precision)
    assert not [w for w in written.weights if len(w.shape) > 1 and w.is_float]
    session = open_session(tmp_path / "step")
    reference = EagerSession(model.eval(), FileContract(contract=model.config.contract()))
    inputs = {"tokens": np.array([[3]])}
    state = {name: array + 0.25 for name, array in session.initial_state().items()}
    found, _ = session.step(inputs, state)
    wanted, _ = reference.step(inputs, state)
    error = (
        np.square(found["logits"] - wanted["logits"]).mean() / np.square(wanted["logits"]).mean()
    )
    assert np.sqrt(error) < (0.4 if precision == "int4" else 0.05)


@pytest.mark.parametrize("cell", CELLS)
def test_256_steps_on_its_own_state_are_the_references(
    make_model: Callable[..., Any], tmp_path: Path, cell: str
) -> None:
    model = make_model(cell=cell)
    export(model, tmp_path / "step", "float32")
    session = open_session(tmp_path / "step")
    reference = EagerSession(model.eval(), FileContract(contract=model.config.contract()))
    random = np.random.default_rng(0)
    ours = {
        n: random.normal(size=a.shape).astype(a.dtype) for n, a in session.initial_state().items()
    }
    theirs, worst, largest = dict(ours), dict.fromkeys(ours, 0.0), dict.fromkeys(ours, 1.0)
    for token in random.integers(0, model.config.vocabulary, 256):
        inputs = {"tokens": np.array([[token]])}
        (_, ours), (_, theirs) = session.step(inputs, ours), reference.step(inputs, theirs)
        for name, array in theirs.items():
            worst[name] = max(worst[name], float(np.abs(ours[name] - array).max()))
            largest[name] = max(largest[name], float(np.abs(array).max()))
    limit = 1e-3 if cell == "lstm_normalised" else 1e-5  # which amplifies: onnxruntime has 2e-4 too
    for name in theirs:
        assert worst[name] < limit * largest[name], name


def test_many_rows_of_odd_width_in_4_bits_are_what_each_is_alone(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    export(make_model(hidden=17, embedding=17), tmp_path / "step", "int4")
    session = open_session(tmp_path / "step")
    tokens = np.arange(16)[:, None] % 4
    rng = np.random.default_rng(0)
    state = {
        name: rng.normal(size=array.shape).astype(np.float32)  # [L, 16, H]
        for name, array in session.initial_state(batch=16).items()
    }
    together, _ = session.step({"tokens": tokens}, state)
    for row in (0, 15):
        own = {name: array[:, row : row + 1] for name, array in state.items()}
        alone, _ = session.step({"tokens": tokens[row : row + 1]}, own)
        np.testing.assert_allclose(together["logits"][row], alone["logits"][0], atol=1e-5)
