"""Pickles of any protocol, of Python 2 and 3, give the values that Python's own unpickler gives."""

from __future__ import annotations

import argparse
import collections
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.containers.content import Stub
from edgernn.containers.pickle_machine import load
from edgernn.containers.reading import read
from edgernn.containers.walk import tensors
from edgernn.errors import DataError

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
_KEYS = st.text() | st.integers(-(1 << 63), 1 << 63) | st.binary() | st.none()
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(_KEYS, inner)
        | st.tuples(inner, inner)
        | st.sets(_KEYS)
        | st.frozensets(_KEYS)
        | st.dictionaries(_KEYS, inner).map(collections.OrderedDict)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(_VALUES, st.integers(0, 5))
def test_values_come_back(value: Any, protocol: int) -> None:
    assert load(memoryview(pickle.dumps(value, protocol))) == value


_ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "by columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">i4"),
    "int8": np.array([-1, 5], np.int8),
    "bool": np.array([True, False]),
    "half": np.array([1.5], np.float16),
    "complex": np.array([1 + 2j]),
    "texts": np.array(["ab", "c"]),
    "empty": np.zeros((0, 3)),
    "a scalar array": np.array(2.5),
    "a view": np.arange(10)[::3],
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", _ARRAYS.values(), ids=_ARRAYS)
def test_arrays_come_back(tmp_path: Path, array: np.ndarray, protocol: int) -> None:
    value = {"a": array, "again": array, "list": [array]}
    (tmp_path / "file").write_bytes(pickle.dumps(value, protocol))
    found = read(tmp_path / "file").tree
    np.testing.assert_array_equal(found["a"], array)
    assert found["a"].dtype == array.dtype.newbyteorder("=")
    assert found["a"] is found["again"] is found["list"][0]
    assert not array.size or not found["a"].flags.writeable


@pytest.mark.parametrize("protocol", range(6))
def test_scalars_of_numpy_become_numbers(protocol: int) -> None:
    raw = pickle.dumps([np.float32(1.5), np.int64(-3), np.bool_(True)], protocol)
    assert load(memoryview(raw)) == [1.5, -3, True]
    assert [type(v) for v in load(memoryview(raw))] == [float, int, bool]


def test_modules_of_older_numpy_are_known() -> None:
    raw = pickle.dumps(np.arange(3.0), 2).replace(b"numpy._core", b"numpy.core")
    assert load(memoryview(raw)).tolist() == [0, 1, 2]


def test_objects_in_arrays_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pickle.dumps(np.array([{}, []], dtype=object)))
    with pytest.raises(DataError, match="an array of Python objects, which holds no numbers"):
        read(tmp_path / "file")


def test_dates_and_records_stay_stubs() -> None:
    dates = load(memoryview(pickle.dumps(np.array(["2020-01-01"], "datetime64[D]"))))
    assert isinstance(dates, Stub)
    assert dates.name == "numpy.ndarray"


class Vocabulary:
    """As yunjey/pytorch-tutorial's."""

    def __init__(self) -> None:
        self.word2idx = {"<pad>": 0, "a": 1}
        self.idx = 2


@pytest.mark.parametrize("protocol", range(6))
def test_objects_become_stubs_with_attributes(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "vocab.pkl").write_bytes(pickle.dumps(Vocabulary(), protocol))
    found = read(tmp_path / "vocab.pkl").tree
    assert found.name == f"{__name__}.Vocabulary"
    assert found.attributes == {"word2idx": {"<pad>": 0, "a": 1}, "idx": 2}


@pytest.mark.parametrize("protocol", range(6))
def test_options_are_read(tmp_path: Path, protocol: int) -> None:
    options = argparse.Namespace(rnn_size=12, caption_model="updown")
    infos = {"opt": options, "iter": 7, "vocab": {"1": "a"}}
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps(infos, protocol))
    found = read(tmp_path / "infos.pkl").tree
    assert found["opt"].name == "argparse.Namespace"
    assert found["opt"].attributes == {"rnn_size": 12, "caption_model": "updown"}
    assert (found["iter"], found["vocab"]) == (7, {"1": "a"})


class Words(dict[str, int]):
    """A dict of a class of its own."""


@pytest.mark.parametrize("protocol", range(2, 6))
def test_dicts_and_lists_of_own_classes_keep_their_entries(protocol: int) -> None:
    found = load(memoryview(pickle.dumps(Words(a=1), protocol)))
    assert found.name == f"{__name__}.Words"
    assert found.entries == [("a", 1)]


# What cPickle of Python 2.7 writes for {'n': 1, 'w': 'caf\xe9', 'u': u'\xe9', 'l': [2L, 1.5]}, an
# object of a class of the old kind, and numpy.arange(2, dtype='f4').
_OF_PYTHON_2 = {
    2: b"\x80\x02}q\x01(U\x01nK\x01U\x01wU\x04caf\xe9q\x02U\x01uX\x02\x00\x00\x00\xc3\xa9"
    b"U\x01l]q\x03(\x8a\x01\x02G?\xf8\x00\x00\x00\x00\x00\x00eu.",
    1: b"}q\x01(U\x01nK\x01U\x01wU\x04caf\xe9q\x02U\x01uX\x02\x00\x00\x00\xc3\xa9"
    b"U\x01l]q\x03(L2L\nG?\xf8\x00\x00\x00\x00\x00\x00eu.",
    0: b"(dp1\nS'n'\nI1\nsS'w'\np2\nS'caf\\xe9'\np3\nsS'u'\nV\xe9\np4\n"
    b"sS'l'\n(lp5\nL2L\naF1.5\nas.",
}


@pytest.mark.parametrize("protocol", _OF_PYTHON_2)
def test_pickles_of_python_2(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "file").write_bytes(_OF_PYTHON_2[protocol])
    found = read(tmp_path / "file")
    assert found.container == "pickle"
    assert found.tree == {"n": 1, "w": "café", "u": "é", "l": [2, 1.5]}


def test_an_array_of_python_2() -> None:
    raw = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
        b"\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02f4K\x00K\x01\x87Rq\x05(K\x03U\x01<NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08\x00\x00\x00\x00\x00\x00\x80?tb."
    )
    assert load(memoryview(raw)).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    "raw",
    [
        b"(i__main__\nVocab\np0\n(dp1\nS'idx'\nI4\nsb.",
        b"(c__main__\nVocab\nq\x00oq\x01}q\x02U\x03idxK\x04sb.",
        b"ccopy_reg\n_reconstructor\np0\n(c__main__\nVocab\np1\nc__builtin__\nobject\np2\nNtRp3\n"
        b"(dp4\nS'idx'\nI4\nsb.",
    ],
)
def test_objects_of_python_2(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "file").write_bytes(raw)
    found = read(tmp_path / "file").tree
    assert found.name == "__main__.Vocab"
    assert found.attributes == {"idx": 4}


def test_a_text_is_no_pickle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("(Note that a text can begin so.)\nclass words\n.")
    with pytest.raises(DataError, match="is a text file"):
        read(tmp_path / "file")


@pytest.mark.parametrize("protocol", range(6))
def test_a_module_that_pickle_itself_wrote(protocol: int, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.LSTM(3, 4), torch.nn.BatchNorm1d(4)).half()
    path = tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps({"net": net, "view": torch.arange(6.0).view(2, 3).T}, protocol))
    found = tensors(read(path).tree)
    assert found.pop("view").tolist() == [[0, 3], [1, 4], [2, 5]]
    wanted = {f"net.{name}": value for name, value in net.state_dict().items()}
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], value.numpy()) for name, value in wanted.items())


def _inside(raw: bytes) -> bytes:
    """A call of torch's that reads a file inside, of protocol 3."""
    return b"ctorch.storage\n_load_from_bytes\nB" + len(raw).to_bytes(4, "little") + raw + b"\x85R"


def _file_of(value: object) -> bytes:
    """A file of torch's older format."""
    made = io.BytesIO()
    torch.save(value, made, _use_new_zipfile_serialization=False)
    return made.getvalue()


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x80\x02N.", _file_of([1, 2]), b"\x80\x02" + _inside(b"\x80\x02N.") + b"."],
    ids=["nothing", "one pickle", "no storage", "a further one inside"],
)
def test_a_file_inside_that_is_no_storage(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pkl").write_bytes(b"\x80\x03" + _inside(raw) + b".")
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path / "net.pkl")
