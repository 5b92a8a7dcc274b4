"""Pull: the bundle of a repository or a folder, at one commit, whole and checked or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgernn import storage
from edgernn.bundle import SUFFIX, Bundle, pack
from edgernn.bundle.manifest import MANIFEST, SIGNATURE, Manifest
from edgernn.bundle.manifest_file import MANIFEST_MAX_BYTES, read_manifest
from edgernn.bundle.place import refuse_foreign
from edgernn.bundle.signature import listed_files
from edgernn.errors import BundleError, CheckFailedError, UsageError
from edgernn.formats import resolve
from edgernn.hub.target import Repository
from edgernn.signing import Signer, check_signature
from edgernn.storage import inner_paths
from edgernn.storage.side_files import is_side_file
from edgernn.wording import size

if TYPE_CHECKING:
    from edgernn.hub.remote import Remote


Tell = Callable[[str], None]


@dataclass(frozen=True)
class Pulled:
    """What was pulled: how many files of how many bytes, at which commit of a hub, signed by whom
    where that was asked for.
    """

    files: int
    total_bytes: int
    revision: str = ""
    signer: Signer | None = None


def pull(
    source: Path | Repository, out: Path, *, revision: str | None = None,
    signed_by: Path | None = None, signer: str | None = None,
    tell: Tell = lambda line: None,
) -> Pulled:  # fmt: skip
    """Write the bundle of ``source`` to ``out``, a folder or a ``.edgernn`` file.

    Only what its manifest lists is taken, each file with its digest, and the signature. An older
    bundle at ``out`` is replaced once the new one is whole and checked.

    Args:
        revision: a branch, a tag or a commit; without it the end of the main branch.
        signed_by, signer: whose signature it must have, see ``signing.check_signature``.
        tell: hears, one line each, what is fetched from a hub.

    Raises:
        UsageError: ``out`` holds something else, or ``revision`` is given with a folder.
        HubError: the hub refuses or cannot be reached.
        BundleError: there is no bundle, or what came is not what its manifest lists.
        CheckFailedError: it is not signed as was asked for.
    """
    refuse_foreign(out)
    if signer is not None and signed_by is None:
        raise UsageError("--signer names who signed; give whom you trust with --signed-by")
    if isinstance(source, Path) and revision is not None:
        raise UsageError(f"--revision is of a hub, and {source} is a folder; leave it out")
    if out.suffix != SUFFIX:
        with storage.replacing(out) as folder:
            return _filled(folder, source, revision, signed_by, signer, tell)
    with storage.scratch() as scratch:
        folder = scratch / out.stem
        pulled = _filled(folder, source, revision, signed_by, signer, tell)
        pack(folder, out)
        return pulled


def _filled(
    folder: Path, source: Path | Repository, revision: str | None, signed_by: Path | None,
    signer: str | None, tell: Tell,
) -> Pulled:  # fmt: skip
    """Write the bundle of ``source`` to the new ``folder``, and check it there."""
    if isinstance(source, Path):
        commit = ""
        _copied(source, folder)
    else:
        remote = resolve("edgernn.hub.remote:Remote", needed_for="a hub", extra="hub")(source)
        commit = _fetched(remote, revision, folder, tell)
    try:
        bundle = Bundle.open(folder)
        found = None if signed_by is None else check_signature(bundle, signed_by, signer=signer)
    except (BundleError, CheckFailedError) as error:  # in words of the place that a person knows
        known = str(source) if isinstance(source, Path) else source.name
        raise type(error)(str(error).replace(str(folder), known)) from None
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Pulled(len(files), storage.size_bytes(folder), commit, found)


def _copied(source: Path, folder: Path) -> None:
    """Copy what a bundle's manifest lists, and its signature, to the new ``folder``."""
    with Bundle.open(source) as bundle:
        names = [*listed_files(bundle)]
        names += [SIGNATURE] if (bundle.folder / SIGNATURE).is_file() else []
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.folder / name, folder / name)


def _fetched(remote: Remote, revision: str | None, folder: Path, tell: Tell) -> str:
    """Fetch a bundle's files into the new ``folder``; return the commit that they are of."""
    listing = remote.listing(revision)
    if MANIFEST not in listing.files:
        held = ", ".join(sorted(listing.files)[:5]) or "nothing"
        raise BundleError(f"{remote.name} has no {MANIFEST}: it is no bundle; it holds {held}")
    _refuse_longer(remote.name, MANIFEST, listing.files[MANIFEST], MANIFEST_MAX_BYTES)
    folder.mkdir(parents=True)
    remote.fetch(MANIFEST, listing.commit, folder)
    manifest = read_manifest(Path(remote.name), folder)
    for name in _wanted(remote.name, manifest, listing.files):
        tell(f"fetching {name}, {size(listing.files[name])}")
        remote.fetch(name, listing.commit, folder)
    storage.remove(folder / ".cache")  # the library's notes on what it fetched
    return listing.commit


def _wanted(name: str, manifest: Manifest, files: Mapping[str, int]) -> list[str]:
    """Return which of a repository's ``files`` make up the bundle of ``manifest``.

    Raises:
        BundleError: one is missing, is of another size than is listed, or leads out of the folder.
    """
    wanted = []
    for artifact in manifest.artifacts:
        inside = [
            file
            for file in files
            if file.startswith(f"{artifact.path}/") and not is_side_file(file)
        ]
        if artifact.path not in files and not inside:
            raise BundleError(f"{name}: {artifact.path} is missing; whoever made it is to push it")
        for file in inside or [artifact.path]:
            try:
                wanted.append(inner_paths.checked(file))
            except ValueError as error:
                raise BundleError(f"{name}: {error}; do not use this bundle") from error
        _refuse_longer(
            name, artifact.path, sum(files[file] for file in inside or [artifact.path]),
            artifact.bytes,
        )  # fmt: skip
    for inner, entry in manifest.files.items():
        if inner not in files:
            raise BundleError(f"{name}: {inner} is missing; whoever made it is to push it again")
        _refuse_longer(name, inner, files[inner], entry.bytes)
        wanted.append(inner)
    if SIGNATURE in files:
        _refuse_longer(name, SIGNATURE, files[SIGNATURE], MANIFEST_MAX_BYTES)
        wanted.append(SIGNATURE)
    return wanted


def _refuse_longer(name: str, file: str, found: int, most: int) -> None:
    if found > most:
        raise BundleError(
            f"{name}: {file} has {found:,} bytes there, at most {most:,} are expected; do not use "
            "this bundle"
        )
