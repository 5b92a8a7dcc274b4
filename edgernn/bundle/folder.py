"""Bundles: a folder, or the same zipped as one ``.edgernn`` file, with everything a device or a
checker needs.

Opening verifies every digest and refuses paths that leave the folder, and runs nothing that the
bundle holds. A model file runs when a session opens it, and is read before that:
``sessions/ort/guard.py``, ``sessions/torchscript/reading.py``.
"""

from __future__ import annotations

import copy
import shutil
import weakref
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from edgernn import storage
from edgernn.bundle.manifest import MANIFEST, REPORTS, Manifest
from edgernn.bundle.manifest_file import read_manifest, refusal
from edgernn.bundle.packed import unpack
from edgernn.bundle.records import Artifact, FileDigest
from edgernn.contract import STEP, FileContract
from edgernn.errors import BundleError, UsageError
from edgernn.storage.identify import identify, path_of
from edgernn.storage.side_files import is_side_file
from edgernn.wording import argument, did_you_mean

_MAY_BE_BUNDLES = ("packed-bundle", "zip", "damaged-zip", "unknown", "unreadable")
GOLDEN = "golden.safetensors"
TOKENIZER = "tokenizer.json"
INITIAL_STATE = "initial_state.safetensors"
REFERENCE = "reference"
EVALUATION = "evaluation"
REPORT, REPORT_PAGE = REPORTS
SAMPLER = "sampler.json"

_Stamp = tuple[tuple[int, int, int, int], ...]  # device, node, size and time of each file


class Bundle:
    """An opened bundle: its manifest and the folder in which its files lie.

    Use it as a context manager, or keep it as long as its files are read: a single-file bundle is
    unpacked to a temporary folder that goes away with this object.

    Attributes:
        source, folder: where it came from, and where its files lie.
        manifest: what it holds.
        trusted: whether programs in it run as they are, on the user's word; see
            ``sessions/README.md``.
    """

    def __init__(self, source: Path, folder: Path, manifest: Manifest) -> None:
        self.source = source
        self.folder = folder
        self.manifest = manifest
        self.trusted = False
        self._whole: Bundle | None = None  # what it is a view of, which is to live as long
        self._vouched: dict[str, _Stamp] = {}  # of each listed file, when its digest was right

    @classmethod
    def open(
        cls, source: Path | str | Bundle, *, verify_digests: bool = True, trust: bool = False
    ) -> Bundle:
        """Open the bundle at ``source``, a folder or a ``.edgernn`` file; one that is opened
        already is given back. ``trust``: see ``trusted``.

        Raises:
            BundleError: missing, foreign, damaged, of another schema version, or unsafe; says which
                file and why.
        """
        if isinstance(source, Bundle):
            return source._trusting() if trust else source
        source = path_of(source)
        if not _exists(source):  # a kill between two renames may have left it aside
            storage.clear(source.parent, name=source.name)
        if not _exists(source):
            raise BundleError(
                f"no bundle at {source}; make one with: edgernn export RUN --out {argument(source)}"
            )
        _refuse_others(source)
        folder = source if source.is_dir() else unpack(source)
        try:
            bundle = cls(source, folder, read_manifest(source, folder))
            if verify_digests:
                bundle.verify_digests()
        except BaseException:
            if folder != source:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if folder != source:
            weakref.finalize(bundle, shutil.rmtree, folder, ignore_errors=True)
        bundle.trusted = trust
        return bundle

    def _trusting(self) -> Bundle:
        """Return this bundle, trusted; it lives as long as that."""
        made = copy.copy(self)
        made._whole, made.trusted = self, True
        return made

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
            # touched since; the digest tells whether it was changed
            if self._vouched.get(name, found) != found:
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
                f"{self.source} cannot be read ({refusal(error)}); copy or export the bundle again"
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
                f"{self.source}: {inner} cannot be read ({refusal(error)}); export the bundle again"
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
            f"cannot read {path}: {refusal(error)}; give the path of a bundle"
        ) from error
    return True
