"""Safetensors files: what is written is read by the library, and no changed byte passes for the
original.
"""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edgernn.errors import BundleError
from edgernn.storage import tensor_files

TENSORS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([True, False]),
    "none": np.zeros((0, 4), np.int64),
}
RAW = tensor_files.save(TENSORS, {"note": "x \u00e9"})


def with_header(text: str, data: bytes = b"") -> bytes:
    return len(text.encode()).to_bytes(8, "little") + text.encode() + data


def entry(**changes: object) -> str:
    return json.dumps({"t": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}})


def same(found: dict[str, np.ndarray]) -> bool:
    return found.keys() == TENSORS.keys() and all(
        found[n].dtype == t.dtype and np.array_equal(found[n], t) for n, t in TENSORS.items()
    )


def test_the_library_reads_what_is_written() -> None:
    assert same(safetensors.numpy.load(RAW))
    content = tensor_files.parse(RAW)
    assert same(content.tensors())
    assert content.metadata == {"note": "x \u00e9"}
    assert content.layout["b"] == ("float32", (2, 3))


def test_the_same_content_gives_the_same_bytes() -> None:
    metadata = {f"key {number}": "x" for number in range(20)}
    plain = {"a": np.zeros(2, np.float32)}
    assert (
        len({tensor_files.sealed(safetensors.numpy.save(plain, metadata)) for _ in range(5)}) == 1
    )


def test_files_without_a_digest_are_read() -> None:
    assert same(tensor_files.parse(safetensors.numpy.save(TENSORS)).tensors())


def test_no_flipped_bit_is_read_as_another_tensor() -> None:
    for place in range(8 * len(RAW)):
        changed = bytearray(RAW)
        changed[place // 8] ^= 1 << place % 8
        try:
            found = tensor_files.parse(bytes(changed))
        except ValueError as error:
            assert str(error)
            continue
        assert same(found.tensors()), place
        assert found.metadata["note"] == "x \u00e9"


def test_no_cut_file_is_read() -> None:
    for length in range(len(RAW)):
        with pytest.raises(ValueError, match=r"."):
            tensor_files.parse(RAW[:length])


DAMAGED = {
    "empty": (b"", "0 bytes"),
    "a header beyond the end": ((1 << 62).to_bytes(8, "little"), "cut off, or no safetensors"),
    "no json": (with_header("{"), "header is damaged"),
    "a list": (with_header("[]"), "a list, expected an object"),
    "equal names": (
        with_header(entry()[:-1] + "," + entry()[1:], bytes(4)),
        "the key 't' stands twice",
    ),
    "metadata of numbers": (with_header('{"__metadata__": {"a": 1}}'), "not text by name"),
    "a text for a tensor": (with_header('{"t": "F32"}'), "does not describe the tensor 't'"),
    "a negative size": (with_header(entry(shape=[-1]), bytes(4)), "does not describe"),
    "true as a size": (with_header(entry(shape=[True]), bytes(4)), "does not describe"),
    "a tensor beyond the end": (
        with_header(entry(shape=[9], data_offsets=[0, 36]), bytes(4)),
        "lies outside the file",
    ),
    "too many values": (with_header(entry(shape=[1 << 60]), bytes(4)), "does not have 4 bytes"),
    "a dtype that numpy lacks": (
        with_header(entry(dtype="BF16", data_offsets=[0, 2]), bytes(2)),
        "bfloat16, which numpy",
    ),
    "a dtype that nobody has": (with_header(entry(dtype="X"), bytes(4)), "X, which numpy lacks"),
    "a hole": (with_header(entry(data_offsets=[4, 8]), bytes(8)), "."),
}


@pytest.mark.parametrize(("raw", "says"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_told_in_one_line(raw: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        tensor_files.parse(raw).tensors()
    assert "\n" not in str(caught.value)


def test_the_error_names_the_file_what_it_should_be_and_what_to_do(tmp_path: Path) -> None:
    told = {"what": "golden run", "remedy": "export again", "error": BundleError}
    with pytest.raises(
        BundleError,
        match=r"cannot read the golden run .*x: No such file or directory; export again",
    ):
        tensor_files.read(tmp_path / "x", **told)
    with pytest.raises(BundleError, match="Is a directory"):
        tensor_files.read(tmp_path, **told)
    (tmp_path / "x").write_bytes(b"abc")
    with pytest.raises(BundleError, match=r"x is no golden run \(it has 3 bytes.*\); export again"):
        tensor_files.read(tmp_path / "x", **told)


def test_the_first_value_that_is_not_finite_is_named() -> None:
    assert tensor_files.first_not_finite({**TENSORS, "c": np.array([1, np.inf], np.float16)}) == "c"
    assert tensor_files.first_not_finite(TENSORS) is None


def test_written_tensor_by_tensor_it_is_the_same_file(tmp_path: Path) -> None:
    tensors = {**TENSORS, "h": np.ones((2, 3), np.float16).T}
    with (tmp_path / "t").open("wb") as file:
        tensor_files.write(file, tensors, {"note": "x \u00e9", "a": "b"})
    assert (tmp_path / "t").read_bytes() == tensor_files.save(
        tensors, {"note": "x \u00e9", "a": "b"}
    )


def test_views_are_the_tensors_and_copy_nothing() -> None:
    tensors = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([7], np.int64),
        "empty": np.zeros((0, 2), np.float16),
    }
    content = tensor_files.parse(tensor_files.save(tensors))
    found = dict(content.views())
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert np.array_equal(found[name], array)
        assert found[name].shape == array.shape
        assert not found[name].flags.writeable
    held = np.frombuffer(content.raw, np.uint8)
    assert np.shares_memory(found["a"], held)


@pytest.mark.parametrize(
    ("offsets", "told"),
    [
        ([0, 8], "over another one"),
        ([4, 12], "over another one"),
        ([12, 20], "behind bytes"),
        ([8, 16], "last 4 bytes are of no tensor"),
    ],
)
def test_tensors_that_do_not_fill_the_file_are_refused_as_by_the_library(
    offsets: list[int], told: str
) -> None:
    entry = {"dtype": "F32", "shape": [2]}
    header = {
        "a": {**entry, "data_offsets": [0, 8]},
        "b": {**entry, "data_offsets": offsets},
    }
    raw = with_header(json.dumps(header), bytes(20))
    with pytest.raises(safetensors.SafetensorError):
        safetensors.numpy.load(raw)
    with pytest.raises(ValueError, match=told):
        tensor_files.parse(raw)


def test_tensors_may_lie_in_another_order_than_they_are_named() -> None:
    entry = {"dtype": "F32", "shape": [1]}
    header = {"b": {**entry, "data_offsets": [4, 8]}, "a": {**entry, "data_offsets": [0, 4]}}
    raw = with_header(json.dumps(header), np.array([1, 2], np.float32).tobytes())
    assert {n: t.tolist() for n, t in tensor_files.parse(raw).views()} == {"a": [1], "b": [2]}
    assert safetensors.numpy.load(raw).keys() == {"a", "b"}


def test_writing_tensor_by_tensor_copies_none(tmp_path: Path) -> None:
    tensors = {"w": np.zeros((1 << 11, 1 << 10), np.float32)}  # 8 MiB
    tracemalloc.start()
    try:
        with (tmp_path / "t").open("wb") as file:
            tensor_files.write(file, tensors, {})
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
