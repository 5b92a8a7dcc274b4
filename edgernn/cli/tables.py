"""Tables for the terminal, made from manifests and reports."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from edgernn.contract import ENCODE, Contract, Narrowing
from edgernn.manifest import Artifact, Manifest
from edgernn.nats import rise_text
from edgernn.parity.report import VerifyReport
from edgernn.parity.wording import size

_FLOATS = frozenset({"float32", "float16"})
_MARK = {"passed": "[green]passed[/green]", "failed": "[bold red]FAILED[/bold red]", "not run": "[yellow]not run[/yellow]"}


def artifacts(manifest: Manifest) -> Table:
    """Return one row per artifact: what it is, how large, and how near the reference when packed."""
    table = Table(box=None, pad_edge=False)
    several = len(manifest.contract.graphs) > 1
    for heading in ("artifact", *["graph"] * several, "precision", "size", "target", "narrowed to", "parity when packed"):
        table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for artifact in manifest.artifacts:
        table.add_row(
            artifact.path,
            *[artifact.graph] * several,
            artifact.precision,
            size(artifact.bytes),
            artifact.target,
            _narrowed(artifact.narrowing),
            _parity(artifact),
        )
    return table


def weights(artifact: Artifact) -> Table:
    """Return one row per weight: what it is stored as, its bytes in float32 and in the file."""
    table = Table(box=None, pad_edge=False, title=f"{artifact.path}: {_loss(artifact)}", title_justify="left")
    for heading in ("weight", "shape", "stored as", "float32", "here", ""):
        table.add_column(heading, justify="right" if heading in ("float32", "here") else "left", overflow="fold")
    for weight in artifact.weights:
        blocks = f" in blocks of {weight.block_size}" if weight.block_size else ""
        stayed = len(weight.shape) > 1 and weight.dtype.startswith("float")
        note = "[bold red]stayed float[/bold red]" if stayed and artifact.precision not in _FLOATS else ""
        table.add_row(
            weight.name + (" (recurrent)" if weight.recurrent else ""),
            " x ".join(map(str, weight.shape)),
            weight.dtype + blocks,
            size(weight.float32_bytes),
            size(weight.bytes),
            note,
        )
    before, after = (sum(getattr(w, name) for w in artifact.weights) for name in ("float32_bytes", "bytes"))
    table.add_row("together", "", "", size(before), size(after), f"{after / before:.3f} of float32")
    return table


def _loss(artifact: Artifact) -> str:
    loss = artifact.loss
    if loss is None:
        return "loss not measured"
    drop = "" if loss.cider_drop is None else f", CIDEr-D {-loss.cider_drop:+.2%}"
    allowed = "" if loss.allowed is None else f" of {loss.allowed:.2%} allowed"
    return f"perplexity {rise_text(loss.increase)}{allowed}{drop}, top-1 {loss.top1:.1%}"


def tensors(contract: Contract) -> Table:
    """Return one row per tensor of every graph."""
    table = Table(box=None, pad_edge=False)
    for heading in ("graph", "tensor", "role", "dtype", "axes"):
        table.add_column(heading)
    for graph in contract.graphs:
        for way, specs in (("in", graph.inputs), ("out", graph.outputs)):
            for spec in specs:
                axes = ", ".join(f"{a} {contract.sizes[a]}" if a in contract.sizes else a for a in spec.axes)
                table.add_row(f"{graph.name} {way}", spec.name, spec.role, spec.dtype, axes)
    return table


def print_report(console: Console, report: VerifyReport) -> None:
    """Print every check of every artifact, and the verdict."""
    table = Table(box=None, pad_edge=False)
    for heading in ("artifact", "check", "result", ""):
        table.add_column(heading, no_wrap=heading != "")
    for artifact in report.artifacts:
        for index, check in enumerate(artifact.checks):
            name = (f"{artifact.path} ({artifact.precision})", f"  in {artifact.runtime}", "")[min(index, 2)]
            table.add_row(name, check.name, _MARK[check.status], check.detail)
    console.print(table)
    passed = sum(artifact.passed for artifact in report.artifacts)
    console.print(f"reference: {report.reference}")
    verdict = "[green]verified[/green]" if report.passed else "[bold red]NOT verified[/bold red]"
    skipped = sum(check.status == "not run" for artifact in report.artifacts for check in artifact.checks)
    left = f"; {skipped} checks could not be run here" if skipped else ""
    console.print(f"{verdict}: {passed} of {len(report.artifacts)} artifacts passed{left}")


def total_bytes(manifest: Manifest) -> int:
    """Return the bytes of all listed files."""
    return sum(file.bytes for file in manifest.files.values()) + sum(artifact.bytes for artifact in manifest.artifacts)


def _narrowed(narrowing: Narrowing) -> str:
    parts = [f"{axis}={size}" for axis, size in narrowing.axes.items()]
    parts += [f"{name} {dtype}" for name, dtype in narrowing.dtypes.items()]
    parts += ["state in the runtime"] if narrowing.runtime_state else []
    return ", ".join(parts) or "-"


def _parity(artifact: Artifact) -> str:
    if artifact.parity is None:
        return "not measured here"
    return f"{artifact.parity.worst:.1e} over {artifact.parity.steps} {'pictures' if artifact.graph == ENCODE else 'steps'}"
