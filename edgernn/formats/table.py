"""The table of formats: who writes each, who runs it, and which pip extra brings what it needs.

A new format is one exporter file, one session file and one row here. Rows hold strings, so reading
the table imports nothing; ``resolve`` imports what a row names when it is needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgernn.errors import UnavailableError, UsageError
from edgernn.formats.installed import install_command, lacks_wheel
from edgernn.wording import expected_one_of


@dataclass(frozen=True)
class Format:
    """One row.

    Attributes:
        name: what ``--to`` takes and the manifest records.
        graphs: the graphs that the exporter writes; the rest of a model is in the family's first
            row.
        family: what ``--to`` takes to mean this row and its relatives; also the bundle's folder.
        mark, suffix: an artifact's name is its graph, the mark, its precision if not the default,
            and the suffix.
        precisions: the precisions that the exporter offers, the default first.
        decoders: sessions of files that decode in the graph, by what these compute.
        step_only: those of them that it offers for the step graph alone; an encode graph then gets
            the default.
        exporter, session: ``module:Class``; the reference has no exporter.
        structure: what reads the structure of the file, a ``parity.structure.StructureReader``.
        interpreter: a session that runs the file where ``session`` cannot, operator by operator,
            for verifying; or None.
        packages: what exporting needs of which some Python has no wheel.
        export_extra, run_extra: pip extras that bring what exporting and running need; None is the
            base install.
    """

    name: str
    family: str
    mark: str
    suffix: str
    precisions: tuple[str, ...]
    exporter: str | None
    session: str
    export_extra: str | None
    run_extra: str | None
    interpreter: str | None = None
    structure: str | None = None
    graphs: tuple[str, ...] = ("encode", "step")
    step_only: tuple[str, ...] = ()
    decoders: Mapping[str, str] = field(default_factory=dict, hash=False)
    packages: tuple[str, ...] = ()

    def path(self, precision: str, graph: str = "step") -> str:
        """Return the path in a bundle of the artifact of ``graph``; the default precision goes
        unnamed.
        """
        named = "" if precision == self.precisions[0] else f"-{precision}"
        return f"{self.family}/{graph}{self.mark}{named}{self.suffix}"


_ROWS = (
    Format(
        name="onnx",
        family="onnx",
        mark="",
        suffix=".onnx",
        precisions=("float32", "float16", "int8", "int4", "smallest"),
        step_only=("int8", "int4", "smallest"),
        decoders={
            "generate": "edgernn.sessions.ort.in_graph:OrtGenerator",
            "caption": "edgernn.sessions.ort.in_graph:OrtCaptioner",
        },
        exporter="edgernn.export.to_onnx.exporter:OnnxExporter",
        session="edgernn.sessions.ort.step:OrtSession",
        structure="edgernn.parity.structure.onnx:OnnxStructure",
        export_extra="export",
        run_extra=None,
    ),
    Format(
        name="torchscript",
        family="torchscript",
        mark="",
        suffix=".pt",
        precisions=("float32",),
        exporter="edgernn.export.to_torchscript:TorchScriptExporter",
        session="edgernn.sessions.torchscript.session:TorchScriptSession",
        structure="edgernn.parity.structure.torchscript:TorchScriptStructure",
        export_extra="export",
        run_extra="train",
    ),
    Format(
        name="coreml",
        family="coreml",
        mark="",
        suffix=".mlpackage",
        precisions=("float16", "float32", "int8", "int4", "palettized4"),
        packages=("coremltools",),
        step_only=(
            "int4",
            "palettized4",
        ),  # of an image encoder, 4 bits a weight leave features that are half error
        exporter="edgernn.export.to_coreml.exporter:CoreMLExporter",
        session="edgernn.sessions.coreml:CoreMLSession",
        export_extra="export",
        run_extra="export",
        interpreter="edgernn.sessions.mil.session:MilSession",
        structure="edgernn.parity.structure.mil:MilStructure",
    ),
    Format(
        name="coreml-mlstate",
        family="coreml",
        mark="_mlstate",
        suffix=".mlpackage",
        precisions=("float16", "int8", "int4", "palettized4"),
        exporter="edgernn.export.to_coreml.exporter:CoreMLStateExporter",
        session="edgernn.sessions.coreml:CoreMLStateSession",
        export_extra="export",
        run_extra="export",
        interpreter="edgernn.sessions.mil.session:MilSession",
        packages=("coremltools",),
        structure="edgernn.parity.structure.mil:MilStructure",
        graphs=("step",),  # an encode graph has no state to keep
    ),
)
FORMATS = {row.name: row for row in _ROWS}
PRECISIONS = tuple(dict.fromkeys(precision for row in _ROWS for precision in row.precisions))

REFERENCE = Format(
    name="eager",
    family="reference",
    mark="",
    suffix="",
    precisions=("float32",),
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
        return _ROWS
    if not isinstance(names, Iterable):
        raise UsageError(
            f"formats are {names!r}, expected a name, or several as ['onnx', 'coreml']"
        )
    wanted = [names] if isinstance(names, str) else list(names)
    known = {row.name for row in _ROWS} | {row.family for row in _ROWS}
    for name in wanted:
        if name not in known:
            raise UsageError(f"unknown format {name!r}; {expected_one_of(name, sorted(known))}")
    if not wanted:
        raise UsageError(f"no format given; expected one or more of {', '.join(sorted(known))}")
    return tuple(row for row in _ROWS if row.name in wanted or row.family in wanted)


def left_out() -> dict[str, str]:
    """Return the formats that no install can write with this Python, each with the reason."""
    reasons = {
        row.name: [why for package in row.packages if (why := lacks_wheel(package))]
        for row in _ROWS
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
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "edgernn":
            raise
        missing = lacks_wheel(error.name or "")
        if missing:
            raise UnavailableError(f"{needed_for} cannot be done here: {missing}") from error
        raise UnavailableError(
            f"{needed_for} needs the package {error.name!r}, which is not installed; run: "
            f"{install_command(extra)}"
        ) from error
