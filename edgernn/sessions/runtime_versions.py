"""Which runtime a file needs: what a manifest or the file says, and what is installed here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata

import onnxruntime

from edgernn.errors import UnavailableError
from edgernn.formats import FORMATS

ONNXRUNTIME = "onnxruntime"
# no manifest may name another to be installed
KNOWN = tuple(dict.fromkeys(package for row in FORMATS.values() for package in row.packages))


def refuse_older(requires: Mapping[str, str], what: str) -> None:
    """Raise UnavailableError where a package that ``what`` needs is older here than ``requires``
    says, or not here.
    """
    for package, lowest in requires.items():
        if package not in KNOWN:
            raise UnavailableError(
                f"{what} says that it needs {package!r}, which is no runtime that this edgernn "
                "knows; expected "
                f"{', '.join(KNOWN)}. Use the edgernn that exported it"
            )
        found = installed(package)
        if found is None or is_older(found, lowest):
            seen = "which is not installed" if found is None else f"this is {found}"
            raise UnavailableError(
                f"{what} needs {package} {lowest} or newer, {seen}; run: pip install -U "
                f"'{package}>={lowest}', "
                "or choose an artifact in float32 or float16"
            )


def is_older(version: str, other: str) -> bool:
    """Return whether ``version`` comes before ``other``; ``1.9`` is older than ``1.23``."""
    return release(version) < release(other)


def installed(package: str) -> str | None:
    """Return the version of ``package`` here, or None. A package is never imported because a
    manifest names it.
    """
    if package == ONNXRUNTIME:  # builds for other hardware are installed under other names
        return str(onnxruntime.__version__)
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def release(version: str) -> tuple[int, ...]:
    """Return the release of a version as numbers: ``1.23.0rc1+cpu`` is (1, 23)."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
