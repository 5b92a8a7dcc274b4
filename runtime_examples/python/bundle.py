"""A bundle opened in place, a folder or a ``.edgernn`` file: no file is used that the manifest does
not vouch for.

A file is read once, and what was compared with the manifest is what is used. Nothing is unpacked to
the disk.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from errors import BundleError, first_line
from manifest import Manifest, read_manifest

MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 16 << 20
PART_BYTES = 1 << 20
AGAIN = "copy or export the bundle again"
NO_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)

Read = Callable[
    [str, int], bytes
]  # a path inside the bundle, and the most bytes of it, to its content


@dataclass(frozen=True, eq=False)
class Bundle:
    """An opened bundle.

    Attributes:
        place: what messages call it.
        manifest: read and checked.
        read: gives the content of a file, not yet compared.
    """

    place: str
    manifest: Manifest
    read: Read

    def file(self, inner: str) -> bytes:
        """Return a file's content once it is what the manifest says; raise ``BundleError``
        where it is not.
        """
        entries = {
            **{entry["path"]: entry for entry in self.manifest["artifacts"]},
            **self.manifest["files"],
        }
        if inner not in entries:
            raise BundleError(f"manifest.json of {self.place} does not list {inner}; {AGAIN}")
        expected = entries[inner]
        content = self.read(inner, expected["bytes"])
        if len(content) != expected["bytes"]:
            raise BundleError(
                f"{inner} of {self.place} has {len(content)} bytes, expected "
                f"{expected['bytes']}; {AGAIN}"
            )
        if (digest := hashlib.sha256(content).hexdigest()) != expected["sha256"]:
            raise BundleError(
                f"{inner} of {self.place} has SHA-256 {digest}, expected {expected['sha256']}; "
                f"{AGAIN}"
            )
        return content

    def verify(self) -> None:
        """Compare every listed file but the model files, each of which is compared when it is
        opened.
        """
        for inner in self.manifest["files"]:
            self.file(inner)


def open_bundle(path: Path) -> Bundle:
    """Open the bundle at ``path``; raise ``BundleError`` where there is none, or its manifest
    is damaged.
    """
    place = str(path)
    try:
        read = _folder(path) if path.is_dir() else _zip(path)
    except FileNotFoundError as error:
        raise BundleError(
            f"there is no bundle {place}: {error.strerror}; give a bundle folder or a .edgernn file"
        ) from error
    except NO_ZIP as error:
        said = first_line(error)
        raise BundleError(
            f"{place} is no bundle folder and no .edgernn file ({said}); {AGAIN}"
        ) from error
    return Bundle(place, read_manifest(read(MANIFEST, MOST_MANIFEST_BYTES), place), read)


def _folder(folder: Path) -> Read:
    root = folder.resolve()

    def read(inner: str, most: int) -> bytes:
        path = folder / inner
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(root):
                raise BundleError(f"{path} leads out of the bundle; do not use this bundle")
            if not real.is_file():
                raise BundleError(f"{path} is no file; {AGAIN}")
            if (size := real.stat().st_size) > most:
                raise BundleError(f"{path} has {size} bytes, expected {most}; {AGAIN}")
            return real.read_bytes()
        except FileNotFoundError as error:
            raise BundleError(
                f"{path} is not there ({error.strerror}), expected a whole bundle; {AGAIN}"
            ) from error
        except (
            OSError,
            RuntimeError,
            ValueError,
        ) as error:  # no right to read it, a link to itself, a name no disk takes
            raise BundleError(f"cannot read {path} ({first_line(error)}); {AGAIN}") from error

    return read


def _zip(path: Path) -> Read:
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    if len(set(names)) != len(names):
        raise BundleError(f"{path} holds a file twice, expected each once; do not use this bundle")

    def read(inner: str, most: int) -> bytes:
        try:
            entry = archive.getinfo(inner)
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BundleError(
                    f"{inner} of {path} is packed by method {entry.compress_type}, expected 0 "
                    f"or 8; {AGAIN}"
                )
            if entry.file_size > most:
                raise BundleError(
                    f"{inner} of {path} has {entry.file_size} bytes, expected {most}; {AGAIN}"
                )
            return archive.read(entry)  # no more than file_size
        except KeyError as error:
            raise BundleError(
                f"{inner} of {path} is not there, expected a whole bundle; {AGAIN}"
            ) from error
        except NO_ZIP as error:
            raise BundleError(
                f"{inner} of {path} cannot be unpacked ({first_line(error)}); {AGAIN}"
            ) from error

    return read
