"""The single file: a bundle's folder zipped as ``.edgernn``, and unpacked again, no more of it than
its manifest lists.
"""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from pathlib import Path

from edgernn import storage
from edgernn.bundle.manifest import MANIFEST, SIGNATURE
from edgernn.bundle.manifest_file import MANIFEST_MAX_BYTES, read_manifest, refusal
from edgernn.errors import BundleError, UsageError
from edgernn.storage import inner_paths
from edgernn.storage.identify import identify
from edgernn.storage.side_files import is_side_file

SUFFIX = ".edgernn"
_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # a constant, so that the same bundle gives the same bytes


def pack(folder: Path, target: Path) -> None:
    """Zip the bundle ``folder``, without side files, into ``target``; the same bundle always gives
    the same bytes.

    Raises:
        UsageError: ``target`` holds something else than a bundle; it is left as it is.
    """
    refuse_foreign_file(target)
    with (
        storage.replacing(target) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not is_side_file(path.relative_to(folder)):
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as sink, path.open("rb") as file:
                    shutil.copyfileobj(file, sink)


def refuse_foreign_file(target: Path) -> None:
    """Raise UsageError where anything but a packed bundle stands at ``target``, told by its
    content: its name alone makes no file one. An empty file may be replaced, too.
    """
    if target.is_dir():
        raise UsageError(
            f"{target} is a folder, expected a {SUFFIX} file to write; choose another --out"
        )
    if (kind := identify(target)).key not in {"missing", "empty"} and not _is_packed(target):
        what = "a zip of something else" if kind.key == "packed-bundle" else kind.name
        raise UsageError(
            f"{target} is there and is no bundle ({what}); it was left as it is. Choose another "
            "--out, or remove it"
        )


def _is_packed(path: Path) -> bool:
    """Whether a file is a zip with a bundle's manifest, of any version."""
    try:
        with storage.open_to_read(path) as file, zipfile.ZipFile(file) as archive:
            if archive.getinfo(MANIFEST).file_size > MANIFEST_MAX_BYTES:
                return False
            found = json.loads(archive.read(MANIFEST))
    except (KeyError, RecursionError, *_DAMAGED_ZIP):
        return False
    return isinstance(found, dict) and {"schema_version", "artifacts"} <= found.keys()


def unpack(source: Path) -> Path:
    """Unpack a single-file bundle into a new folder, which the caller removes, and return that.

    Raises:
        BundleError: it is no whole bundle, or holds more than its manifest lists.
    """
    folder = storage.scratch_folder()
    try:
        with storage.open_to_read(source) as file, zipfile.ZipFile(file) as archive:
            _extract_listed(archive, source, folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise BundleError(
                f"{source} could not be unpacked ({refusal(error)}) in {folder.parent}"
            ) from error
        if isinstance(error, _DAMAGED_ZIP):
            raise BundleError(
                f"{source} is neither a bundle folder nor a whole {SUFFIX} file "
                f"({refusal(error)}); copy or export it again"
            ) from error
        raise
    return folder


def entries(source: Path) -> list[str]:
    """Return the names of the files in a single-file bundle, as they stand there.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        with storage.open_to_read(source) as file, zipfile.ZipFile(file) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    except _DAMAGED_ZIP as error:
        raise BundleError(
            f"{source} cannot be read ({refusal(error)}); copy or export it again"
        ) from error


def _extract_listed(archive: zipfile.ZipFile, source: Path, folder: Path) -> None:
    """Extract the manifest, then only what it lists and no more bytes than it lists, and the
    signature: a zip bomb finds no room.
    """
    names = archive.namelist()
    if MANIFEST not in names:
        nested = next(
            (name for name in names if name.count("/") == 1 and name.endswith(f"/{MANIFEST}")), None
        )
        hint = (
            f"; it lies below {nested.split('/')[0]}/: unzip it and give that folder"
            if nested
            else ""
        )
        raise BundleError(f"{source} has no {MANIFEST}: it is not a bundle{hint}")
    _extract(archive, MANIFEST, folder, MANIFEST_MAX_BYTES, source)
    manifest = read_manifest(source, folder)
    room = {inner: entry.bytes for inner, entry in manifest.files.items()}
    room |= {artifact.path: artifact.bytes for artifact in manifest.artifacts}
    room[SIGNATURE] = MANIFEST_MAX_BYTES
    seen: set[str] = set()
    for name in names:
        listed = next(
            (inner for inner in (*room, MANIFEST) if name == inner or name.startswith(inner + "/")),
            None,
        )
        if listed is None or name.endswith("/") or is_side_file(name):
            continue
        if name in seen:
            raise BundleError(f"{source}: the entry {name!r} stands twice; do not use this bundle")
        seen.add(name)
        if name != MANIFEST:
            room[listed] -= _extract(archive, name, folder, room.get(listed, 0), source)


def _extract(archive: zipfile.ZipFile, name: str, folder: Path, room: int, source: Path) -> int:
    target = folder / name
    try:
        inner_paths.checked(name)
    except ValueError as error:
        raise BundleError(
            f"{source}: the entry {name!r} leads out of the bundle's folder, or is no name of "
            "a file; do not use this bundle"
        ) from error
    if archive.getinfo(name).file_size > room:
        raise BundleError(
            f"{source}: {name} is larger than the manifest says; do not use this bundle"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as entry, target.open("wb") as file:
        shutil.copyfileobj(entry, file)  # zipfile itself stops at the entry's declared size
    return target.stat().st_size
