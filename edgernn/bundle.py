"""Bundles: a folder, or the same zipped as one ``.edgernn`` file, with everything a device or a checker needs.

Opening verifies every digest and refuses paths that leave the folder, and runs nothing that the bundle holds. A model file
runs when a session opens it, and is read before that: ``sessions/onnx_guard.py``, ``sessions/torchscript_reading.py``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
import zipfile
import zlib
from pathlib import Path
from types import TracebackType

from edgernn import storage
from edgernn.contract import STEP, FileContract, first_line
from edgernn.errors import BundleError, UsageError
from edgernn.manifest import MANIFEST, Artifact, FileDigest, Manifest, parse_manifest

SUFFIX = ".edgernn"
GOLDEN = "golden.safetensors"
TOKENIZER = "tokenizer.json"
INITIAL_STATE = "initial_state.safetensors"
REFERENCE = "reference"
EVALUATION = "evaluation"
SAMPLER = "sampler.json"
REPORT = "report.json"
REPORT_PAGE = "report.html"

_MANIFEST_MAX_BYTES = 16 << 20
_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # a constant, so that the same bundle gives the same bytes


class Bundle:
    """An opened bundle: its manifest and the folder in which its files lie.

    Use it as a context manager, or keep it as long as its files are read: a single-file bundle is unpacked to a
    temporary folder that goes away with this object.
    """

    def __init__(self, source: Path, folder: Path, manifest: Manifest) -> None:
        self.source = source
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, source: Path, *, verify_digests: bool = True) -> Bundle:
        """Open the bundle at ``source``, a folder or a ``.edgernn`` file.

        Raises:
            BundleError: missing, foreign, damaged, of another schema version, or unsafe; says which file and why.
        """
        if not source.exists():
            raise BundleError(f"no bundle at {source}; make one with: edgernn export RUN --out {source}")
        folder = source if source.is_dir() else _unpack(source)
        bundle = cls(source, folder, _read_manifest(source, folder))
        if folder != source:
            weakref.finalize(bundle, shutil.rmtree, folder, ignore_errors=True)
        if verify_digests:
            bundle.verify_digests()
        return bundle

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.folder != self.source:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, inner: str) -> Path:
        """Return where the file ``inner`` lies; raise BundleError if it is missing or a link leads it out."""
        path = self.folder / inner
        try:
            real = [file.resolve(strict=True) for file in (path, *path.rglob("*"))]
        except FileNotFoundError as error:
            raise BundleError(f"{self.source}: {inner} is missing; copy or export the bundle again") from error
        except (OSError, RuntimeError) as error:  # a name that no disk takes, a link to itself
            reason = first_line(error)
            raise BundleError(f"{self.source}: {inner} cannot be read ({reason}); export the bundle again") from error
        root = self.folder.resolve()
        if not all(file.is_relative_to(root) for file in real):
            raise BundleError(f"{self.source}: {inner} leads out of the bundle's folder; do not use this bundle")
        return path

    def verify_digests(self) -> None:
        """Raise BundleError naming the first file whose size or SHA-256 is not the manifest's."""
        listed: dict[str, FileDigest | Artifact] = {**self.manifest.files}
        listed |= {artifact.path: artifact for artifact in self.manifest.artifacts}
        kept = {inner.split("/")[0] for inner in listed if "/" in inner}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if (
                path.is_file()
                and path.name != ".DS_Store"  # which a Mac leaves in any folder it shows
                and name.split("/")[0] in kept
                and not any(f"{name}/".startswith(f"{inner}/") for inner in listed)
            ):
                raise BundleError(
                    f"{self.source}: {name} is not in the manifest, so nothing vouches for it; remove it or export again"
                )
        for inner, expected in listed.items():
            path = self.path(inner)
            found = storage.size_bytes(path)
            if found != expected.bytes:
                raise BundleError(
                    f"{self.source}: {inner} has {found} bytes, the manifest says {expected.bytes}; "
                    "it was cut off or changed. Copy or export the bundle again"
                )
            if storage.sha256(path) != expected.sha256:
                raise BundleError(
                    f"{self.source}: {inner} does not have the SHA-256 that the manifest says; its content was changed. "
                    "Copy or export the bundle again"
                )

    def artifact(self, name: str | None = None) -> Artifact:
        """Return the artifact with the path ``name``, or the first step of the format ``name``, or the first step of all."""
        artifacts = self.manifest.artifacts
        for artifact in artifacts:
            if name == artifact.path or (artifact.graph == STEP and name in (None, artifact.format)):
                return artifact
        paths = ", ".join(artifact.path for artifact in artifacts) or "none"
        raise UsageError(f"no artifact {name!r} in {self.source}; it has: {paths}")

    def file_contract(self, artifact: Artifact) -> FileContract:
        """Return the contract of one artifact."""
        return self.manifest.file_contract(artifact)


def pack(folder: Path, target: Path) -> None:
    """Zip the bundle ``folder`` into the single file ``target``; the same bundle always gives the same bytes."""
    with storage.replacing(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as sink, path.open("rb") as file:
                    shutil.copyfileobj(file, sink)


def digest(path: Path) -> FileDigest:
    """Return the size and SHA-256 of one file."""
    return FileDigest(bytes=storage.size_bytes(path), sha256=storage.sha256(path))


def _read_manifest(source: Path, folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{source} has no {MANIFEST}: it is not a bundle; make one with: edgernn export RUN --out FOLDER")
    if path.stat().st_size > _MANIFEST_MAX_BYTES:
        raise BundleError(f"{source}: {MANIFEST} has over {_MANIFEST_MAX_BYTES >> 20} MiB; do not use this bundle")
    try:
        return parse_manifest(path.read_text(encoding="utf-8"), source=str(source))
    except UnicodeDecodeError as error:
        raise BundleError(f"{source}: {MANIFEST} is not UTF-8 text; copy or export the bundle again") from error


def _unpack(source: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="edgernn-"))
    try:
        with zipfile.ZipFile(source) as archive:
            _extract_listed(archive, source, folder)
    except _DAMAGED_ZIP as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BundleError(
            f"{source} is neither a bundle folder nor a whole {SUFFIX} file ({error}); copy or export it again"
        ) from error
    except BundleError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _extract_listed(archive: zipfile.ZipFile, source: Path, folder: Path) -> None:
    """Extract the manifest, then only what it lists and no more bytes than it lists: a zip bomb finds no room."""
    if MANIFEST not in archive.namelist():
        raise BundleError(f"{source} has no {MANIFEST}: it is not a bundle")
    _extract(archive, MANIFEST, folder, _MANIFEST_MAX_BYTES, source)
    manifest = _read_manifest(source, folder)
    room = {inner: entry.bytes for inner, entry in manifest.files.items()}
    room |= {artifact.path: artifact.bytes for artifact in manifest.artifacts}
    for name in archive.namelist():
        listed = next((inner for inner in room if name == inner or name.startswith(inner + "/")), None)
        if listed is not None and not name.endswith("/"):
            room[listed] -= _extract(archive, name, folder, room[listed], source)


def _extract(archive: zipfile.ZipFile, name: str, folder: Path, room: int, source: Path) -> int:
    target = folder / name
    if not Path(os.path.normpath(target)).is_relative_to(folder):
        raise BundleError(f"{source}: the entry {name!r} leads out of the bundle's folder; do not use this bundle")
    if archive.getinfo(name).file_size > room:
        raise BundleError(f"{source}: {name} is larger than the manifest says; do not use this bundle")
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as entry, target.open("wb") as file:
        shutil.copyfileobj(entry, file)  # zipfile itself stops at the entry's declared size
    return target.stat().st_size
