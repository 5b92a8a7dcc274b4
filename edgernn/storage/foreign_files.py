"""The signatures by which ``identify`` tells files: a look at the first bytes, at names in an
archive, at entries of a folder.

At most a megabyte is read of a file, and of a pickle only the names of the classes that it would
load.
"""

from __future__ import annotations

import fnmatch
import pickletools
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from edgernn import storage
from edgernn.storage.proto_head import read_fields
from edgernn.storage.side_files import is_side_file

_HEAD_BYTES = 1 << 20
_MOST_ENTRIES = 10_000
_METADATA = 14  # metadata_props of ONNX's ModelProto
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
# Classes that files of plain tensors name; whatever else a pickle names is code that somebody must
# have.
_PLAIN = re.compile(
    r"(torch|torch\._utils|torch\._tensor|torch\.storage|torch\.serialization|torch\.nn\.parameter|torch\.distributed.*"
    r"|collections|builtins|__builtin__|numpy.*|_codecs|copy_reg|copyreg|argparse)[ .].*"
)


@dataclass(frozen=True)
class Peek:
    """What was seen of a file or a folder: ``names`` are the folder's entries or None; ``entries``
    those of a zip file.
    """

    path: Path
    size: int
    head: bytes
    names: tuple[str, ...] | None
    entries: tuple[str, ...]
    safetensors: bool = False

    @classmethod
    def folder(cls, path: Path, names: tuple[str, ...]) -> Peek:
        """Look at a folder's entries."""
        return cls(path, 0, b"", tuple(name for name in names if not is_side_file(name)), ())

    @classmethod
    def file(cls, path: Path) -> Peek:
        """Look at a file; raise OSError where it cannot be read."""
        with storage.open_to_read(path) as file:
            head = file.read(_HEAD_BYTES)
            size = file.seek(0, 2)
            entries: tuple[str, ...] = ()
            if head.startswith(b"PK"):
                try:
                    entries = tuple(zipfile.ZipFile(file).namelist()[:_MOST_ENTRIES])
                except _DAMAGED:
                    entries = ()
        length = int.from_bytes(head[:8], "little")
        ours = 2 <= length <= size - 8 and head[8:9] == b"{" and b'"' in head[9:40]
        return cls(path, size, head, None, entries, ours)


Test = Callable[[Peek], bool]


def has(*names: str) -> Test:
    """A folder with one of ``names``."""
    return lambda peek: bool(set(names) & set(peek.names or ()))


def lists_artifacts(peek: Peek) -> bool:
    """A folder whose manifest.json is a bundle's, or cannot be read."""
    try:
        head = storage.read_bytes(peek.path / "manifest.json", most=_HEAD_BYTES * 16)[:_HEAD_BYTES]
    except OSError:
        return True
    return (
        b'"schema_version"' in head or b'"artifacts"' in head or not head.lstrip().startswith(b"{")
    )


def is_run(peek: Peek) -> bool:
    """A folder with a saved model as edgernn train writes it; one that reads no text has no
    vocabulary.
    """
    names = set(peek.names or ())
    if not {"config.json", "weights.safetensors"} <= names:
        return False
    if "tokenizer.json" in names:
        return True
    try:
        config = storage.read_bytes(peek.path / "config.json", most=_HEAD_BYTES * 16)
    except OSError:
        return False
    return b'"checkpoint_version"' in config[:_HEAD_BYTES]


def only(*endings: str) -> Test:
    """A folder of nothing but files with these endings; without any, an empty one."""
    if not endings:
        return lambda peek: not peek.names
    return lambda peek: (
        bool(peek.names) and all(name.lower().endswith(endings) for name in peek.names or ())
    )


def has_entry(*patterns: str) -> Test:
    """A zip file in which every pattern is the name of an entry."""
    return lambda peek: (
        bool(peek.entries) and all(fnmatch.filter(peek.entries, pattern) for pattern in patterns)
    )


def by_start(*starts: bytes, at: int = 0) -> Test:
    """A file with one of ``starts`` at the byte ``at``."""
    return lambda peek: peek.head[at : at + 16].startswith(starts)


def of_suffix(*suffixes: str) -> Test:
    """A file whose name ends so; for what has no signature."""
    return lambda peek: peek.path.suffix.lower() in suffixes


def text(peek: Peek) -> bool:
    """A file that begins as UTF-8 text without control characters."""
    cut = peek.head[:65536]
    try:
        words = cut.decode()
    except UnicodeDecodeError as error:
        if error.start < len(cut) - 3:
            return False
        words = cut[: error.start].decode()
    return not re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", words)


def pointer(peek: Peek) -> bool:
    """A pointer file of Git LFS."""
    return peek.size < 1024 and peek.head.startswith(b"version https://git-lfs.github.com/spec")


def web_page(peek: Peek) -> bool:
    """An HTML page."""
    return (
        re.match(
            rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype html|html)",
            peek.head[:2048],
            re.I | re.S,
        )
        is not None
    )


def json_with(*words: bytes) -> Test:
    """A JSON object in whose first megabyte all ``words`` stand."""
    return lambda peek: peek.head.lstrip()[:1] == b"{" and all(word in peek.head for word in words)


def module_in_zip(peek: Peek) -> bool:
    """An archive of TorchScript: code beside the pickle."""
    return has_entry("*/code/*")(peek) and torch_archive(peek)


def torch_archive(peek: Peek) -> bool:
    """An archive of torch.save."""
    return has_entry("*/data.pkl")(peek)


def names_a_module(peek: Peek) -> bool:
    """An archive of torch.save whose pickle names classes beyond those of tensors."""
    inner = next(name for name in peek.entries if name.endswith("/data.pkl"))
    try:
        with zipfile.ZipFile(peek.path) as archive, archive.open(inner) as file:
            return _names_code(file.read(_HEAD_BYTES))
    except _DAMAGED:
        return False


def pickled(*, modules: bool = False) -> Test:
    """A pickle, torch's older format among them; with ``modules`` one that names classes beyond
    those of tensors.
    """

    def test(peek: Peek) -> bool:
        if peek.head[:1] != b"\x80" or peek.head[1:2] not in (b"\x02", b"\x03", b"\x04", b"\x05"):
            return False
        return not modules or _names_code(peek.head)

    return test


def _names_code(raw: bytes) -> bool:
    """Whether the pickles at the beginning of ``raw`` name anything that plain tensors do not; they
    are read, not loaded.
    """
    stream, words = BytesIO(raw), list[str]()
    for _ in range(5):  # torch's older format is a row of pickles
        try:
            for opcode, argument, _place in pickletools.genops(stream):
                if isinstance(argument, str):
                    words.append(argument)
                if opcode.name in {"GLOBAL", "INST"} and not _PLAIN.fullmatch(str(argument)):
                    return True
                if opcode.name == "STACK_GLOBAL" and not _PLAIN.fullmatch(" ".join(words[-2:])):
                    return True
        except Exception:  # noqa: BLE001 - genops raises whatever the bytes make it run into; they end the look, no more
            return False
    return False


def onnx_model(peek: Peek) -> bool:
    """A ModelProto: fields of its numbers only, the IR version among them, and a graph or its
    operator sets.
    """
    numbers = {number for number, _ in _onnx_fields(peek)}
    return (
        1 in numbers
        and bool(numbers & {7, 8})
        and numbers <= {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}
    )


def onnx_metadata_has(key: bytes) -> Test:
    """An ONNX file with ``key`` in its metadata."""
    entry = b"\x0a" + bytes([len(key)]) + key  # of StringStringEntryProto: its first field
    return lambda peek: any(
        isinstance(value, bytes) and value.startswith(entry) for _, value in _onnx_fields(peek)
    )


def _onnx_fields(peek: Peek) -> list[tuple[int, int | bytes]]:
    try:
        with storage.open_to_read(peek.path) as file:
            return read_fields(file, keep={_METADATA})
    except (OSError, ValueError):
        return []
