"""Float16 storage: half the bytes, float32 arithmetic on the rounded weights, and the graph
otherwise as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgernn.contract import Decoding, Narrowing
from edgernn.errors import UsageError
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.export.to_onnx.half import store_half
from edgernn.models.cells.table import FUSED
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.rollout import Plan, compare
from edgernn.sessions.opening import open_session

MakeModel = Callable[..., LanguageModel]
OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "rnn_relu": "RNN"}


def export(model: LanguageModel, path: Path, precision: str = "float16") -> Path:
    OnnxExporter().export(model, path, precision=precision, decoding=Decoding())
    return path


@pytest.mark.parametrize("options", [{}, {"tied": True, "embedding": 8, "layers": 1}], ids=str)
@pytest.mark.parametrize("cell", FUSED)
def test_it_computes_in_float32_with_the_rounded_weights(
    make_model: MakeModel, tmp_path: Path, cell: str, options: dict[str, Any]
) -> None:
    model = make_model(cell=cell, **options)
    candidate = open_session(export(model, tmp_path / "step.onnx"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = parameter.numel() * (
                2 if "fused.bias" in name else 1
            )  # ONNX keeps the two biases of a layer as one
            if values >= 64:
                assert not torch.equal(parameter, parameter.half().float()), name
                parameter.copy_(parameter.half().float())
    assert candidate.file_contract.narrowing == Narrowing()
    for plan in (Plan(1, (1,) * 12), Plan(3, (7, 1, 5))):
        assert compare(EagerSession(model), candidate, plan, seed=4).worst.scaled < 2e-6


@pytest.mark.parametrize("cell", FUSED)
def test_half_the_bytes_and_the_fused_operators(
    make_model: MakeModel, tmp_path: Path, cell: str
) -> None:
    model = make_model(cell=cell, hidden=64, embedding=32)
    whole, half = (
        export(model, tmp_path / precision, precision) for precision in ("float32", "float16")
    )
    graphs = [onnx.load(str(path)).graph for path in (whole, half)]
    fused = [
        [node.op_type for node in graph.node if node.op_type == OPERATORS[cell]] for graph in graphs
    ]
    assert fused[0] == fused[1] == [OPERATORS[cell]] * 2
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    large = [tensor for tensor in graphs[1].initializer if np.prod(tensor.dims) >= 64]
    assert large
    assert {tensor.data_type for tensor in large} == {TensorProto.FLOAT16}
    assert [d.dim_param for d in graphs[1].input[0].type.tensor_type.shape.dim] == ["batch", "time"]


def model_with(**constants: np.ndarray) -> onnx.ModelProto:
    nodes, last = [], "x"
    for name in constants:
        nodes.append(helper.make_node("Add", [last, name], [f"{name}_added"]))
        last = f"{name}_added"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64]) for name in ("x", "y")]
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_what_is_small_stays_as_it_is() -> None:
    model = model_with(large=np.ones(64, np.float32), small=np.ones(1, np.float32))
    store_half(model)
    onnx.checker.check_model(model, full_check=True)
    assert {t.name: t.data_type for t in model.graph.initializer} == {
        "large.half": TensorProto.FLOAT16,
        "small": TensorProto.FLOAT,
    }
    assert [node.op_type for node in model.graph.node] == ["Cast", "Add", "Add", "Identity"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (65520.0, "large holds 65520, which float16 cannot; export float32"),
        (-1e30, r"large holds 1e\+30, which float16 cannot; export float32"),
        (
            np.nan,
            "a weight is not finite, so it cannot be stored in float16; train or import the "
            "model again",
        ),
        (np.inf, "a weight is not finite"),
    ],
)
def test_what_float16_cannot_hold_is_refused(value: float, says: str) -> None:
    weight = np.ones(64, np.float32)
    weight[5] = value
    with pytest.raises(UsageError, match=says):
        store_half(model_with(large=weight))


def test_the_largest_float16_is_kept() -> None:
    model = model_with(large=np.full(64, 65504, np.float32))
    store_half(model)
    assert (numpy_helper.to_array(model.graph.initializer[0]) == 65504).all()
