"""numpy's and safetensors' files as containers, written by their libraries; damaged and hostile."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from edgernn.containers.reading import read
from edgernn.errors import DataError

ARRAYS = {
    "weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "halves": np.arange(3, dtype=np.float16),
    "big": np.arange(4, dtype=">f4"),
    "steps": np.array(7),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 3)),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_has_its_arrays(tmp_path: Path, save) -> None:
    path = tmp_path / "weights.bin"
    with path.open("wb") as file:
        save(file, **ARRAYS, words=np.array(["a", "é"]))
    tree = read(path).tree
    assert tree.pop("words") == ["a", "é"]
    assert list(tree) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(tree[name], array)
        assert tree[name].dtype.isnative


def test_one_array_is_a_view_of_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "kernel.npy", ARRAYS["columns"])
    tree = read(tmp_path / "kernel.npy").tree
    np.testing.assert_array_equal(tree["kernel"], ARRAYS["columns"])
    assert not tree["kernel"].flags.writeable


@pytest.mark.parametrize(
    "array", [np.array([{}]), np.array([1j]), np.zeros(2, [("a", "f4")]), np.zeros(2, "M8[s]")]
)
def test_objects_and_strange_types_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match="which is not taken; save numbers"):
            read(tmp_path / name)


def _npy(shape: str, dtype: str = "<f4", data: bytes = b"") -> bytes:
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + data


@pytest.mark.parametrize(
    "raw",
    [
        _npy("(4,)", data=bytes(12)),
        _npy("(-1, -3)", data=bytes(12)),
        _npy("(1000000, 1000000, 1000000)"),
        _npy("'text'"),
        _npy("(3,)", "no type", bytes(12)),
        _npy("(1,)", "<U1", b"\xff\xff\xff\xff"),
        _npy("(1000000000,)", "<U0"),
        _npy("(0, 1000000000000000000, 1000000000000000000)"),
        b"\x93NUMPY\1\0\xff\xff",
        b"\x93NUMPY\x09\0" + bytes(60),
        b"\x93NUMPY\2\0\xff\xff\xff\xff{",
    ],
)
def test_hostile_arrays_are_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(raw)
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path / "a.npy")


def test_files_cut_off_anywhere_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **{k: v for k, v in ARRAYS.items() if k != "none"})
    np.save(tmp_path / "a.npy", ARRAYS["weight"])
    safetensors.numpy.save_file({"w": ARRAYS["weight"]}, tmp_path / "a.safetensors")
    for name in ("a.npz", "a.npy", "a.safetensors"):
        raw = (tmp_path / name).read_bytes()
        for length in range(1, len(raw), 7):
            (tmp_path / "cut").write_bytes(raw[:length])
            with pytest.raises(DataError):
                read(tmp_path / "cut")


def test_an_archive_that_would_unfold_without_end_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        data = io.BytesIO()
        np.save(data, np.zeros(25_000_000, np.float32))
        archive.writestr("w.npy", data.getvalue())
    with pytest.raises(DataError, match="unpacks to 100,000,128 bytes"):
        read(tmp_path / "a.npz")


def test_safetensors_have_tensors_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "net.bin"
    values = torch.tensor([1.5, -2.0, 3e38, 1e-40])
    named = {"wide": values, "brain": values.bfloat16(), "half": values[:2].half()}
    safetensors.torch.save_file(named, path, {"format": "pt"})
    content = read(path)
    assert content.metadata == {"format": "pt"}
    np.testing.assert_array_equal(content.tree["wide"], values.numpy())
    np.testing.assert_array_equal(content.tree["brain"], values.bfloat16().float().numpy())
    assert content.tree["half"].dtype == np.float16


def test_a_type_that_numpy_lacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    safetensors.torch.save_file({"w": torch.zeros(3).to(torch.float8_e4m3fn)}, path)
    with pytest.raises(DataError, match="'w' of the type F8_E4M3, which numpy lacks"):
        read(path)


def test_a_type_of_no_number_is_refused(tmp_path: Path) -> None:
    """``S32`` is a type of numpy's own, and none of the format's."""
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors.numpy.save({"w": np.zeros((4, 2), "f4")}).replace(b"F32", b"S32"))
    with pytest.raises(DataError, match="'w' of the type S32"):
        read(path)
