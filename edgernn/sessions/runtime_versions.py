"""Which runtime a file needs: what its operators ask for, what a manifest says, and what is
installed here.

Measured by opening what edgernn exports in onnxruntime 1.18.0, 1.18.1, 1.19.2, 1.20.1, 1.21.1,
1.22.1 and 1.23.0: files in float32 and float16 run in all of them, files with operators of
onnxruntime's own from 1.23 on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata

import onnxruntime

from edgernn.errors import UnavailableError
from edgernn.sessions.ort.graph import OnnxModel

ONNXRUNTIME = "onnxruntime"
KNOWN = (ONNXRUNTIME, "torch", "coremltools")  # no manifest may name another to be installed
_OPERATOR_FLOORS = {
    ("com.microsoft", "MatMulNBits"): "1.23",
    ("com.microsoft", "GatherBlockQuantized"): "1.23",
}


def required_by(model: OnnxModel) -> dict[str, str]:
    """Return package → the lowest version for the operators of ``model``; nothing where edgernn's
    own floor serves.
    """
    used = {(node.domain, node.op) for graph in model.graph.all_graphs() for node in graph.nodes}
    floors = [floor for operator, floor in _OPERATOR_FLOORS.items() if operator in used]
    return {ONNXRUNTIME: max(floors, key=_numbers)} if floors else {}


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
    return _numbers(version) < _numbers(other)


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


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release of a version as numbers: ``1.23.0rc1+cpu`` is (1, 23)."""
    release = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
