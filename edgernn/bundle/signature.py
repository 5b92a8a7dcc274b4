"""What a signature of a bundle is to cover, and where it lies.

It is the file ``model.sig`` in the bundle's folder, and stands in a packed bundle under the same
name. It covers the manifest and every file that the manifest lists, so one signature holds for a
bundle as a folder and as one file. ``signing/`` makes and checks it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgernn import storage
from edgernn.bundle.folder import Bundle
from edgernn.bundle.manifest import MANIFEST, REPORTS, SIGNATURE, parse_manifest
from edgernn.bundle.manifest_file import MANIFEST_MAX_BYTES
from edgernn.bundle.packed import entries
from edgernn.errors import BundleError
from edgernn.storage.side_files import is_side_file

CARD = "README.md"  # where a hub shows it
# What lies beside a bundle and is no part of it: what verify and push write, and what programs that
# fetch a repository keep. A signature says that it leaves them out.
BESIDE = (SIGNATURE, *REPORTS, CARD, ".cache")
_OF_GIT = (".git", ".gitattributes", ".github", ".gitignore")


def is_signed(path: Path) -> bool:
    """Return whether a signature lies in the bundle at ``path``, right or not; False of what is
    none.
    """
    if path.is_dir():
        return (path / SIGNATURE).is_file()
    try:
        return path.is_file() and SIGNATURE in entries(path)
    except BundleError:
        return False


def listed_files(bundle: Bundle) -> dict[str, str]:
    """Return the SHA-256 of every file that a signature is to cover, by its path with ``/``: the
    manifest, what it lists, and of an artifact that is a folder each file in it.

    Raises:
        BundleError: the manifest is no more the one that was opened.
    """
    manifest, folder = bundle.manifest, bundle.folder
    digests = {inner: entry.sha256 for inner, entry in manifest.files.items()}
    for artifact in manifest.artifacts:
        path = bundle.path(artifact.path)
        if not path.is_dir():
            digests[artifact.path] = artifact.sha256
            continue
        for file in path.rglob("*"):
            inside = file.relative_to(folder)
            if file.is_file() and not is_side_file(inside):
                digests[inside.as_posix()] = storage.sha256(file)
    whole = storage.read_bytes(folder / MANIFEST, most=MANIFEST_MAX_BYTES)
    if parse_manifest(whole, source=str(bundle.source)) != manifest:
        raise BundleError(
            f"{bundle.source}: {MANIFEST} was changed since it was opened; open it again"
        )
    return {MANIFEST: hashlib.sha256(whole).hexdigest(), **digests}


def beside(bundle: Bundle) -> tuple[str, ...]:
    """Return the names of ``BESIDE`` that the manifest does not list itself."""
    tops = {inner.split("/")[0] for inner in bundle.manifest.files}
    return tuple(name for name in BESIDE if name not in tops)


def strays(bundle: Bundle, covered: dict[str, str]) -> list[str]:
    """Return what lies in the bundle and is neither ``covered`` nor known to lie beside one."""
    folder = bundle.source if bundle.source.is_dir() else None
    names = (
        entries(bundle.source)
        if folder is None
        else [
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_symlink() or not path.is_dir()
        ]
    )
    left = {*beside(bundle), *_OF_GIT}
    return sorted(
        name
        for name in names
        if name not in covered and not is_side_file(name) and name.split("/")[0] not in left
    )


def side_files(folder: Path) -> list[str]:
    """Return the files in ``folder`` that systems keep there; a signature leaves them out."""
    inside = (path.relative_to(folder) for path in folder.rglob("*"))
    return [path.as_posix() for path in inside if is_side_file(path)]
