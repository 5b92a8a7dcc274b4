"""Nothing that a pickle names is run, nothing is written, and memory stays bounded; what comes out
is an error of one line or a tree without life.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.containers.content import Content, Stub
from edgernn.containers.pickle_machine import load
from edgernn.containers.reading import read
from edgernn.containers.walk import modules, tensors
from edgernn.errors import DataError
from tests.containers.broken import BREAKING, OUTSIDE
from tests.containers.hostile import CANARY, RUNNING

_MOST_BYTES = 64 << 20
_STORAGE = np.arange(4, dtype=np.float32).tobytes()
_LEAVES = (bool, int, float, complex, str, bytes, np.ndarray, type(None))
_MAGIC = 0x1950A86A20F9469CFC6C

Wrap = Callable[[Path, bytes], None]


def alone(path: Path, raw: bytes) -> None:
    path.write_bytes(raw if raw.startswith(b"\x80") else b"\x80\x02" + raw)


def in_zip(path: Path, raw: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", raw)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", _STORAGE)
        archive.writestr("archive/version", "3\n")


def plain(value: object) -> bytes:
    """A pickle of plain values, of protocol 2 as torch writes them."""
    return pickle.dumps(value, 2)


def in_legacy(path: Path, raw: bytes) -> None:
    head = plain(_MAGIC) + plain(1001) + plain({"little_endian": True})
    keys = plain(["0"] if raw in OUTSIDE.values() else [])
    data = struct.pack("<q", 4) + _STORAGE if raw in OUTSIDE.values() else b""
    path.write_bytes(head + raw + keys + data)


HOSTILE = {**RUNNING, **BREAKING, **OUTSIDE}
WRAPS: dict[str, Wrap] = {"pickle": alone, "zip": in_zip, "legacy": in_legacy}


class Watch:
    """What Python's audit hooks saw: opened files, imports, processes, code."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[tuple[str, Any]] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event not in _HARMLESS:
            self.seen.append((event, arguments[:3]))


_HARMLESS = {"mmap.__new__", "object.__getattr__", "builtins.id", "sys._getframe"}
_WATCH = Watch()
sys.addaudithook(_WATCH)  # for good: hooks cannot be removed


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What readers import at first use, is imported now."""
    for word, wrap in WRAPS.items():
        path = tmp_path_factory.mktemp("warm") / word
        wrap(path, b"N.")
        assert isinstance(outcome(path), Content)
    path.write_bytes(b"nothing")
    assert isinstance(outcome(path), DataError)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _reads(path: Path, event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether it is ``path`` that is opened, to be read; by its name or as what has a number."""
    if event != "open":
        return False
    opened, mode, flags = arguments
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    return (type(opened) is int or str(opened) == str(path)) and not (
        flags & writing or set(mode or "r") & set("wax+")
    )


@contextlib.contextmanager
def watching(path: Path) -> Iterator[None]:
    """Fail where anything is opened but ``path``, to read it, or anything else is done."""
    before = set(sys.modules)
    _WATCH.seen.clear()
    _WATCH.on = True
    try:
        yield
    finally:
        _WATCH.on = False
    assert [event for event in _WATCH.seen if not _reads(path, *event)] == []
    assert set(sys.modules) == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def lifeless(tree: Any) -> bool:
    """Whether a tree is of plain values, arrays and stubs alone."""
    pending, seen = [tree], set[int]()
    while pending:
        value = pending.pop()
        if id(value) in seen or type(value) in _LEAVES:
            continue
        seen.add(id(value))
        if isinstance(value, Stub):
            pending += [value.name, value.arguments, value.state, value.items, value.entries]
        elif type(value) is dict:
            pending += [*value.keys(), *value.values()]
        elif type(value) in (list, tuple, set, frozenset):
            pending += value
        else:
            return False
    return True


def outcome(path: Path) -> Content | DataError:
    """What reading gives, and walking over it: no other error than DataError."""
    try:
        content = read(path)
        assert lifeless(content.tree)
        tensors(content.tree)
        list(modules(content.tree))
    except DataError as error:
        return error
    return content


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_nothing_runs(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "file"
    for word, wrap in WRAPS.items():
        wrap(path, raw)
        with watching(path):
            found = outcome(path)
        assert isinstance(found, Content) or "\n" not in str(found), word


@pytest.mark.parametrize("raw", BREAKING.values(), ids=BREAKING)
def test_memory_stays_bounded(tmp_path: Path, raw: bytes) -> None:
    in_zip(tmp_path / "file", raw)
    tracemalloc.start()
    try:
        with contextlib.suppress(DataError):
            read(tmp_path / "file")
        assert tracemalloc.get_traced_memory()[1] < _MOST_BYTES
    finally:
        tracemalloc.stop()


def test_the_pickles_are_armed(tmp_path: Path) -> None:
    """Python's own unpickler runs them: the table would find a reader that does."""
    for name in ("reduce of os.system", "inst", "obj", "stack_global", "a framed call"):
        pickle.loads(RUNNING[name])  # noqa: S301 - to see that it does harm
        assert (tmp_path / CANARY).exists(), name
        (tmp_path / CANARY).unlink()


@pytest.mark.parametrize("raw", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("wrap", [in_zip, in_legacy])
def test_a_tensor_stays_in_its_storage(tmp_path: Path, raw: bytes, wrap: Wrap) -> None:
    wrap(tmp_path / "file", raw)
    found = outcome(tmp_path / "file")
    if isinstance(found, Content):  # an empty tensor is none of them
        assert isinstance(found.tree, np.ndarray)
        assert found.tree.size == 0
    else:
        assert "is damaged" in str(found)


def test_calls_become_stubs_with_what_they_were_given(tmp_path: Path) -> None:
    alone(tmp_path / "file", RUNNING["reduce of os.system"])
    found = read(tmp_path / "file").tree
    assert (found.name, found.arguments) == ("os.system", ("touch canary",))


@pytest.mark.parametrize("protocol", range(6))
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path, protocol: int) -> None:
    value = {"a": [1, 2.5, (None, True)], "b": "words", "c": b"bytes", "d": {3, 4}, 5: 1 << 70}
    raw = pickle.dumps(value, protocol)
    assert load(memoryview(raw)) == value
    for end in range(len(raw)):
        with pytest.raises(ValueError, match="the pickle in it cannot be read at byte"):
            load(memoryview(raw[:end]))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_values_or_an_error(raw: bytes) -> None:
    try:
        assert lifeless(load(memoryview(raw + b".")))
    except ValueError as error:
        assert "\n" not in str(error)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*b"(])}NKMXUc0123aeosutbRlqhpgQPi.\x80\x81\x85\x86\x87\x8f\x90\x91\x92\x93"]
        ),
        max_size=50,
    )
)
def test_any_opcodes_give_values_or_an_error(codes: list[int]) -> None:
    try:
        assert lifeless(load(memoryview(bytes(codes) + b"N.")))
    except ValueError as error:
        assert "the pickle in it" in str(error)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("100,000 open marks", "more than 10,000 open marks"),
        ("numbers whose hashes are one", "a int as a key, which no checkpoint has"),
        ("100,000 tuples as a key", "a tuple as a key, which no checkpoint has"),
        ("billion laughs as a key", "a tuple as a key, which no checkpoint has"),
        ("text encoded over and over", "its calls copy more than it holds"),
        ("a list copied over and over", "its calls copy more than it holds"),
        ("a huge frame", r"a length of [\d,]+ bytes, 2 are left"),
        ("a long of 100 kB", "a number of 100,000 bytes"),
    ],
)
def test_what_is_bounded_is_said(row: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(memoryview(BREAKING[row]))
