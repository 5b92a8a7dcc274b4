"""A ``.tflite`` file read without a runtime: what it takes, holds and says; and damaged ones,
which are refused in one line. The files are of tests/fixtures/litert/make.py.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError
from edgernn.parity.structure.litert import LiteRTStructure
from edgernn.parity.structure.sizes import SizeError
from edgernn.sessions.litert.guard import problem, refuse_foreign
from edgernn.sessions.litert.model_file import ModelFile, content_of, parse, read
from edgernn.sessions.litert.operators import REFUSED
from edgernn.sessions.opening import describe_file

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "litert"
FILES = {name: FIXTURES / f"gru-{name}.tflite" for name in ("float32", "int8", "int4")}
UNKNOWN = "is none that edgernn knows"
EVERY = pytest.mark.parametrize("precision", FILES)
CODES = {  # what stands in place of an operator, by its number → what is said
    44: "keeps a state that is not the contract's",
    119: "branches or repeats",
    109: "has a result whose size depends on data",
    32: "is a program of its own",
    -6: "is none that edgernn knows",
}


def with_operator(data: bytes, code: int, place: int) -> bytes:
    """Return a file whose operator code at ``place`` is another one."""
    made = bytearray(data)
    root = struct.unpack_from("<I", made, 0)[0]
    vtable = root - struct.unpack_from("<i", made, root)[0]
    codes = root + struct.unpack_from("<H", made, vtable + 4 + 2)[0]
    codes += struct.unpack_from("<I", made, codes)[0]
    table = codes + 4 + 4 * place
    table += struct.unpack_from("<I", made, table)[0]
    inner = table - struct.unpack_from("<i", made, table)[0]
    size = struct.unpack_from("<H", made, inner)[0]
    for field, kind in ((0, "<b"), (3, "<i")):
        at = struct.unpack_from("<H", made, inner + 4 + 2 * field)[0] if 4 + 2 * field < size else 0
        if at:
            struct.pack_into(kind, made, table + at, code)
    return bytes(made)


def codes_of(data: bytes) -> int:
    root = struct.unpack_from("<I", data, 0)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    codes = root + struct.unpack_from("<H", data, vtable + 4 + 2)[0]
    codes += struct.unpack_from("<I", data, codes)[0]
    found: int = struct.unpack_from("<I", data, codes)[0]
    return found


@EVERY
def test_a_file_says_what_it_takes_and_gives(precision: str) -> None:
    row, description = describe_file(FILES[precision])
    assert row.name == "litert"
    assert description.interface.inputs == (
        FileTensor("tokens", "int32", (1, 1)),
        FileTensor("h", "float32", (1, 1, 4)),
    )
    assert description.interface.outputs == (
        FileTensor("logits", "float32", (1, 1, 5)),
        FileTensor("h_next", "float32", (1, 1, 4)),
    )
    own = FileContract.from_metadata(description.metadata, source="it")
    assert own.narrowing.axes == {"batch": 1, "time": 1}
    assert own.narrowing.dtypes == {"tokens": "int32"}


@EVERY
def test_its_structure_is_proved(precision: str) -> None:
    path = FILES[precision]
    own = FileContract.from_metadata(read(path).metadata, source="it")
    assert "20 operators of fixed sizes" in LiteRTStructure(path).prove(own)


@EVERY
def test_the_table_of_weights_is_what_lies_there(precision: str) -> None:
    model = read(FILES[precision])
    table = {weight.name: weight for weight in LiteRTStructure(FILES[precision]).stored()}
    wanted = {
        "embedding": (5, 64),
        "recurrent.layers.0.from_input": (12, 64),
        "recurrent.layers.0.from_hidden": (12, 4),
        "head": (5, 4),
    }
    matrices = {name: weight for name, weight in table.items() if weight.shape}
    assert {name: weight.shape for name, weight in matrices.items()} == wanted
    for name, (rows, columns) in wanted.items():
        dtype = "int8" if (precision, name) == ("int4", "embedding") else precision
        blocks = (precision, columns, name == "embedding") == ("int4", 64, False)
        size = rows * columns * {"float32": 32, "int8": 8, "int4": 4}[dtype] // 8
        beside = 0 if precision == "float32" else 2 * rows if blocks else (4 + 8) * rows
        assert (matrices[name].dtype, matrices[name].bytes) == (dtype, size + beside)
        assert matrices[name].block_size == (64 if blocks else 0)
        assert matrices[name].recurrent == name.endswith("from_hidden")
    assert matrices["embedding"].touched_bytes == matrices["embedding"].bytes // 5
    held = next(t for t in model.tensors if t.name == "head")
    assert len(held.scales) == (0 if precision == "float32" else 5)


def test_the_values_of_a_matrix_are_the_models() -> None:
    """Integers times scales are the floats, to half a step of each row."""
    floats, integers = (
        {tensor.name: tensor for tensor in read(FILES[name]).tensors if tensor.data is not None}
        for name in ("float32", "int8")
    )
    for name in ("embedding", "head", "recurrent.layers.0.from_hidden"):
        exact = floats[name].data.view("<f4").reshape(floats[name].shape)
        scales = integers[name].scales[:, None]
        near = integers[name].data.view("i1").reshape(exact.shape) * scales
        assert (np.abs(near - exact) <= scales * 0.501).all()


@pytest.mark.parametrize(("code", "said"), CODES.items())
def test_what_keeps_branches_or_draws_is_refused(code: int, said: str, tmp_path: Path) -> None:
    data = FILES["float32"].read_bytes()
    kinds = {operator.kind for operator in read(FILES["float32"]).operators}
    for place in range(codes_of(data)):
        changed = tmp_path / "changed.tflite"
        changed.write_bytes(with_operator(data, code, place))
        if changed.read_bytes() == data:
            continue  # of ADD, whose number is 0, nothing is written
        with pytest.raises(ContractError, match=f"is not run: its operator .* {said}"):
            refuse_foreign(changed.read_bytes(), changed)
    assert codes_of(data) == len(kinds)


@pytest.mark.parametrize("kind", [*REFUSED, "operator 900"])
def test_every_operator_that_is_not_plain_is_refused(kind: str) -> None:
    model = read(FILES["float32"])
    assert problem(model) is None
    for place, operator in enumerate(model.operators):
        changed = list(model.operators)
        changed[place] = replace(operator, kind=kind)
        found = problem(replace(model, operators=tuple(changed)))
        assert found == f"its operator {place}, {kind}, {REFUSED.get(kind, UNKNOWN)}"


def test_a_graph_out_of_order_is_refused() -> None:
    model = read(FILES["float32"])
    first, *rest = model.operators
    assert "before it is made" in str(problem(replace(model, operators=(*rest, first))))
    assert "is never made" in str(problem(replace(model, operators=(first, *rest[:-1]))))
    assert "which is there already" in str(problem(replace(model, operators=(first, first, *rest))))
    kept = replace(first, keeps=True)
    assert "keeps a state" in str(problem(replace(model, operators=(kept, *rest))))


def test_a_fused_layer_is_no_proof_of_a_step(tmp_path: Path) -> None:
    changed = tmp_path / "step.tflite"
    changed.write_bytes(with_operator(FILES["float32"].read_bytes(), 44, 1))
    own = FileContract.from_metadata(read(changed).metadata, source="it")
    with pytest.raises(SizeError, match="keeps a state that is not the contract's"):
        LiteRTStructure(changed).prove(own)


@EVERY
def test_a_cut_file_is_refused(precision: str) -> None:
    data = FILES[precision].read_bytes()
    for size in range(0, len(data), 61):
        with pytest.raises(ContractError, match=r"^it is (damaged|no LiteRT file)"):
            _whole(parse(data[:size], "it"))
    with pytest.raises(ContractError, match=r"^it is no LiteRT file: it has b'ONNX'"):
        parse(data[:4] + b"ONNX" + data[8:], "it")


def _whole(model: ModelFile) -> None:
    found = problem(model)
    if found is not None:
        raise ContractError(f"it is damaged: {found}")


@EVERY
def test_a_changed_byte_is_refused_or_read(precision: str) -> None:
    """Whatever stands there, nothing but a ContractError of one line comes out."""
    data, random = FILES[precision].read_bytes(), np.random.default_rng(5)
    for place in random.integers(0, len(data), 400):
        changed = bytearray(data)
        changed[place] ^= 1 << random.integers(8)
        try:
            _whole(parse(bytes(changed), "it"))
        except ContractError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("name", [".", "missing.tflite"])
def test_what_cannot_be_read_is_told_in_a_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"cannot be read: .+"):
        content_of(tmp_path / name)
