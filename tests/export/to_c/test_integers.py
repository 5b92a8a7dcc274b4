"""Products and tables of integers: to the bit what whole numbers give, whatever the sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgernn.contract import Contract, FileContract
from edgernn.errors import ContractError
from edgernn.export.operators import IR_VERSION, OPSET
from edgernn.export.to_c.generator import generate
from edgernn.export.to_c.options import Options
from edgernn.sessions.compiled import CompiledSession
from edgernn.sessions.compiler import build, find_compiler
from tests.export.to_c.conftest import contract_of

LEVELS = {16: 32767, 8: 127, 7: 63}
SIZES = [(1, 1, 16), (3, 17, 32), (16, 64, 64), (33, 100, 32), (40, 200, 128), (96, 300, 256)]


def integers(
    draw: np.random.Generator, rows: int, columns: int, bits: int, block: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whole numbers ``[N, K]``, scales ``[N, blocks]``, and both as onnxruntime has them."""
    low, blocks = -(1 << (bits - 1)), -(-columns // block)
    whole = draw.integers(low, -low, size=(rows, blocks * block))
    whole[:, columns:] = 0
    scales = (draw.normal(size=(rows, blocks)) / 50).astype(np.float32)
    raised = (whole - low).astype(np.uint8)
    stored = raised if bits == 8 else raised[:, 0::2] | raised[:, 1::2] << 4
    return whole[:, :columns], scales, stored.reshape(rows, blocks, -1)


def model_of(nodes: list[Any], contract: Contract, constants: dict[str, np.ndarray]) -> bytes:
    """Return an ONNX model with an operator of onnxruntime's own domain."""

    def info(tensor: Any) -> Any:
        kind = TensorProto.INT64 if tensor.dtype == "int64" else TensorProto.FLOAT
        shape = [contract.sizes[axis] for axis in tensor.axes]
        return helper.make_tensor_value_info(tensor.name, kind, shape)

    spec = contract.step
    graph = helper.make_graph(
        nodes,
        "g",
        [info(t) for t in spec.inputs],
        [info(t) for t in spec.outputs],
        [numpy_helper.from_array(a, name) for name, a in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_model(graph, opset_imports=opsets)
    made.ir_version = IR_VERSION
    content: bytes = made.SerializeToString()
    return content


def session_of(model: bytes, contract: Contract, activations: int) -> CompiledSession:
    own = FileContract(contract=contract)
    files = generate(model, own, Options(activations=activations)).files
    return CompiledSession(build(files, find_compiler()), own)


def product_session(
    draw: np.random.Generator, sizes: tuple[int, int, int], bits: int, activations: int, rows: int
) -> tuple[CompiledSession, np.ndarray, np.ndarray, np.ndarray]:
    count, depth, block = sizes
    whole, scales, stored = integers(draw, count, depth, bits, block)
    bias = draw.normal(size=count).astype(np.float32)
    node = helper.make_node(
        "MatMulNBits",
        ["x", "b", "s", "", "", "bias"],
        ["y"],
        domain="com.microsoft",
        K=depth,
        N=count,
        bits=bits,
        block_size=block,
    )
    x = np.zeros((rows, depth), np.float32)
    contract = contract_of({"x": x}, {"y": (rows, count)})
    constants = {"b": stored, "s": scales.ravel(), "bias": bias}
    session = session_of(model_of([node], contract, constants), contract, activations)
    return session, whole, scales, bias


def wanted(
    x: np.ndarray,
    whole: np.ndarray,
    scales: np.ndarray,
    bias: np.ndarray,
    block: int,
    levels: int,
) -> np.ndarray:
    """Return what the equations of a product of integers give, in float32 where they are floats."""
    most = np.float32(np.abs(x).max())
    unit = np.float32(most / np.float32(levels)) if most else np.float32(0)
    inverse = np.float32(np.float32(levels) / most) if most else np.float32(0)
    q = np.rint(x * inverse).astype(np.int64)
    made = np.zeros(len(whole), np.float32)
    for at in range(0, whole.shape[1], block):
        sums = whole[:, at : at + block] @ q[at : at + block]
        made = made + scales[:, at // block] * sums.astype(np.float32)
    return bias + unit * made


@pytest.mark.parametrize("activations", [16, 8, 7])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("sizes", [(70, 33, 64), (70, 300, 256), (150, 100, 32)])
def test_so_is_that_of_one_row_with_many_panels(
    sizes: tuple[int, int, int], bits: int, activations: int
) -> None:
    draw = np.random.default_rng(3)
    session, whole, scales, bias = product_session(draw, sizes, bits, activations, rows=1)
    x = draw.normal(size=(1, sizes[1])).astype(np.float32)
    found = session.step({"x": x}, {})[0]["y"][0]
    right = wanted(x[0], whole, scales, bias, sizes[2], LEVELS[activations])
    assert np.array_equal(found, right)


@pytest.mark.parametrize("activations", [16, 8, 7])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("sizes", SIZES)
def test_a_product_is_that_of_whole_numbers(
    sizes: tuple[int, int, int], bits: int, activations: int
) -> None:
    draw = np.random.default_rng(3)
    session, whole, scales, bias = product_session(draw, sizes, bits, activations, rows=2)
    shape = (2, sizes[1])
    small = draw.normal(size=shape) * 1e-5
    for given in (draw.normal(size=shape), small, np.full(shape, 1e3), np.zeros(shape)):
        x = (given * [[1], [7]]).astype(np.float32)
        found = session.step({"x": x}, {})[0]["y"]
        for row, own in zip(found, x, strict=True):
            assert np.array_equal(
                row, wanted(own, whole, scales, bias, sizes[2], LEVELS[activations])
            )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen(value: float) -> None:
    draw = np.random.default_rng(4)
    session, *_ = product_session(draw, (16, 40, 32), 8, 16, rows=2)
    x = draw.normal(size=(2, 40)).astype(np.float32)
    x[0, 5] = value
    found = session.step({"x": x}, {})[0]["y"]
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all(), "the other row goes on"


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("columns", [10, 16, 40, 130])
def test_rows_of_a_table(bits: int, columns: int) -> None:
    draw = np.random.default_rng(5)
    whole, scales, stored = integers(draw, 9, columns, bits, 32)
    stored = stored.reshape(9, -1)[:, : columns * bits // 8]
    node = helper.make_node(
        "GatherBlockQuantized",
        ["t", "ids", "s"],
        ["y"],
        domain="com.microsoft",
        bits=bits,
        block_size=32,
        gather_axis=0,
        quantize_axis=1,
    )
    ids = np.array([[3, 0, 8]])
    contract = contract_of({"ids": ids}, {"y": (1, 3, columns)})
    session = session_of(model_of([node], contract, {"t": stored, "s": scales}), contract, 16)
    found = session.step({"ids": ids}, {})[0]["y"]
    table = whole * np.repeat(scales, 32, 1)[:, :columns]
    assert np.array_equal(found, table[ids].astype(np.float32))


@pytest.mark.parametrize(
    "changed", [{"bits": 2}, {"block_size": 512}, {"block_size": 12}, {"K": 30}]
)
def test_other_integers_are_refused(changed: dict[str, int]) -> None:
    own = {"K": 32, "N": 4, "bits": 8, "block_size": 32, **changed}
    node = helper.make_node("MatMulNBits", ["x", "b", "s"], ["y"], domain="com.microsoft", **own)
    contract = contract_of({"x": np.zeros((1, 32), np.float32)}, {"y": (1, 4)})
    constants = {"b": np.zeros((4, 1, 32), np.uint8), "s": np.zeros(4, np.float32)}
    with pytest.raises(ContractError, match=r"^c does not take MatMulNBits as it is here: it "):
        generate(model_of([node], contract, constants), FileContract(contract=contract))


@pytest.mark.parametrize("precision", ["int8", "int4", "w8a8", "w8a7", "w4a8"])
def test_a_bundle_of_integers_passes_every_check(
    precision: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    from edgernn.export.pack import export_bundle
    from tests.export.test_networks import passed

    bundle = export_bundle(
        checkpoint_folder, tmp_path / "net", to="c", precision=precision, steps=16
    )
    assert f"c/step-{precision}" in passed(bundle, steps=16)
