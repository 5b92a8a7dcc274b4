"""Where a bundle is written: nothing is replaced but another bundle."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgernn import storage
from edgernn.bundle.manifest import MANIFEST, REPORTS, SIGNATURE, parse_manifest
from edgernn.bundle.packed import SUFFIX, refuse_foreign_file
from edgernn.errors import BundleError, UsageError
from edgernn.formats import FORMATS
from edgernn.storage.side_files import is_side_file


def refuse_foreign(out: Path, *, beside: Collection[str] = ()) -> None:
    """Raise UsageError where anything but a bundle stands at ``out``, which is about to be written,
    or where its name is that of a model file; a link to what is not there is left as it is.

    What killed processes left there is cleared away. ``beside`` names files that may lie in the
    folder of a bundle without being listed, and go with it.
    """
    storage.refuse_dangling(out)
    storage.clear(out)
    _refuse_ending(out)
    if out.suffix == SUFFIX:
        refuse_foreign_file(out)
    elif out.is_dir() and (foreign := _foreign_files(out, beside)):
        raise UsageError(
            f"{out} is there and is no bundle; it was left as it is ({foreign[0]}). Choose "
            "another --out"
        )
    elif out.exists() and not out.is_dir():
        raise UsageError(
            f"{out} is there and is no bundle; it was left as it is. Choose another --out"
        )


def _refuse_ending(out: Path) -> None:
    """Raise UsageError for a name that promises one file of another kind than a bundle."""
    ending = out.suffix.lower()
    kinds = {row.suffix for row in FORMATS.values()} | {SUFFIX, ".zip"}
    if ending in kinds - {""} and out.suffix != SUFFIX and not out.exists():
        raise UsageError(
            f"{out} ends in {out.suffix}, and a bundle is a folder or a {SUFFIX} file; "
            f"write --out {out.with_suffix(SUFFIX)}, or --out {out.with_suffix('')} for a "
            "folder with the model files in it"
        )


def _foreign_files(folder: Path, beside: Collection[str]) -> list[str]:
    """Return the files in ``folder`` that are not of a bundle: what its manifest does not list, but
    for side files and ``beside``.
    """
    inner = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir()]
    files = [path.as_posix() for path in inner if not is_side_file(path)]
    try:
        manifest = parse_manifest((folder / MANIFEST).read_bytes(), source=str(folder))
    except (BundleError, OSError):
        return files
    listed = {
        MANIFEST,
        SIGNATURE,
        *REPORTS,
        *beside,
        *manifest.files,
        *(artifact.path for artifact in manifest.artifacts),
    }
    return [
        name
        for name in files
        if not any(name == inner or name.startswith(f"{inner}/") for inner in listed)
    ]
