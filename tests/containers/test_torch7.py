"""Torch7 files: what torch's own save writes, in every form; damaged and hostile ones."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from t7_writer import CLASSES, Function, Object, Storage, Tensor, t7, tensor

from edgernn.containers.content import Content, Stub
from edgernn.containers.source import open_source
from edgernn.containers.torch7 import read_torch7
from edgernn.containers.torch7_numbers import BinaryNumbers, is_torch7
from edgernn.containers.walk import tensors
from edgernn.errors import DataError

FORMS = [
    {"text": False, "long_bytes": 8},
    {"text": False, "long_bytes": 4},
    {"text": True, "long_bytes": 8},
]


def read(folder: Path, raw: bytes) -> Content:
    path = folder / "net.t7"
    path.write_bytes(raw)
    return read_torch7(open_source(path))


def network(rng: np.random.Generator) -> dict:
    """A checkpoint in the manner of char-rnn: modules, options, a vocabulary, a closure."""
    weight = rng.standard_normal((8, 3)).astype(np.float32)
    shared = Storage(weight.ravel())
    linear = Object("nn.Linear", {"weight": Tensor(shared, (8, 3), (3, 1)), "train": True})
    tied = Object("nn.LookupTable", {"weight": Tensor(shared, (8, 3), (3, 1))})
    return {
        "protos": {"rnn": Object("nn.gModule", {"modules": [linear, tied]})},
        "opt": {"rnn_size": 128, "dropout": 0.5, "model": "lstm"},
        "vocab": {"a": 1, "é": 2, b"\xff": 3},
        "apply": Function(b"\x1bLuaQ code", {"x": 1}),
        "i": 7,
        "weight": weight,
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_of_modules_in_every_form(tmp_path: Path, form: dict) -> None:
    made = network(np.random.default_rng(0))
    weight = made.pop("weight")
    content = read(tmp_path, t7(made, **form))
    tree = content.tree
    module = tree["protos"]["rnn"]
    assert (module.name, tree["i"], tree["opt"]["dropout"]) == ("nn.gModule", 7, 0.5)
    assert tree["vocab"] == {"a": 1, "é": 2, b"\xff": 3}
    linear, tied = module.attributes["modules"][1], module.attributes["modules"][2]
    assert linear.name == "nn.Linear" and linear.attributes["train"] is True
    np.testing.assert_array_equal(linear.attributes["weight"], weight)
    assert np.shares_memory(linear.attributes["weight"], tied.attributes["weight"])
    assert not linear.attributes["weight"].flags.writeable
    assert tree["apply"].name == "function" and tree["apply"].state is None
    assert any("1 functions" in sentence for sentence in content.told)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", CLASSES)
def test_storages_of_every_class(tmp_path: Path, form: dict, dtype: str) -> None:
    values = np.arange(-3 if dtype != "uint8" else 0, 9).astype(dtype)
    plain, cuda = tensor(values), tensor(values, f"torch.Cuda{CLASSES[dtype]}")
    tree = read(tmp_path, t7({"plain": plain, "cuda": cuda}, **form)).tree
    for found in tree.values():
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, values)


def test_the_plain_class_of_cuda_has_floats(tmp_path: Path) -> None:
    values = np.float32([1, -2, 0.5])
    found = read(tmp_path, t7({"w": tensor(values, "torch.Cuda")})).tree["w"]
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("form", FORMS)
def test_views_of_one_storage_with_strides_and_offsets(tmp_path: Path, form: dict) -> None:
    base = np.arange(24.0)
    storage = Storage(base)
    made = {
        "columns": Tensor(storage, (3, 4), (1, 6), 2),
        "expanded": Tensor(storage, (2, 3), (0, 1), 5),
        "none": Tensor(None, (), (), 1, "torch.Double"),
        "special": tensor(np.float64([np.inf, -np.inf, np.nan])),
    }
    tree = read(tmp_path, t7(made, **form)).tree
    np.testing.assert_array_equal(tree["columns"], [base[1 + i :: 6][:4] for i in range(3)])
    np.testing.assert_array_equal(tree["expanded"], [base[4:7]] * 2)
    np.testing.assert_array_equal(tree["special"], [np.inf, -np.inf, np.nan])
    assert tree["none"].size == 0
    assert np.may_share_memory(tree["columns"], tree["expanded"])


def test_tensors_of_modules_have_names(tmp_path: Path) -> None:
    weight = np.ones((2, 3), np.float32)
    buffers = {"output": tensor(weight), "gradWeight": tensor(weight), "cell": tensor(weight[:0])}
    linear = Object("nn.Linear", {"weight": tensor(weight), **buffers})
    net = Object("nn.Sequential", {"modules": {1: linear}, "graph": {1: linear}})
    model = Object("nn.LanguageModel", {"net": net})
    found = tensors(read(tmp_path, t7({"model": model})).tree)
    assert list(found) == ["model.net.modules.1.weight"]


def test_graphs_may_hold_themselves(tmp_path: Path) -> None:
    node = Object("nngraph.Node", {"children": {}})
    node.fields["children"][1] = node
    node.fields["children"][node] = 1  # nngraph keeps the place of every child beside the list
    found = read(tmp_path, t7(node)).tree
    assert isinstance(found, Stub) and found.attributes["children"] == {1: found}


def test_old_functions_and_classes_without_a_version(tmp_path: Path) -> None:
    for code in (6, 7, 8):
        old = Object("nn.Old", {"f": Function(b"code", {}, code)}, version=False)
        found = read(tmp_path, t7({"old": old, "after": 3})).tree
        assert found["old"].name == "nn.Old" and found["after"] == 3


def test_numbers_that_are_no_integers_of_lua_stay_floats(tmp_path: Path) -> None:
    values = {"whole": 5.0, "half": 0.5, "large": 2.0**60, "endless": float("inf")}
    found = read(tmp_path, t7(values)).tree
    assert found == values and [type(v) for v in found.values()] == [int, float, float, float]


def test_what_stands_after_the_object_is_told(tmp_path: Path) -> None:
    content = read(tmp_path, t7({"a": 1}) + b"more")
    assert content.tree == {"a": 1} and "4 bytes" in content.told[0]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, form: dict) -> None:
    made = network(np.random.default_rng(1))
    del made["weight"]
    raw = t7(made, **form)
    for length in range(len(raw) - 1):  # the last byte of the text form is a line end
        with pytest.raises(DataError, match="damaged"):
            read(tmp_path, raw[:length])


@pytest.mark.parametrize("form", FORMS)
def test_changed_bytes_are_refused_or_read_as_other_values(tmp_path: Path, form: dict) -> None:
    made = network(np.random.default_rng(2))
    del made["weight"]
    raw, rng = t7(made, **form), random.Random(3)
    for _ in range(400):
        changed = bytearray(raw)
        for _ in range(rng.choice([1, 1, 3])):
            changed[rng.randrange(len(raw))] = rng.randrange(256)
        try:
            read(tmp_path, bytes(changed))
        except DataError as error:
            assert "\n" not in str(error)


def _i(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def _said(name: bytes) -> bytes:
    return _i(3) + b"V 1" + _i(len(name)) + name


TENSOR = _i(4, 1) + _said(b"torch.FloatTensor")
STORAGE = _i(4, 2) + _said(b"torch.FloatStorage")


@pytest.mark.parametrize(
    "raw",
    [
        _i(3, 1, -1),
        _i(3, 1, 2**31 - 1),
        _i(3, 1, 1, 0, 0),
        _i(3, 1, 2, 2, 1) + b"a" + _i(0, 2, 1) + b"a" + _i(0),
        _i(9, 1, 1),
        _i(2, 2**31 - 1),
        _i(2, -5),
        TENSOR + _i(-1),
        TENSOR + _i(2**20),
        TENSOR + _i(1) + struct.pack("<3q", 4, 1, 1) + STORAGE + struct.pack("<q3f", 3, 1, 2, 3),
        TENSOR + _i(1) + struct.pack("<3q", 3, -1, 3) + STORAGE + struct.pack("<q3f", 3, 1, 2, 3),
        TENSOR + _i(1) + struct.pack("<3q", 3, 1, 0) + STORAGE + struct.pack("<q3f", 3, 1, 2, 3),
        TENSOR + _i(1) + struct.pack("<3q", 2**40, 0, 1) + STORAGE + struct.pack("<qf", 1, 1),
        TENSOR + _i(1) + struct.pack("<3q", -2, 1, 1) + STORAGE + struct.pack("<q3f", 3, 1, 2, 3),
        TENSOR + _i(1) + struct.pack("<3q", 2, 1, 1) + _i(0),
        TENSOR + _i(1) + struct.pack("<3q", 2, 1, 1) + _i(3, 2, 0),
        TENSOR + _i(1) + struct.pack("<3q", 2, 1, 1) + _i(4, 1),
        TENSOR + _i(0) + struct.pack("<q", 1) + STORAGE + struct.pack("<q", 2**60),
        _i(4, 1) + _said(b"nn.\0Linear") + _i(0),
        _i(*[v for k in range(1, 12_000) for v in (3, k, 1)]),
    ],
)
def test_hostile_files_are_refused_in_a_line(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(DataError, match="damaged") as caught:
        read(tmp_path, raw)
    assert "\n" not in str(caught.value)


def test_nests_are_read_without_recursion_and_are_bounded(tmp_path: Path) -> None:
    def nested(depth: int) -> bytes:
        tables = [v for k in range(1, depth) for v in (3, k, 1)]  # each is the other's key
        return b"".join(_i(*tables[k : k + 3]) for k in range(0, len(tables), 3)) + _i(2, 0)

    with pytest.raises(DataError, match="damaged"):
        read(tmp_path, nested(9_000))  # cut off, but read to its depth
    with pytest.raises(DataError, match="nested too deeply"):
        read(tmp_path, nested(11_000))


def test_classes_with_a_form_of_their_own_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tds\.Hash"):
        read(tmp_path, t7({"words": Object("tds.Hash", {})}))


def test_it_is_told_by_its_first_bytes() -> None:
    for value in ({"a": 1}, [1, 2], {}, Object("nn.Linear", {}), tensor(np.zeros(2))):
        for form in FORMS:
            assert is_torch7(t7(value, **form))
    others = [b"PK\3\4", b"\x80\x02}q\0.", b"", b"3", b'{"a": 1}', bytes(12), _i(3, 2, 1) + b"\2"]
    assert not any(map(is_torch7, others))


def test_what_is_missing_is_told_in_numbers_and_bytes() -> None:
    with pytest.raises(ValueError, match=r"^1 number of 4 bytes should follow, .* 1 byte left$"):
        BinaryNumbers(b"x", 8).integer()
    with pytest.raises(ValueError, match=r"^2 numbers of 1 byte should follow"):
        BinaryNumbers(b"x", 8).characters(2)
