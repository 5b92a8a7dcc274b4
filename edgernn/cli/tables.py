"""Tables for the terminal, made from manifests and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from edgernn import formats
from edgernn.cli.output import result_console, say, say_indented, say_sheet
from edgernn.cli.sheets import Sheet
from edgernn.cli.shown import joined, styled
from edgernn.wording import size

if TYPE_CHECKING:  # a help text needs none of them
    from edgernn.bundle.manifest import Manifest
    from edgernn.bundle.records import Artifact
    from edgernn.bundle.stored_weights import StoredWeight
    from edgernn.contract import Contract, Narrowing
    from edgernn.parity.report.data import VerifyReport

_MARK = {
    "passed": ("passed", "green"),
    "failed": ("FAILED", "bold red"),
    "not run": ("not run", "yellow"),
}
_SIDE_BY_SIDE = 100  # columns from which a report's four columns leave enough for what a check says


def artifacts(manifest: Manifest) -> Sheet:
    """Return one row per artifact: what it is, how large, and how near the reference when
    packed.
    """
    several = len(manifest.contract.graphs) > 1
    headings = (
        "artifact",
        *["graph"] * several,
        "precision",
        "size",
        "target",
        "narrowed to",
        "parity when packed",
    )
    rows = [
        (
            artifact.path,
            *[artifact.graph] * several,
            artifact.precision,
            size(artifact.bytes),
            artifact.target + (", portable" if artifact.portable else ""),
            _narrowed(artifact.narrowing),
            _parity(artifact, manifest.contract),
        )
        for artifact in manifest.artifacts
    ]
    return Sheet(headings, rows, right=frozenset({"size"}))


def weights(artifact: Artifact) -> Sheet:
    """Return one row per weight: what it is stored as, its bytes in float32 and in the file."""
    before, after = (
        sum(getattr(w, name) for w in artifact.weights) for name in ("float32_bytes", "bytes")
    )
    promised = formats.promised(artifact.format, artifact.precision)
    integers = promised is not None and promised.integers
    rows = [_weight(weight, integers=integers) for weight in artifact.weights]
    rows.append(("together", "", "", size(before), size(after), f"{after / before:.3f} of float32"))
    return Sheet(
        ("weight", "shape", "stored as", "float32", "here", ""),
        rows,
        right=frozenset({"float32", "here"}),
        title=f"{artifact.path}: {_loss(artifact)}",
    )


def _weight(weight: StoredWeight, *, integers: bool) -> tuple[Text | str, ...]:
    blocks = f" in blocks of {weight.block_size}" if weight.block_size else ""
    stayed = len(weight.shape) > 1 and weight.is_float and integers
    return (
        weight.name + (" (recurrent)" if weight.recurrent else ""),
        " x ".join(map(str, weight.shape)),
        weight.dtype + blocks,
        size(weight.float32_bytes),
        size(weight.bytes),
        styled("stayed float", "bold red") if stayed else "",
    )


def _loss(artifact: Artifact) -> str:
    from edgernn.bundle.nats import rise_text

    loss = artifact.loss
    if (outputs := artifact.output_loss) is not None:
        same = "" if outputs.top1 is None else f", top-1 {outputs.top1:.1%}"
        return f"{outputs.output} {outputs.error:.1e} off{same}"
    if loss is None:
        return "loss not measured"
    drop = "" if loss.cider_drop is None else f", CIDEr-D {-loss.cider_drop:+.2%}"
    allowed = "" if loss.allowed is None else f" of {loss.allowed:.2%} allowed"
    return f"perplexity {rise_text(loss.increase)}{allowed}{drop}, top-1 {loss.top1:.1%}"


def tensors(contract: Contract) -> Sheet:
    """Return one row per tensor of every graph."""
    rows = []
    for graph in contract.graphs:
        for way, specs in (("in", graph.inputs), ("out", graph.outputs)):
            for spec in specs:
                axes = ", ".join(
                    f"{a} {contract.sizes[a]}" if a in contract.sizes else a for a in spec.axes
                )
                rows.append((f"{graph.name} {way}", spec.name, spec.role, spec.dtype, axes))
    return Sheet(("graph", "tensor", "role", "dtype", "axes"), rows)


def say_report(report: VerifyReport) -> None:
    """Print the verdict, every check of every artifact, and the verdict again."""
    say(_headline(report))
    console = result_console()
    if console.is_terminal and console.width < _SIDE_BY_SIDE:
        _say_checks(report)
    else:
        say_sheet(_checks(report))
    say(f"reference: {report.reference}")
    if report.signed_by:
        say(f"signed by {report.signed_by}")
    say(f"rows and call lengths drawn by --seed {report.seed}")
    say(_headline(report))


def _headline(report: VerifyReport) -> Text:
    """Return the verdict, coloured, and what stands behind it: the first and the last line."""
    from edgernn.parity.report.wording import headline

    verdict, rest = headline(report).split(":", maxsplit=1)
    return joined(styled(verdict, "green" if report.passed else "bold red"), f":{rest}")


def _checks(report: VerifyReport) -> Sheet:
    """Return one row per check, what it says in the last column."""
    rows = []
    for artifact in report.artifacts:
        for index, check in enumerate(artifact.checks):
            name = (f"{artifact.path} ({artifact.precision})", f"  in {artifact.runtime}", "")[
                min(index, 2)
            ]
            rows.append((name, check.name, styled(*_MARK[check.status]), check.detail))
    return Sheet(("artifact", "check", "result", ""), rows, wrapped=True)


def _say_checks(report: VerifyReport) -> None:
    """Print what each check says below it, for a narrow terminal."""
    for artifact in report.artifacts:
        say_indented(f"{artifact.path} ({artifact.precision}) in {artifact.runtime}", 0)
        for check in artifact.checks:
            say_indented(joined(f"{check.name:<10}  ", styled(*_MARK[check.status])), 2)
            say_indented(check.detail, 4)


def total_bytes(manifest: Manifest) -> int:
    """Return the bytes of all listed files."""
    return sum(file.bytes for file in manifest.files.values()) + sum(
        artifact.bytes for artifact in manifest.artifacts
    )


def _narrowed(narrowing: Narrowing) -> str:
    parts = [f"{axis}={size}" for axis, size in narrowing.axes.items()]
    parts += [f"{name} {dtype}" for name, dtype in narrowing.dtypes.items()]
    parts += ["state in the runtime"] if narrowing.runtime_state else []
    return ", ".join(parts) or "-"


def _parity(artifact: Artifact, contract: Contract) -> str:
    if artifact.parity is None:
        return "not measured here"
    unit = contract.unit(artifact.graph)
    return f"{artifact.parity.worst:.1e} over {artifact.parity.steps} {unit}s"


def frames(contract: Contract) -> str:
    """Return in words how many frames a step takes and how late its outputs are; empty where a step
    takes one and answers at once.
    """
    late, count = contract.latency_frames, contract.step_frames
    told = [f"{count} a step"] if count > 1 else []
    told += [f"outputs at frame t speak of frame t - {late}"] if late else []
    return ", ".join(told)


def first_state(contract: Contract) -> str:
    """Return in words where the first value of each state comes from; once where all agree."""
    words = {None: "zeros", "stored": "learned, in the bundle", "encode": "made by encode"}
    found = {s.name: words[contract.initial_state.get(s.name)] for s in contract.step.states}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{name}: {word}" for name, word in found.items()) or "none"
