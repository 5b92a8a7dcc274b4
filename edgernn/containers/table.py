"""The table of containers, from the most to the least certain: what a file is, told by its content,
and who reads it. A new container is one file and one row.

A reader takes the opened file and returns its ``Content``; it raises DataError, in one line, where
the file is damaged or of a form that is not taken. Rows hold readers as strings, so that reading
the table imports none of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from edgernn.containers.source import Source
from edgernn.containers.torch7_numbers import is_torch7
from edgernn.storage.foreign_files import Peek, onnx_model

_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"  # of torch's older format, as pickle writes the number
_LEGACY = re.compile(
    rb"\x80[\x02-\x05](\x95.{8})?\x8a\x0a" + re.escape(_MAGIC) + rb"(\x94)?\.", re.S
)
_BINARY = re.compile(rb"\x80[\x02-\x05][\x00-\xff]")
_TEXT = re.compile(  # protocols 0 and 1 have no head: a dict or a list, put aside, or a class
    rb"\([dl]p\d+\n|[\]}]q[\x00\x01]|\(?[ci][\w.]+\n[\w.]+\n([pq(N)]|$)"
)


@dataclass(frozen=True)
class Row:
    """One container.

    Attributes:
        word: its name for programs.
        name: what it is, in words that follow "is".
        test: whether a file is one, by its first bytes or the names of its entries.
        reader: ``module:function`` that reads it.
    """

    word: str
    name: str
    test: Callable[[Source], bool]
    reader: str


def has_entries(*endings: str) -> Callable[[Source], bool]:
    """A zip file that has, at its root or in one folder, an entry of each of these names."""
    return lambda source: all(
        any(name == ending or name.endswith(f"/{ending}") for name in source.names)
        for ending in endings
    )


def starts(*beginnings: bytes) -> Callable[[Source], bool]:
    """A file that begins with one of these."""
    return lambda source: source.head.startswith(beginnings)


def _text_pickle(source: Source) -> bool:
    tail = bytes(source.raw[-2:]).rstrip(b"\n")
    return _TEXT.match(source.head) is not None and tail.endswith(b".")


def _safetensors(source: Source) -> bool:
    length = int.from_bytes(source.head[:8], "little")
    whole = 2 <= length <= len(source.raw) - 8
    return whole and source.head[8:9] == b"{" and b'"' in source.head[9:40]


def _torch_tar(source: Source) -> bool:
    """A tar with an entry of torch's among its first blocks."""
    blocks = [source.head[place : place + 512] for place in range(0, 4096, 512)]
    return source.head[257:262] == b"ustar" and any(
        block.startswith((b"sys_info\0", b"storages\0", b"tensors\0", b"pickle\0"))
        for block in blocks
    )


_HERE = "edgernn.containers"

CONTAINERS: tuple[Row, ...] = (
    Row(
        "torchscript",
        "a TorchScript archive",
        has_entries("data.pkl", "constants.pkl"),
        f"{_HERE}.torchscript:read_torchscript",
    ),
    Row(
        "torch-zip",
        "a file of torch.save",
        has_entries("data.pkl"),
        f"{_HERE}.torch_zip:read_torch_zip",
    ),
    Row(
        "torch-legacy",
        "a file of torch.save, in its older format",
        lambda source: _LEGACY.match(source.head) is not None,
        f"{_HERE}.torch_legacy:read_torch_legacy",
    ),
    Row(
        "torch-tar",
        "a file of torch.save, in its oldest format (a tar)",
        _torch_tar,
        f"{_HERE}.torch_legacy:read_torch_tar",
    ),
    Row(
        "pickle",
        "a pickle",
        lambda source: _BINARY.match(source.head) is not None or _text_pickle(source),
        f"{_HERE}.pickle_file:read_pickle",
    ),
    Row(
        "keras",
        "a Keras archive (.keras)",
        has_entries("config.json", "model.weights.h5"),
        f"{_HERE}.keras_files:read_keras",
    ),
    Row(
        "stable-baselines3",
        "an archive of Stable-Baselines3",
        lambda source: {"policy.pth", "data"} <= set(source.names),
        f"{_HERE}.baselines_files:read_baselines",
    ),
    Row(
        "npz",
        "an archive of numpy arrays (.npz)",
        lambda source: any(name.endswith(".npy") for name in source.names),
        f"{_HERE}.numpy_files:read_npz",
    ),
    Row("npy", "a numpy array (.npy)", starts(b"\x93NUMPY"), f"{_HERE}.numpy_files:read_npy"),
    Row(
        "hdf5",
        "an HDF5 file, as Keras writes .h5",
        starts(b"\x89HDF\r\n\x1a\n"),
        f"{_HERE}.keras_files:read_h5",
    ),
    Row(
        "torch7",
        "a Torch7 file (.t7)",
        lambda source: is_torch7(source.head),
        f"{_HERE}.torch7:read_torch7",
    ),
    Row(
        "safetensors",
        "a file of tensors (safetensors)",
        _safetensors,
        f"{_HERE}.safetensors_files:read_safetensors",
    ),
    Row(
        "json",
        "a JSON file of weights, as .nam or of RTNeural",
        lambda source: source.head.lstrip().startswith(b"{"),
        f"{_HERE}.json_files:read_json",
    ),
    Row(
        "onnx",
        "an ONNX file",
        lambda source: onnx_model(Peek.file(source.path)),
        f"{_HERE}.onnx_files:read_onnx",
    ),
)
