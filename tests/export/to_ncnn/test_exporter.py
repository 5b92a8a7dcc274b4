"""What is special of ncnn beside what test_exporters.py holds every exporter to: cells, weights as
they are stored, the same bytes again, and what is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgernn.contract import STEP, FileContract
from edgernn.contract.build import build_contract
from edgernn.errors import ContractError
from edgernn.export.to_ncnn.exporter import NcnnExporter
from edgernn.export.to_ncnn.integers import rounded_rows, rounded_table
from edgernn.models.cells.table import CELLS
from edgernn.models.eager import EagerSession
from edgernn.parity import rollout
from edgernn.sessions.ncnn.folder import graph_of
from edgernn.sessions.ncnn.session import NcnnSession

Make = Callable[..., Any]


def exported(model: Any, path: Path, precision: str = "float32") -> NcnnSession:
    written = NcnnExporter().export(model, path, precision=precision, decoding=None)
    own = FileContract(contract=model.config.contract(), graph=STEP, narrowing=written.narrowing)
    return NcnnSession.open(path, own, threads=1)


SIZES = [*((cell, hidden) for cell in CELLS for hidden in (8, 13)), ("gru", 96), ("lstm", 96)]


@pytest.mark.parametrize(("cell", "hidden"), SIZES)
def test_every_cell_is_written_and_right(
    cell: str, hidden: int, make_model: Make, tmp_path: Path
) -> None:
    model = make_model(cell=cell, hidden=hidden)
    session = exported(model, tmp_path / "step")
    reference = EagerSession(model, FileContract(contract=model.config.contract(), graph=STEP))
    plan = rollout.plans(session, 256, seed=1)[0]
    found = rollout.compare(reference, session, plan, seed=4)
    # a norm of a few values makes last bits grow: onnxruntime drifts by up to 1e-5, too
    assert found.worst.scaled <= (5e-5 if cell == "lstm_normalised" else 1e-5)


def test_a_whole_layer_is_written_where_it_is_faster(make_model: Make, tmp_path: Path) -> None:
    for cell, hidden, kind in (
        ("lstm", 96, "LSTM"),
        ("gru", 8, "GRU"),
        ("gru", 96, "InnerProduct"),
        ("rnn_relu", 8, "ReLU"),
        ("gru_before", 8, "InnerProduct"),
    ):
        path = tmp_path / f"{cell}{hidden}"
        exported(make_model(cell=cell, hidden=hidden), path)
        kinds = {layer.kind for layer in graph_of(path).layers}
        assert kind in kinds
        assert len(kinds & {"LSTM", "GRU", "RNN"}) == (kind in ("LSTM", "GRU"))


def test_float32_says_in_each_layer_that_it_takes_no_half_floats(
    make_model: Make, tmp_path: Path
) -> None:
    exported(make_model(), tmp_path / "step")
    layers = graph_of(tmp_path / "step").layers
    plain = ("Input", "MemoryData", "Split")
    assert all(layer.whole(31) == 7 for layer in layers if layer.kind not in plain)
    exported(make_model(), tmp_path / "half", "float16")
    assert not any(31 in layer.numbers for layer in graph_of(tmp_path / "half").layers)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_weights_are_stored_as_asked_and_told_so(
    precision: str, make_model: Make, tmp_path: Path
) -> None:
    model = make_model(cell="gru")
    written = NcnnExporter().export(model, tmp_path / "s", precision=precision, decoding=None)
    *matrices, others = written.weights
    assert {weight.dtype for weight in matrices} == {precision}
    assert others.dtype == "float32"
    names = [weight.name for weight in matrices]
    assert names[0] == "embedding"
    assert names[-1] == "head"
    whole = [f"recurrent.fused{layer}.from_hidden" for layer in ("", "_2")]
    steps = [f"recurrent.layers.{layer}.from_hidden" for layer in (0, 1)]
    recurrent = [weight.name for weight in matrices if weight.recurrent]
    assert recurrent == (whole if precision == "float32" else steps)
    held = {one.layer.name: one for one in graph_of(tmp_path / "s").weights if one.is_matrix}
    found = held["head"].values(graph_of(tmp_path / "s").content)
    own = model.head.weight.detach().numpy()
    if precision == "int8":
        assert np.array_equal(found, rounded_rows(own)[0])
    else:
        assert np.array_equal(found, own.astype(precision))


def test_the_same_model_is_the_same_bytes(make_model: Make, tmp_path: Path) -> None:
    for name in ("one", "two"):
        exported(make_model(), tmp_path / name)
    for file in ("step.param", "step.bin", "contract.json"):
        first, second = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert first == second
        assert str(tmp_path).encode() not in first


def test_rows_are_rounded_each_by_itself() -> None:
    matrix = np.array([[1.0, -0.5, 0.25], [100.0, 0.0, -200.0], [0.0, 0.0, 0.0]], np.float32)
    integers, largest = rounded_rows(matrix)
    assert np.array_equal(largest, [1, 200, 1])
    assert np.array_equal(integers, [[127, -64, 32], [64, 0, -127], [0, 0, 0]])
    table, scale = rounded_table(matrix)
    assert scale == 127 / 200
    assert np.array_equal(table, [[1, 0, 0], [64, 0, -127], [0, 0, 0]])


def test_a_weight_that_is_not_finite_or_too_large_is_refused(
    make_model: Make, tmp_path: Path
) -> None:
    model = make_model()
    with torch.no_grad():
        model.head.weight[0, 0] = 1e6
    with pytest.raises(ContractError, match="too large for float16"):
        exported(model, tmp_path / "s", "float16")
    assert not (tmp_path / "s").exists()


def test_integers_that_float32_cannot_count_are_refused() -> None:
    contract = build_contract(
        inputs={"x": "float32[3]"}, states={"count": "int64[1]"}, outputs={"y": "float32[3]"}
    )
    from edgernn.export.to_ncnn.exporter import refuse_uncarried

    with pytest.raises(ContractError, match="carries floats, and count is int64"):
        refuse_uncarried(FileContract(contract=contract))
