"""Recorded arrays, from every file that people keep them in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edgernn.errors import DataError
from edgernn.storage.recordings import read_arrays

X = np.arange(6.0, dtype=np.float32).reshape(3, 2)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=X, y=X[:, 0])
    np.save("a.npy", X)
    safetensors.numpy.save_file({"x": X}, "a.safetensors")


def test_named_arrays_and_the_one_array() -> None:
    assert list(read_arrays(Path("a.npz"), ["x"])) == ["x", "y"]
    for path in ("a.npy", "a.safetensors"):
        assert np.array_equal(read_arrays(Path(path), ["x"])["x"], X)


@pytest.mark.parametrize(
    ("text", "names", "shapes"),
    [
        ("0,1\n2,3\n4,5\n", ["x"], {"x": (3, 2)}),
        ("left;right\n0;1\n2;3\n", ["x"], {"x": (2, 2)}),
        ("x,dt\n0,1\n2,3\n", ["x", "dt"], {"x": (2,), "dt": (2,)}),
        ("dt\tx0\tx1\n0\t1\t2\n", ["x", "dt"], {"dt": (1,), "x": (1, 2)}),
        ("x[0],x[1],x2\n0,1,2\n\n3,4,5\n", ["x2", "x"], {"x": (2, 2), "x2": (2,)}),
    ],
)
def test_columns(text: str, names: list[str], shapes: dict[str, tuple[int, ...]]) -> None:
    Path("a.csv").write_text(text)
    found = read_arrays(Path("a.csv"), names)
    assert {name: array.shape for name, array in found.items()} == shapes


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("none.npz", None, r"none\.npz is not there.*\.npz, \.npy, \.safetensors, \.csv"),
        ("a.txt", "1,2\n", "a.txt is a text file.*expected recorded arrays"),
        ("a.npz", "PK\x03\x04", "a.npz is damaged"),
        (
            "a.npz",
            "x,y\n1,2\n",
            r"a\.npz is no npz file, it begins with b'x,y.*numpy\.savez writes$",
        ),
        ("b.npy", "one", r"b\.npy is no npy file, it begins with b'one'; .*numpy\.save writes$"),
        ("b.npy", "", r"b\.npy is damaged"),
        ("a.npy", None, r"holds one array, expected x, y; give them by name"),
        ("a.csv", "x,z\n1,2\n", r"has x, z; expected a header that names the inputs x, y"),
        ("a.csv", "1,2\n3,four\n", r"a\.csv:2 has 'four', expected a number"),
        ("a.csv", "1,2\n3\n", r"a\.csv:2 has 1 values, the first row has 2"),
        ("a.csv", "x,y\n", "has no rows of numbers"),
    ],
)
def test_what_holds_no_such_arrays_is_told(path: str, text: str | None, says: str) -> None:
    if text is not None:
        Path(path).write_text(text)
    with pytest.raises(DataError, match=says):
        read_arrays(Path(path), ["x", "y"])


def test_objects_are_not_unpickled() -> None:
    objects = np.array(["left", "right"], dtype=object)
    np.savez("a.npz", x=X, labels=objects)
    np.save("a.npy", objects)
    says = r"a\.npz: labels holds Python objects, .* as text, np\.array\(labels, dtype=str\)"
    with pytest.raises(DataError, match=says):
        read_arrays(Path("a.npz"), ["x"])
    with pytest.raises(DataError, match=r"a\.npy: a holds Python objects"):
        read_arrays(Path("a.npy"), ["x"])
