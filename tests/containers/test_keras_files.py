"""Keras files laid out as Keras 1, 2 and 3 write them (Keras 3.15's own were compared), and HDF5
that leads out of itself, declares what it has not, or is damaged.
"""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgernn.containers import hdf5_apart
from edgernn.containers.hdf5 import Refused, read_groups
from edgernn.containers.reading import read
from edgernn.errors import DataError, UnavailableError

CONFIG = {"class_name": "Sequential", "config": {"name": "net", "layers": []}}
RNG = np.random.default_rng(0)
KERNEL, RECURRENT, BIAS = (RNG.standard_normal(s).astype(np.float32) for s in ((3, 8), (2, 8), 8))


def keras2(path: Path, *, whole: bool, names: type = bytes, split: bool = False) -> None:
    """Keras's ``save_weights_to_hdf5_group``: lists of names as attributes, long ones in parts."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole else file
        if whole:
            file.attrs["model_config"] = json.dumps(CONFIG)
            optimiser = file.create_group("optimizer_weights").create_group("Adam")
            optimiser["m"] = np.zeros(1000)
        group.attrs["keras_version"], group.attrs["backend"] = b"2.4.0", "tensorflow"
        layers = [b"zeta", b"alpha", b"empty"]
        if split:
            group.attrs["layer_names0"], group.attrs["layer_names1"] = layers[:2], layers[2:]
        else:
            group.attrs["layer_names"] = layers if names is bytes else [n.decode() for n in layers]
        weights = {
            "zeta": {"zeta/lstm_cell/kernel:0": KERNEL, "zeta/lstm_cell/bias:0": BIAS},
            "alpha": {"alpha_W_i": RECURRENT},  # as Keras 1 names them
            "empty": {},
        }
        for layer, arrays in weights.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                inner[name] = array


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("how", [{}, {"names": str}, {"split": True}])
def test_a_file_of_keras_2(tmp_path: Path, whole: bool, how: dict) -> None:
    keras2(tmp_path / "net.h5", whole=whole, **how)
    content = read(tmp_path / "net.h5")
    layers = content.tree["layers"]
    assert content.tree["config"] == (CONFIG if whole else None)
    assert content.container == ("Keras 2 model (.h5)" if whole else "Keras 2 weights (.h5)")
    assert content.metadata == {"keras_version": "2.4.0", "backend": "tensorflow"}
    assert list(layers) == ["zeta", "alpha", "empty"]  # the file's order, not the alphabet's
    assert list(layers["zeta"]) == ["zeta/lstm_cell/kernel:0", "zeta/lstm_cell/bias:0"]
    np.testing.assert_array_equal(layers["zeta"]["zeta/lstm_cell/bias:0"], BIAS)
    np.testing.assert_array_equal(layers["alpha"]["alpha_W_i"], RECURRENT)
    assert layers["empty"] == {}


def keras3(brain: bool = False) -> bytes:
    """Keras 3's ``model.weights.h5``: groups by class and order, weights by number."""
    raw = io.BytesIO()
    with h5py.File(raw, "w") as file:
        for place, name, arrays in [
            ("layers/lstm/cell", "lstm_cell", [KERNEL, RECURRENT, BIAS]),
            ("layers/lstm", "first", []),
            ("layers/dense", "dense", [np.full((2, 2), k, np.float32) for k in range(11)]),
            ("optimizer", "adam", [np.zeros((500, 500))]),
        ]:
            group = file.create_group(f"{place}/vars")
            group.attrs["name"] = name
            for index, array in enumerate(arrays):
                group[str(index)] = array
        if brain:  # ml_dtypes.bfloat16 has no type in HDF5: bytes, and its name beside
            values = np.array([0x3FC0, 0xC000], "<u2").view("V2")
            file["layers/dense/vars/11"] = values
            file["layers/dense/vars/11"].attrs["dtype"] = "bfloat16"
    return raw.getvalue()


def test_an_archive_of_keras_3(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.bin", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(CONFIG))
        archive.writestr("model.weights.h5", keras3(brain=True))
    content = read(tmp_path / "net.bin")
    assert content.metadata == {"keras_version": "3.15.1"} and content.tree["config"] == CONFIG
    layers = content.tree["layers"]["layers"]
    assert content.tree["layers"].keys() == {"layers"}  # nothing of the optimiser
    for index, array in enumerate((KERNEL, RECURRENT, BIAS)):
        np.testing.assert_array_equal(layers["lstm"]["cell"]["vars"][str(index)], array)
    assert list(layers["dense"]["vars"]) == [str(index) for index in range(12)]
    assert layers["dense"]["vars"]["11"].tolist() == [1.5, -2.0]
    assert content.tree["names"]["layers/lstm"] == "first"


@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_a_description_that_unpacks_to_far_more_than_a_network_needs_is_not_unpacked(
    tmp_path: Path, name: str
) -> None:
    parts = {"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": keras3()}
    parts[name] = b'{"x": [' + b"[],".join([b""] * (8 << 20)) + b"[]]}"  # 24 MB
    with zipfile.ZipFile(tmp_path / "net.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=rf"'{name}' has 25,\d+,\d+ bytes, expected at most"):
            read(tmp_path / "net.keras")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("given", "told"), [("[" * (17 << 20), "17,825,792 bytes"), (7, "is no text"), ("{", ": ")]
)
def test_a_model_config_that_describes_none_is_refused(
    tmp_path: Path, given: object, told: str
) -> None:
    with h5py.File(tmp_path / "net.h5", "w", libver="latest") as file:
        file.attrs["model_config"] = given
    with pytest.raises(DataError, match=f"its model_config.*{told}"):
        read(tmp_path / "net.h5")


def test_weights_alone_of_keras_3(tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(keras3())
    content = read(tmp_path / "net")
    assert content.container == "Keras 3 weights (.weights.h5)" and content.tree["config"] is None
    assert list(content.tree["layers"]["layers"]["lstm"]["cell"]["vars"]) == ["0", "1", "2"]


def test_an_archive_without_its_weights_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("x/config.json", "{}")
        archive.writestr("x/model.weights.h5", b"")
    with pytest.raises(DataError, match=r"has no config\.json"):
        read(tmp_path / "net.keras")


@pytest.mark.parametrize("what", ["layer", "weight"])
def test_a_listed_name_that_is_missing_is_told(tmp_path: Path, what: str) -> None:
    keras2(tmp_path / "net.h5", whole=False)
    with h5py.File(tmp_path / "net.h5", "r+") as file:
        del file["alpha" if what == "layer" else "alpha/alpha_W_i"]
    with pytest.raises(DataError, match=r"alpha.* is missing"):
        read(tmp_path / "net.h5")


def _external(file: h5py.File) -> None:
    file["a"] = h5py.ExternalLink("/etc/hostname", "/x")


def _soft(file: h5py.File) -> None:
    file["b"] = np.zeros(2)
    file["a"] = h5py.SoftLink("/b")


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/other.h5", "data", (4,))
    file.create_virtual_dataset("a", layout)


def _outside(file: h5py.File) -> None:
    file.create_dataset("a", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def _objects(file: h5py.File) -> None:
    file.create_dataset("a", (4,), h5py.vlen_dtype(np.float32))


def _references(file: h5py.File) -> None:
    file.create_dataset("a", (4,), h5py.ref_dtype)


def _huge(file: h5py.File) -> None:
    file.create_dataset("a", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")


def _huge_twice(file: h5py.File) -> None:
    for name in "abcdef":
        file.create_dataset(name, (1 << 20,), "f4", chunks=(1024,), compression="gzip")


def _unwritten(file: h5py.File) -> None:
    file.create_dataset("a", (1 << 20,), "f4")


def _in_itself(file: h5py.File) -> None:
    file["a/b"] = file["/"]


def _deep(file: h5py.File) -> None:
    file.create_group("/".join("a" * 60))


def _scaled(file: h5py.File) -> None:
    file.create_dataset("a", (64,), "f4", chunks=(64,), scaleoffset=2)


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (_external, "a is a link to another place"),
        (_soft, "a is a link to another place"),
        (_virtual, "the data of /a lies outside it"),
        (_outside, "the data of /a lies outside it"),
        (_objects, "/a is of the type object"),
        (_references, "/a is of the type object"),
        (_huge, "/a declares 4,398,046,511,104 bytes"),
        (_huge_twice, "declares 4,194,304 bytes, far more"),
        (_unwritten, "the data of /a was never written"),
        (_in_itself, "lies in itself"),
        (_deep, "lies in itself, or too deep"),
        (_scaled, "/a is packed by"),
    ],
)
def test_what_leads_out_of_a_file_is_refused(tmp_path: Path, hostile, why: str) -> None:
    with h5py.File(tmp_path / "net.h5", "w") as file:
        hostile(file)
    with pytest.raises(Refused, match=why):  # here: a process for each would take long
        read_groups((tmp_path / "net.h5").read_bytes())


def test_a_refusal_is_told_by_the_other_process(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.h5", "w") as file:
        _external(file)
    with pytest.raises(DataError, match=r"net\.h5 cannot be taken: .*/a is a link to another"):
        read(tmp_path / "net.h5")


def test_texts_that_would_unfold_without_end_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.h5", "w", libver="latest") as file:
        file.attrs.create("a", ["x" * 60_000] + ["y"] * 30_000, dtype=h5py.string_dtype())
    with pytest.raises(Refused, match="the texts of /@a are too many or too long"):
        read_groups((tmp_path / "net.h5").read_bytes())


def test_packed_weights_are_unpacked(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.h5", "w") as file:
        for name in ("gzip", "lzf"):
            file.create_dataset(name, data=KERNEL, compression=name, shuffle=True, chunks=True)
        file["big"] = KERNEL.astype(">f8")
    layers = read(tmp_path / "net.h5").tree["layers"]
    for name in ("gzip", "lzf", "big"):
        np.testing.assert_array_equal(layers[name], KERNEL)
        assert layers[name].dtype.isnative


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    keras2(tmp_path / "net.h5", whole=True)
    raw = (tmp_path / "net.h5").read_bytes()
    for length in range(8, len(raw), 53):  # here, in this process: each costs another one else
        with pytest.raises(ValueError):
            read_groups(raw[:length])
    (tmp_path / "net.h5").write_bytes(raw[:-1])
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path / "net.h5")


@pytest.mark.parametrize("code", ["while True: pass", "import os; os.abort()"])
def test_a_library_that_finds_no_end_is_ended(tmp_path: Path, code: str, monkeypatch) -> None:
    (tmp_path / "net.h5").write_bytes(keras3())
    monkeypatch.setattr(hdf5_apart, "_CODE", code)
    monkeypatch.setattr(hdf5_apart, "_SECONDS", 1)
    monkeypatch.setattr(hdf5_apart, "_WAIT", 1)
    with pytest.raises(DataError, match="the HDF5 library finds no end in it"):
        read(tmp_path / "net.h5")


def test_modules_beside_the_file_are_not_run(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "net.h5").write_bytes(keras3())
    for name in ("h5py", "json", "edgernn"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert read(Path("net.h5")).tree["layers"]
    assert not (tmp_path / "ran").exists()


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "net.h5").write_bytes(keras3())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"install edgernn\[import\]"):
        read(tmp_path / "net.h5")


def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "net.h5").write_bytes(keras3())
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "h5py.py").write_text("raise ImportError('no libhdf5')")
    monkeypatch.syspath_prepend(str(broken))
    with pytest.raises(UnavailableError, match=r"cannot be loaded \(no libhdf5\)"):
        read(tmp_path / "net.h5")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(UnavailableError, match="cannot be started"):
        read(tmp_path / "net.h5")
