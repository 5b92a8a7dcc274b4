"""The file ``manifest.json`` of a bundle's folder, read no further than a manifest may be long and
never from outside the folder.
"""

from __future__ import annotations

from pathlib import Path

from edgernn import storage
from edgernn.bundle.manifest import MANIFEST, Manifest, parse_manifest
from edgernn.errors import BundleError

MANIFEST_MAX_BYTES = 16 << 20


def read_manifest(source: Path, folder: Path) -> Manifest:
    """Return the manifest in ``folder``, where the bundle ``source`` lies or was unpacked.

    Raises:
        BundleError: there is none, it leads out of the folder, it is too long, unreadable or
            damaged.
    """
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
        if path.stat().st_size > MANIFEST_MAX_BYTES:
            raise BundleError(
                f"{source}: {MANIFEST} has over {MANIFEST_MAX_BYTES >> 20} MiB; do not use "
                "this bundle"
            )
        content = storage.read_bytes(path, most=MANIFEST_MAX_BYTES)
    except OSError as error:
        raise BundleError(
            f"{source}: {MANIFEST} cannot be read ({refusal(error)}); copy or export it again"
        ) from error
    return parse_manifest(content, source=str(source))


def refusal(error: BaseException) -> str:
    """Return in words what the system, or a library, refused."""
    return (
        storage.reason(error) if isinstance(error, OSError) else str(error) or type(error).__name__
    )
