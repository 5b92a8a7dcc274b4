"""The table of formats: every row file, and how rows are chosen.

A new format is one exporter file, one session file, one row file beside this one, and its ``ROWS``
below. Rows hold strings and numbers, so reading the table imports nothing; ``resolve`` imports what
a row names when it is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

from edgernn.errors import UnavailableError, UsageError
from edgernn.formats import c, coreml, executorch, litert, ncnn, onnx, openvino, torchscript
from edgernn.formats.installed import install_command, lacks_wheel
from edgernn.formats.promise import Tolerance, in_float32
from edgernn.formats.row import Format
from edgernn.wording import expected_one_of

_ROWS = (
    *onnx.ROWS,
    *torchscript.ROWS,
    *coreml.ROWS,
    *c.ROWS,
    *executorch.ROWS,
    *openvino.ROWS,
    *ncnn.ROWS,
    *litert.ROWS,
)
FORMATS = {row.name: row for row in _ROWS}
PRECISIONS = tuple(dict.fromkeys(precision for row in _ROWS for precision in row.precisions))
YARDSTICK = onnx.ONNX  # in its default precision what the speed of all others is compared with
TRACED = torchscript.TORCHSCRIPT  # of the reference of a model that no configuration rebuilds
OWN = onnx.ONNX  # of that of a model that came as a file

REFERENCE = Format(
    name="eager",
    family="reference",
    title="eager torch",
    mark="",
    suffix="",
    promises={"float32": in_float32("it is what the others are compared with")},
    exporter=None,
    session="edgernn.models.eager:EagerSession",
    export_extra=None,
    run_extra="train",
)


def by_name(name: str) -> Format:
    """Return the row ``name``; raise UsageError naming the known ones."""
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}; {expected_one_of(name, FORMATS)}")
    return FORMATS[name]


def select(names: Iterable[str] | str | None) -> tuple[Format, ...]:
    """Return the rows that ``names`` mean, each a row's name or a family; None means all, in the
    table's order.
    """
    if names is None:
        return tuple(FORMATS.values())
    if not isinstance(names, Iterable):
        raise UsageError(
            f"formats are {names!r}, expected a name, or several as ['onnx', 'coreml']"
        )
    wanted = [names] if isinstance(names, str) else list(names)
    rows = tuple(FORMATS.values())
    known = {row.name for row in rows} | {row.family for row in rows}
    for name in wanted:
        if name not in known:
            raise UsageError(f"unknown format {name!r}; {expected_one_of(name, sorted(known))}")
    if not wanted:
        raise UsageError(f"no format given; expected one or more of {', '.join(sorted(known))}")
    return tuple(row for row in rows if row.name in wanted or row.family in wanted)


def default_rows() -> tuple[Format, ...]:
    """Return the rows that are written where none is named: those of the extra ``export``."""
    return tuple(row for row in FORMATS.values() if row.by_default)


def run_by(runtime: str) -> Format:
    """Return the row whose files ``runtime`` runs beside its own; raise UsageError naming the known
    ones.
    """
    known = {name: row for row in FORMATS.values() for name in row.others}
    if runtime not in known:
        raise UsageError(f"unknown runtime {runtime!r}; {expected_one_of(runtime, known)}")
    return known[runtime]


def promised(name: str, precision: str) -> Tolerance | None:
    """Return what a format promises in a precision; None where this edgernn does not know them."""
    row = FORMATS.get(name)
    return None if row is None else row.promises.get(precision)


def tolerance(family: str, precision: str) -> Tolerance:
    """Return what a family's first row promises for ``precision``; raise UsageError or
    ContractError where there is no such row or promise. The name by which the first version
    documents it.
    """
    return select(family)[0].promise(precision)


def left_out() -> dict[str, str]:
    """Return the formats that no install can write with this Python, each with the reason."""
    reasons = {
        row.name: [why for package in row.packages if (why := lacks_wheel(package))]
        for row in default_rows()
    }
    return {name: found[0] for name, found in reasons.items() if found}


def resolve(target: str, *, needed_for: str, extra: str | None) -> Any:
    """Import ``module:attribute``.

    Raises:
        UnavailableError: a third-party package that it imports is not installed; says which pip
            extra brings it.
    """
    module, attribute = target.split(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        if not _is_missing(error):
            raise
        missing = lacks_wheel(error.name or "")
        if missing:
            raise UnavailableError(f"{needed_for} cannot be done here: {missing}") from error
        raise UnavailableError(
            f"{needed_for} needs the package {error.name!r}, which is not installed; run: "
            f"{install_command(extra)}"
        ) from error


def _is_missing(error: ImportError) -> bool:
    """Return whether a package was looked for and is not installed: nothing has its name, or only a
    folder, as the one of a bundle that a command is run in.
    """
    package = (error.name or "").split(".")[0]
    if package == "edgernn":
        return False
    if isinstance(error, ModuleNotFoundError):
        return True
    spec = importlib.util.find_spec(package) if package else None
    return spec is not None and spec.origin is None
