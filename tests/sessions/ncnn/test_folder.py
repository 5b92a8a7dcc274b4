"""A folder of ncnn is found right before the runtime sees it; what is damaged is told in a line.

Nothing here needs ncnn: the folder is written by hand.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.contract.build import build_contract
from edgernn.contract.file import METADATA_KEY
from edgernn.errors import ContractError
from edgernn.sessions.ncnn.folder import CONTRACT, describe, graph_of, squeezed
from edgernn.sessions.ncnn.shapes import RULES, broadcast, shapes_of
from edgernn.sessions.ncnn.text import Layer, read_text, text_of
from edgernn.sessions.ncnn.weights import read_weights, weight_table

TEXT = """7767517
7 8
Input x 0 1 x 0=3
Input h 0 1 h 0=2
Concat joined 2 1 x h j 0=0
InnerProduct cell.from_hidden 1 1 j z 0=4 1=1 2=20 31=7
Slice halves 1 2 z a b -23300=2,2,2 1=0
TanH tanh 1 1 a h_next
Sigmoid sigmoid 1 1 b y
"""
MATRIX, BIAS = np.arange(20, dtype="<f4"), np.arange(4, dtype="<f4")
WEIGHTS = struct.pack("<I", 0) + MATRIX.tobytes() + BIAS.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A step of three numbers and a state of two."""
    contract = build_contract(
        inputs={"x": "float32[3]"}, states={"h": "float32[2]"}, outputs={"y": "float32[2]"}
    )
    path = tmp_path / "step"
    path.mkdir()
    text = FileContract(contract=contract).to_metadata()[METADATA_KEY]
    (path / CONTRACT).write_text(text)
    (path / "step.param").write_text(TEXT)
    (path / "step.bin").write_bytes(WEIGHTS)
    return path


def test_a_right_folder_says_what_it_takes_gives_and_holds(folder: Path) -> None:
    graph, found = graph_of(folder), describe(folder)
    assert (graph.inputs, graph.outputs) == (("x", "h"), ("h_next", "y"))
    promised = FileContract.from_metadata(found.metadata, source="it").interface()
    assert found.interface == promised
    matrix, others = weight_table(graph.weights)
    assert (matrix.name, matrix.shape, matrix.dtype) == ("cell.from_hidden", (4, 5), "float32")
    assert matrix.recurrent
    assert (matrix.bytes, others.bytes) == (80, 16)
    values = [held.values(graph.content) for held in graph.weights]
    assert np.array_equal(values[0], MATRIX.reshape(4, 5))
    assert np.array_equal(values[1], BIAS)


def test_a_text_is_read_as_it_is_written() -> None:
    layers = read_text(TEXT.encode(), source="it")
    assert layers[4] == Layer("Slice", "halves", ("z",), ("a", "b"), {-23300: (2, 2), 1: 0})
    assert layers[4].wholes(0) == (2, 2)
    assert read_text(text_of(layers).encode(), source="it") == layers
    number = Layer("Clip", "c", (), ("y",), {0: -0.1, 1: 1e30})
    (again,) = read_text(text_of((number,)).encode(), source="it")
    assert np.float32(again.number(0)) == np.float32(-0.1)
    assert np.float32(again.number(1)) == np.float32(1e30)


DAMAGED = {  # what stands there, what is put there → what is said
    ("7767517", "7767518"): "begins with '7767518', expected 7767517",
    ("7 8", "8 8"): "says '8 8' layers and blobs, it has 7 8",
    ("7 8", "7 99999999999"): "says '7 99999999999' layers",
    ("2 1 x h j", "2 1 x x j"): "the blob x is read twice",
    ("2 1 x h j", "2 1 x later j"): "the blob later is read before it is made",
    ("1 1 b y", "1 1 b z"): "the blob z is made twice",
    ("2 1 x h j", "9 1 x h j"): "expected 9 and 1 names of blobs",
    ("2 1 x h j", "-1 1 x h j"): "expected a kind, a name and two counts",
    ("0=4 1=1", "0=four 1=1"): "has 'four', expected a number",
    ("0=4 1=1", "0=4 0=4 1=1"): "has the number 0 twice",
    ("-23300=2,2,2", "-23300=9,2,2"): "has '-23300=9,2,2', expected a key and its numbers",
    ("0=4 1=1", "0=99999999999 1=1"): "has '99999999999', expected a number",
    ("TanH tanh", "MyLayer tanh"): r"MyLayer \(tanh\) is no layer that edgernn writes",
    ("TanH tanh", "LSTM tanh"): r"LSTM \(tanh\) does not fit what it reads",
    ("2=20", "2=21"): r"InnerProduct \(cell.from_hidden\) does not fit what it reads, \[\[5\]\]",
    ("0=4 1=1", "0=5 1=1"): "InnerProduct .* does not fit what it reads",
    ("0=4 1=1", "0=4 1=1 8=2"): "InnerProduct .* does not fit what it reads",
    ("0=3\n", "0=4\n"): "InnerProduct .* does not fit what it reads",
    ("0=3\n", "0=-3\n"): r"Input \(x\) has no sizes",
    ("0=3\n", "\n"): r"Input \(x\) does not fit what it reads, \[\]",
    ("-23300=2,2,2", "-23300=2,2,3"): r"Slice \(halves\) does not fit",
    ("-23300=2,2,2 1=0", "-23300=2,2,2 1=1"): r"Slice \(halves\) does not fit",
}


@pytest.mark.parametrize("change", DAMAGED, ids=str)
def test_a_damaged_text_is_told_in_a_line(folder: Path, change: tuple[str, str]) -> None:
    assert change[0] in TEXT
    (folder / "step.param").write_text(TEXT.replace(change[0], change[1], 1))
    with pytest.raises(ContractError, match=DAMAGED[change]) as caught:
        describe(folder)
    assert "\n" not in str(caught.value)
    assert "step.param" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has 0 bytes, and ends in what InnerProduct"),
        (WEIGHTS[:-1], "has 99 bytes, and ends in what InnerProduct"),
        (WEIGHTS[:2], "has 2 bytes, and ends in what InnerProduct"),
        (WEIGHTS + b"\0", "has 101 bytes, its layers need 100"),
        (struct.pack("<I", 7) + WEIGHTS[4:], "is stored as 0x00000007, expected float32"),
        (struct.pack("<I", 0x000D4B38) + WEIGHTS[4:], "is stored as int8, expected float32 or"),
        (struct.pack("<I", 0x01306B47) + WEIGHTS[4:], "has 100 bytes, its layers need 60"),
    ],
)
def test_damaged_weights_are_told_in_a_line(folder: Path, content: bytes, says: str) -> None:
    (folder / "step.bin").write_bytes(content)
    with pytest.raises(ContractError, match=says) as caught:
        describe(folder)
    assert "\n" not in str(caught.value)
    assert "step.bin" in str(caught.value)


@pytest.mark.parametrize("name", ["step.param", "step.bin", CONTRACT])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ContractError, match=f"is no folder of ncnn, or is damaged: {name}"):
        describe(folder)


def test_every_kind_of_layer_refuses_what_it_does_not_fit() -> None:
    for kind in RULES:
        for given in ([], [(2, 3, 4)] * 7):
            layer = Layer(kind, "it", ("x",) * len(given), ("y", "z"), {0: -5, 1: 1 << 30})
            with pytest.raises(ContractError):
                shapes_of(layer, given)


def test_half_of_a_matrix_is_read_as_such() -> None:
    layer = Layer("InnerProduct", "head", ("x",), ("y",), {0: 3, 1: 0, 2: 15})
    values = np.linspace(-1, 1, 15).astype("<f2")
    content = struct.pack("<I", 0x01306B47) + values.tobytes() + b"\0\0"
    (held,) = read_weights([layer], content, source="it")
    assert held.dtype == "float16"
    assert np.array_equal(held.values(content), values.reshape(3, 5))
    (matrix,) = weight_table([held])
    assert (matrix.dtype, matrix.bytes, matrix.float32_bytes) == ("float16", 32, 60)


def test_axes_are_those_of_more_than_one_element() -> None:
    assert squeezed((2, 1, 8)) == (2, 8)
    assert squeezed((1, 1)) == squeezed(()) == (1,)
    assert broadcast((3, 1), (1, 5)) == (3, 5)
    assert broadcast((3, 5), (1,)) == broadcast((1,), (3, 5)) == (3, 5)
    assert broadcast((3, 5), (5,)) is None
    assert broadcast((3, 5), (2, 5)) is None
