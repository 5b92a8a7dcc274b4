"""Bundles: a folder, or the same zipped as one ``.edgernn`` file, with everything a device or a
checker needs.

Opening verifies every digest and refuses paths that leave the folder, and runs nothing that the
bundle holds. A model file runs when a session opens it, and is read before that:
``sessions/onnx_guard.py``, ``sessions/torchscript_reading.py``.
"""

from __future__ import annotations

import shutil
import weakref
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from edgernn import storage
from edgernn.bundle.manifest import (
    MANIFEST,
    REPORTS,
    Artifact,
    FileDigest,
    Manifest,
    parse_manifest,
)
from edgernn.contract import STEP, FileContract
from edgernn.errors import BundleError, UsageError
from edgernn.storage import inner_paths
from edgernn.storage.identify import identify, path_of
from edgernn.storage.side_files import is_side_file
from edgernn.wording import argument, did_you_mean

SUFFIX = ".edgernn"
_MAY_BE_BUNDLES = ("packed-bundle", "zip", "unknown", "unreadable")
GOLDEN = "golden.safetensors"
TOKENIZER = "tokenizer.json"
INITIAL_STATE = "initial_state.safetensors"
REFERENCE = "reference"
EVALUATION = "evaluation"
REPORT, REPORT_PAGE = REPORTS
SAMPLER = "sampler.json"

_MANIFEST_MAX_BYTES = 16 << 20
_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
_Stamp = tuple[tuple[int, int, int, int], ...]  # device, node, size and time of each file
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # a constant, so that the same bundle gives the same bytes


class Bundle:
    """An opened bundle: its manifest and the folder in which its files lie.

    Use it as a context manager, or keep it as long as its files are read: a single-file bundle is
    unpacked to a temporary folder that goes away with this object.
    """

    def __init__(self, source: Path, folder: Path, manifest: Manifest) -> None:
        self.source = source
        self.folder = folder
        self.manifest = manifest
        self._vouched: dict[str, _Stamp] = {}  # of each listed file, when its digest was right

    @classmethod
    def open(cls, source: Path | str, *, verify_digests: bool = True) -> Bundle:
        """Open the bundle at ``source``, a folder or a ``.edgernn`` file.

        Raises:
            BundleError: missing, foreign, damaged, of another schema version, or unsafe; says which
                file and why.
        """
        source = path_of(source)
        if not _exists(source):  # a kill between two renames may have left it aside
            storage.clear(source.parent, name=source.name)
        if not _exists(source):
            raise BundleError(
                f"no bundle at {source}; make one with: edgernn export RUN --out {argument(source)}"
            )
        _refuse_others(source)
        folder = source if source.is_dir() else _unpack(source)
        try:
            bundle = cls(source, folder, _read_manifest(source, folder))
            if verify_digests:
                bundle.verify_digests()
        except BaseException:
            if folder != source:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if folder != source:
            weakref.finalize(bundle, shutil.rmtree, folder, ignore_errors=True)
        return bundle

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.folder != self.source:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, inner: str) -> Path:
        """Return where ``inner`` lies: a listed file, an artifact, or a folder of listed files.

        Raises:
            BundleError: the manifest does not list it; it is missing; a link leads it out; or it
                was changed after its digest was checked.
        """
        listed = self._listed
        parts = (
            [inner]
            if inner in listed
            else [name for name in listed if name.startswith(f"{inner}/")]
        )
        if not parts:
            raise BundleError(
                f"{self.source}: the manifest does not list {inner!r}, so nothing vouches for it"
            )
        for name in parts:
            found = self._stamp(name)
            if (
                self._vouched.get(name, found) != found
            ):  # touched since; the digest tells whether it was changed
                self._check([name])
        return self.folder / inner

    def verify_digests(self) -> None:
        """Raise BundleError naming the first file whose size or SHA-256 is not the manifest's."""
        self._refuse_unlisted()
        self._check(self._listed)

    def _check(self, names: Iterable[str]) -> None:
        try:
            for inner in names:
                self._verify_digest(inner)
        except OSError as error:
            raise BundleError(
                f"{self.source} cannot be read ({_refusal(error)}); copy or export the bundle again"
            ) from error

    @property
    def _listed(self) -> dict[str, FileDigest | Artifact]:
        return {
            **self.manifest.files,
            **{artifact.path: artifact for artifact in self.manifest.artifacts},
        }

    def _refuse_unlisted(self) -> None:
        listed = self._listed
        kept = {inner.split("/")[0] for inner in listed if "/" in inner}
        for path in sorted(path for top in kept for path in (self.folder / top).rglob("*")):
            inside = path.relative_to(self.folder)
            name = inside.as_posix()
            if path.is_dir() and not path.is_symlink():
                continue
            if not is_side_file(inside) and not any(
                f"{name}/".startswith(f"{inner}/") for inner in listed
            ):
                raise BundleError(
                    f"{self.source}: {name} is not in the manifest, so nothing vouches for it; "
                    "remove it or export again"
                )

    def _verify_digest(self, inner: str) -> None:
        expected, before = self._listed[inner], self._stamp(inner)
        path = self.folder / inner
        if inner in self.manifest.files and path.is_dir():
            raise BundleError(
                f"{self.source}: {inner} is a folder, expected a file; copy or export the "
                "bundle again"
            )
        found = storage.size_bytes(path)
        if found != expected.bytes:
            raise BundleError(
                f"{self.source}: {inner} has {found} bytes, the manifest says {expected.bytes}; "
                "it was cut off or changed. Copy or export the bundle again"
            )
        if storage.sha256(path) != expected.sha256:
            raise BundleError(
                f"{self.source}: {inner} does not have the SHA-256 that the manifest says; its "
                "content was changed. "
                "Copy or export the bundle again"
            )
        self._vouched[inner] = before

    def _stamp(self, inner: str) -> _Stamp:
        """Return by what a change of ``inner`` shows; raise BundleError where it is missing or
        leads out.
        """
        path, root = self.folder / inner, self.folder.resolve()
        try:
            below = [
                file
                for file in sorted(path.rglob("*"))
                if not is_side_file(file.relative_to(self.folder))
            ]
            real = [file.resolve(strict=True) for file in (path, *below)]
            marks = [file.stat() for file in real if not file.is_dir()]
        except FileNotFoundError as error:
            raise BundleError(
                f"{self.source}: {inner} is missing; copy or export the bundle again"
            ) from error
        except (
            OSError,
            RuntimeError,
            ValueError,
        ) as error:  # no permission, a name that no disk takes, a link to itself
            raise BundleError(
                f"{self.source}: {inner} cannot be read ({_refusal(error)}); export the bundle "
                "again"
            ) from error
        if not all(file.is_relative_to(root) for file in real):
            raise BundleError(
                f"{self.source}: {inner} leads out of the bundle's folder; do not use this bundle"
            )
        return tuple((mark.st_dev, mark.st_ino, mark.st_size, mark.st_mtime_ns) for mark in marks)

    def artifact(self, name: str | None = None) -> Artifact:
        """Return the artifact with the path ``name``, or the first step of the format ``name``, or
        the first step of all.
        """
        artifacts = self.manifest.artifacts
        for artifact in artifacts:
            if name == artifact.path or (
                artifact.graph == STEP and name in (None, artifact.format)
            ):
                return artifact
        paths = ", ".join(artifact.path for artifact in artifacts) or "none"
        known = [
            *(artifact.path for artifact in artifacts),
            *(artifact.format for artifact in artifacts),
        ]
        raise UsageError(
            f"no artifact {name!r} in {self.source}; it has: {paths}{did_you_mean(name, known)}"
        )

    def file_contract(self, artifact: Artifact) -> FileContract:
        """Return the contract of one artifact."""
        return self.manifest.file_contract(artifact)


def pack(folder: Path, target: Path) -> None:
    """Zip the bundle ``folder``, without side files, into ``target``; the same bundle always gives
    the same bytes.
    """
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


def digest(path: Path) -> FileDigest:
    """Return the size and SHA-256 of one file."""
    return FileDigest(bytes=storage.size_bytes(path), sha256=storage.sha256(path))


def _refuse_others(source: Path) -> None:
    """Raise BundleError where ``source`` is known to be something else, and say what takes that
    on.
    """
    kind = identify(source)
    if source.is_dir() and not (source / MANIFEST).exists():
        made = (
            kind.advise(source)
            if kind.key != "folder"
            else "make one with: edgernn export RUN --out FOLDER"
        )
        raise BundleError(f"{source} has no {MANIFEST}: it is not a bundle but {kind.name}; {made}")
    if not source.is_dir() and kind.key not in _MAY_BE_BUNDLES:
        raise BundleError(f"{source} is {kind.name}, expected a bundle; {kind.advise(source)}")


def _exists(path: Path) -> bool:
    """Whether something stands at ``path``; raise BundleError where that cannot be told."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except (
        OSError,
        ValueError,
    ) as error:  # no permission, a part that is a file, a name that no disk takes
        raise BundleError(
            f"cannot read {path}: {_refusal(error)}; give the path of a bundle"
        ) from error
    return True


def _read_manifest(source: Path, folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.exists():
        raise BundleError(
            f"{source} has no {MANIFEST}: it is not a bundle; make one with: edgernn export "
            "RUN --out FOLDER"
        )
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(
            f"{source}: {MANIFEST} leads out of the bundle's folder; do not use this bundle"
        )
    try:
        if path.stat().st_size > _MANIFEST_MAX_BYTES:
            raise BundleError(
                f"{source}: {MANIFEST} has over {_MANIFEST_MAX_BYTES >> 20} MiB; do not use "
                "this bundle"
            )
        content = storage.read_bytes(path, most=_MANIFEST_MAX_BYTES)
    except OSError as error:
        raise BundleError(
            f"{source}: {MANIFEST} cannot be read ({_refusal(error)}); copy or export it again"
        ) from error
    return parse_manifest(content, source=str(source))


def _unpack(source: Path) -> Path:
    folder = storage.scratch_folder()
    try:
        with storage.open_to_read(source) as file, zipfile.ZipFile(file) as archive:
            _extract_listed(archive, source, folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise BundleError(
                f"{source} could not be unpacked ({_refusal(error)}) in {folder.parent}"
            ) from error
        if isinstance(error, _DAMAGED_ZIP):
            raise BundleError(
                f"{source} is neither a bundle folder nor a whole {SUFFIX} file "
                f"({_refusal(error)}); copy or export it again"
            ) from error
        raise
    return folder


def _extract_listed(archive: zipfile.ZipFile, source: Path, folder: Path) -> None:
    """Extract the manifest, then only what it lists and no more bytes than it lists: a zip bomb
    finds no room.
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
    _extract(archive, MANIFEST, folder, _MANIFEST_MAX_BYTES, source)
    manifest = _read_manifest(source, folder)
    room = {inner: entry.bytes for inner, entry in manifest.files.items()}
    room |= {artifact.path: artifact.bytes for artifact in manifest.artifacts}
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


def _refusal(error: BaseException) -> str:
    return (
        storage.reason(error) if isinstance(error, OSError) else str(error) or type(error).__name__
    )
