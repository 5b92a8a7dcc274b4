"""Weight-only quantisation of graphs: no matrix of any cell stays float, and onnxruntime computes
with just the integers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgernn.contract import Decoding
from edgernn.errors import UsageError
from edgernn.export.rounding.blocks import BITS, quantize_matrix
from edgernn.export.rounding.compression import Compression
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.export.to_onnx.quantize import Rounded, layer_name, lookups, products, quantize_graph
from edgernn.formats import by_name
from edgernn.models.cells.table import FUSED
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.rollout import Plan, compare
from edgernn.sessions.opening import open_session

MakeModel = Callable[..., LanguageModel]
FLOAT, FLOATS = TensorProto.FLOAT, {"MatMul", "Gemm", "Gather", "LSTM", "GRU", "RNN"}


def model_of(
    *nodes: onnx.NodeProto, inputs: dict[str, Any], output: list[Any], **constants: np.ndarray
) -> onnx.ModelProto:
    """A graph whose one output is ``y``."""
    dtypes = {"ids": TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(name, dtypes.get(name, FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info("y", FLOAT, output)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    result: np.ndarray = session.run(["y"], feeds)[0]
    return result


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def normal(*shape: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def near(found: np.ndarray, wanted: np.ndarray) -> None:
    """Activations are rounded to 8 bits, nothing else."""
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 0.04 * np.abs(wanted).max()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(
    ("columns", "block_size"), [(256, 128), (32, 32), (40, 16), (33, 16), (7, 16)]
)
@pytest.mark.parametrize("kind", ["Gemm", "MatMul", "MatMul and Add"])
def test_onnxruntime_multiplies_with_what_the_integers_stand_for(
    kind: str, columns: int, block_size: int, bits: int
) -> None:
    weight, bias, x = normal(6, columns), normal(6, seed=5), normal(3, columns, seed=6)
    if kind == "Gemm":
        nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)]
    else:
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["product" if kind.endswith("Add") else "y"])
        ]
        nodes += [helper.make_node("Add", ["b", "product"], ["y"])] if kind.endswith("Add") else []
    stored = weight if kind == "Gemm" else np.ascontiguousarray(weight.T)
    model = model_of(*nodes, inputs={"x": ["n", columns]}, output=["n", 6], w=stored, b=bias)
    quantize_graph(model, Recipe(Rounding(bits, block_size)))
    assert operators(model) == ["MatMulNBits"], "the bias is part of the product"
    names = {tensor.name for tensor in model.graph.initializer}
    assert "w" not in names, "the float matrix is gone"
    exact = x @ quantize_matrix(weight, bits=bits, block_size=block_size).values().T
    near(run(model, x=x), exact + (bias if "b" in names else 0))
    assert ("b" in names) == (kind != "MatMul")


def test_a_product_that_something_else_reads_keeps_its_sum_apart() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["sum"]),
        helper.make_node("Mul", ["sum", "product"], ["y"]),
    ]
    weight, bias, x = normal(32, 6), normal(6, seed=5), normal(3, 32, seed=6)
    model = model_of(*nodes, inputs={"x": ["n", 32]}, output=["n", 6], w=weight, b=bias)
    quantize_graph(model, Recipe(Rounding(8, 32)))
    assert operators(model) == ["MatMulNBits", "Add", "Mul"]
    near(run(model, x=x), (x @ weight + bias) * (x @ weight))


@pytest.mark.parametrize(
    ("columns", "bits"), [(16, 8), (16, 4), (20, 4), (33, 8), (34, 4), (64, 8), (64, 4)]
)
def test_onnxruntime_looks_up_exactly_what_the_integers_stand_for(columns: int, bits: int) -> None:
    table, ids = normal(11, columns), np.array([[3, 0, 10], [10, 10, 7]])
    node = helper.make_node("Gather", ["table", "ids"], ["y"], name="/embedding/Gather")
    model = model_of(node, inputs={"ids": ["n", "t"]}, output=["n", "t", columns], table=table)
    quantize_graph(model, Recipe(Rounding(bits, 16)))
    assert operators(model) == ["GatherBlockQuantized"]
    assert {tensor.name for tensor in model.graph.initializer} == {
        "embedding.integers",
        "embedding.scales",
    }
    exact = quantize_matrix(table, bits=bits, block_size=16).values()[ids]
    assert np.array_equal(run(model, ids=ids), exact)


def test_a_table_of_an_odd_width_keeps_8_bits() -> None:
    """Two 4-bit values share a byte, and onnxruntime takes the last half byte for a value of the
    row.
    """
    table, ids = normal(11, 33), np.array([[3, 0, 10]])
    node = helper.make_node("Gather", ["table", "ids"], ["y"], name="/embedding/Gather")
    model = model_of(node, inputs={"ids": ["n", "t"]}, output=["n", "t", 33], table=table)
    quantize_graph(model, Recipe(Rounding(4, 16)))
    assert np.array_equal(
        run(model, ids=ids), quantize_matrix(table, bits=8, block_size=16).values()[ids]
    )


@pytest.mark.parametrize("bits", BITS)
def test_a_layer_that_is_used_twice_is_stored_once(bits: int) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["once"], name="/model/layer/MatMul"),
        helper.make_node("MatMul", ["once", "w"], ["y"], name="/model/layer/MatMul_1"),
    ]
    weight, x = normal(32, 32), normal(3, 32, seed=6)
    model = model_of(*nodes, inputs={"x": ["n", 32]}, output=["n", 32], w=weight)
    quantize_graph(model, Recipe(Rounding(bits, 32)))
    assert operators(model) == ["MatMulNBits"] * 2
    assert len(model.graph.initializer) == 2
    rounded = quantize_matrix(weight.T, bits=bits, block_size=32).values().T
    near(run(model, x=x), x @ rounded @ rounded)


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize(
    "shape",
    [
        {"hidden": 32},
        {"hidden": 20, "embedding": 20, "tied": True, "layers": 1},
        {"hidden": 33, "embedding": 33, "tied": True},
        {"hidden": 33, "embedding": 7, "layers": 3, "learned_initial_state": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", FUSED)
def test_no_matrix_of_any_cell_stays_float(
    make_model: MakeModel, tmp_path: Path, cell: str, shape: dict[str, Any], precision: str
) -> None:
    model, path = make_model(cell=cell, **shape), tmp_path / "step.onnx"
    if cell == "rnn_relu":
        with torch.no_grad():  # as it starts, its state grows without end
            for parameter in model.recurrent.parameters():
                parameter.mul_(0.5)
    written = OnnxExporter().export(model, path, precision=precision, decoding=Decoding())
    assert written.narrowing.axes == {"time": 1}
    graph = onnx.load(str(path))
    assert not FLOATS & set(operators(graph))
    assert not [
        t.name
        for t in graph.graph.initializer
        if len(t.dims) > 1 and t.data_type == FLOAT and "scales" not in t.name
    ]
    matrices = [weight for weight in written.weights if len(weight.shape) > 1]
    assert all(weight.dtype.startswith("int") for weight in matrices)
    assert sum(weight.recurrent for weight in matrices) == model.config.layers
    limit = by_name("onnx").promise(precision)
    found = compare(
        EagerSession(model), open_session(path), Plan(3, (1,) * 12), seed=4, forced=True
    )
    assert found.worst.scaled < 0.7 * limit.rollout


def test_bits_and_blocks_go_by_layer(make_model: MakeModel, tmp_path: Path) -> None:
    layers = {"head": Rounding(4, 16), "embedding": Rounding(8, 64)}
    recipe = Recipe(Rounding(8, 128), layers, folded=False)
    exporter = OnnxExporter(Compression(recipe=recipe))
    written = exporter.export(
        make_model(hidden=32, embedding=32),
        tmp_path / "s.onnx",
        precision="smallest",
        decoding=Decoding(),
    )
    assert {w.name: (w.dtype, w.block_size) for w in written.weights if w.block_size} == {
        "embedding": ("int8", 32),
        "recurrent.layers.0.joined": ("int8", 64),
        "recurrent.layers.1.joined": ("int8", 64),
        "head": ("int4", 16),
    }


def test_what_was_rounded_is_remembered_by_layer_and_way() -> None:
    def product() -> onnx.ModelProto:
        node = helper.make_node("MatMul", ["x", "w"], ["y"], name="/model/head/MatMul")
        return model_of(node, inputs={"x": ["n", 32]}, output=["n", 6], w=normal(32, 6))

    rounded: Rounded = {}
    ways = (Rounding(8, 32), Rounding(4, 32))
    for way in (*ways, *ways):
        quantize_graph(product(), Recipe(way), rounded=rounded)
    assert [way for _, way in rounded] == list(ways)


def test_two_matrices_of_one_layer_are_two() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["once"], name="/model/layer/MatMul"),
        helper.make_node("MatMul", ["once", "v"], ["y"], name="/model/layer/MatMul_1"),
    ]
    one, two, x = normal(32, 32), normal(32, 32, seed=9), normal(3, 32, seed=6)
    model = model_of(*nodes, inputs={"x": ["n", 32]}, output=["n", 32], w=one, v=two)
    quantize_graph(model, Recipe(Rounding(8, 32)))
    near(run(model, x=x), x @ one @ two)


def test_what_could_be_rounded_is_found_in_a_float_graph() -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"], name="/model/embedding/Gather"),
        helper.make_node(
            "MatMul", ["x", "w"], ["h"], name="/model/recurrent/layers.0/joined/MatMul"
        ),
        helper.make_node("Mul", ["h", "h"], ["hh"], name="/Mul"),
        helper.make_node("MatMul", ["hh", "h"], ["y"], name="/model/MatMul"),
    ]
    model = model_of(*nodes, inputs={"ids": [4]}, output=[4, 4], table=normal(9, 4), w=normal(4, 4))
    assert [layer_name(node) for node in lookups(model)] == ["embedding"]
    assert [layer_name(node) for node in products(model)] == ["recurrent.layers.0.joined"]
    assert layer_name(nodes[2]) == "/Mul"


def test_a_recurrent_operator_is_refused_and_not_left_as_it_is(
    make_model: MakeModel, tmp_path: Path
) -> None:
    path = tmp_path / "step.onnx"
    OnnxExporter().export(make_model(cell="gru"), path, precision="float32", decoding=Decoding())
    with pytest.raises(
        UsageError,
        match="the graph has GRU, whose weights would stay float32; quantise the step face",
    ):
        quantize_graph(onnx.load(str(path)), Recipe(Rounding(8, 128)))
