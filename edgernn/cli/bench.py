"""``edgernn bench``: what each artifact of a bundle costs on this machine."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn import plots, storage
from edgernn.cli.choices import TrustOption, completing, format_names
from edgernn.cli.output import say, say_sheet, tell, words, write_result
from edgernn.cli.sheets import Sheet
from edgernn.errors import StorageError, UsageError
from edgernn.wording import counted, size

if TYPE_CHECKING:
    from edgernn.bench.report import BenchReport

_NONE = "–"
_GIGA = 1e9


def bench(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a folder or a .edgernn file.")],
    to: Annotated[
        str | None,
        typer.Option(help="Formats or files to measure; default all.", **completing(format_names)),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each runtime; default its own choice.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Timed steps of each artifact.")] = 500,
    trust: TrustOption = False,
    json: Annotated[
        str | None, typer.Option(help="Write the report as JSON to this file; - for stdout.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw step time over file size: .png, .pdf or .svg.")
    ] = None,
) -> None:
    """Measure load, steps, prefill and memory of every artifact, and how far its steps are from the
    memory's speed.
    """
    _check_outputs(json, plot)
    from edgernn.bench import bench_bundle

    report = bench_bundle(
        bundle, to=words(to), threads=threads, steps=steps, trust=trust, tell=tell
    )
    if json is not None:
        write_result(json, report.to_json())
    if json != "-":
        say_report(report)
    if plot is not None:
        draw(report, plot)


def draw(report: BenchReport, path: Path) -> None:
    """Draw the median step of every step artifact over its size as PNG; raise UsageError where
    there is none.
    """
    steps = [
        (artifact.path, artifact.bytes, artifact.p50_ms)
        for artifact in report.artifacts
        if artifact.steps
    ]
    if not steps:
        raise UsageError(
            "no step artifact was measured, so there is nothing to draw; leave --plot out"
        )
    plots.step_times(
        steps, path, bytes_per_ms=report.bandwidth.bytes_per_s / 1e3, notes=_below_the_line(report)
    )


def _below_the_line(report: BenchReport) -> list[str]:
    """Return for each step that takes less than reading its file once what it does not read."""
    notes = []
    for artifact in report.artifacts:
        if artifact.steps and artifact.p50_ms * report.bandwidth.bytes_per_s / 1e3 < artifact.bytes:
            read = artifact.touched_bytes
            part = (
                "does not read all of its file"
                if read is None
                else f"reads {size(read)} of its {size(artifact.bytes)}"
            )
            why = f"of an embedding one row a {report.unit}; what the caches hold is read faster"
            notes.append(f"{artifact.path} lies below the line: a step {part} ({why})")
    return notes


def say_report(report: BenchReport) -> None:
    """Print the times, what they cost, what was left out and why, and how it was measured."""
    say_sheet(_times(report))
    say()
    say_sheet(_costs(report))
    for left in report.left_out:
        say(f"not run: {left.path} ({left.precision}): {left.reason}")
    for line in _notes(report):
        say(line)


def _times(report: BenchReport) -> Sheet:
    headings = (
        "times in ms",
        "load",
        "first",
        "p50",
        "p90",
        "p99",
        f"{report.unit}s/s",
        "prefill/s",
        "speed",
    )
    rows = [
        (
            a.path,
            *(_figure(ms) for ms in (a.load_ms, a.first_ms, a.p50_ms, a.p90_ms, a.p99_ms)),
            _figure(a.tokens_per_s),
            _figure(a.prefill_tokens_per_s),
            _times_of(a.speed),
        )
        for a in report.artifacts
    ]
    return Sheet(headings, rows, right=frozenset(headings[1:]))


def _costs(report: BenchReport) -> Sheet:
    headings = (
        "sizes",
        "precision",
        "file",
        "peak memory",
        "of it the runtime",
        "read a call",
        "above the floor",
    )
    rows = [
        (
            a.path,
            a.precision,
            *(
                _NONE if count is None else size(count)
                for count in (a.bytes, a.peak_bytes, a.baseline_bytes, a.touched_bytes)
            ),
            _times_of(a.times_floor),
        )
        for a in report.artifacts
    ]
    return Sheet(headings, rows, right=frozenset(headings[1:]))


def _notes(report: BenchReport) -> list[str]:
    """Return what a reader of the tables must know, one line each."""
    machine, reads, unit = report.machine, report.bandwidth, report.unit
    once = dict.fromkeys(artifact.unit for artifact in report.artifacts if not artifact.steps)
    encode = "".join(f"; encode: a {call} a call" for call in once)
    threads = (
        "threads as each runtime chooses"
        if report.threads is None
        else counted(report.threads, "thread")
    )
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    late = (
        f"the outputs of a frame come {report.latency_frames} frames after it, and a step later "
        f"({report.step_frames} frames a step)"
    )
    return [
        *([late] if report.latency_frames else []),
        "load, first, peak memory: in a process of its own that imports the runtime, opens the "
        "file and calls it",
        f"steps: {report.steps} in {report.rounds} interleaved rounds, one {unit} a call, the "
        f"state fed back, {threads}; fed {report.fed}{encode}",
        *_rows(report),
        f"prefill/s: {unit}s a second of a {'prompt' if unit == 'token' else 'run'} of "
        f"{report.prefill_tokens}; speed: the float32 ONNX file's p50 over this p50",
        "floor: p50 over the time to read the weights that a call reads, at "
        f"{reads.bytes_per_s / _GIGA:.1f} GB/s "
        f"({reads.lowest_bytes_per_s / _GIGA:.1f} to {reads.highest_bytes_per_s / _GIGA:.1f}; "
        "one thread over "
        f"{size(reads.buffer_bytes)} of memory); below 1 the weights stayed in the caches",
        f"{machine.processor}, {counted(machine.cores or 1, 'core')}, {machine.platform}, "
        f"Python {machine.python}, {packages}",
    ]


def _rows(report: BenchReport) -> list[str]:
    several = [f"{a.path} takes {a.rows}" for a in report.artifacts if a.rows > 1]
    told = (
        f"sequences a call: {', '.join(several)}; {report.unit}s a second and speed count them all"
    )
    return [told] if several else []


def _figure(value: float | None) -> str:
    """Return three significant digits, with thousands marked."""
    if value is None:
        return _NONE
    decimals = 3 if value <= 0 else min(4, max(0, 2 - math.floor(math.log10(value))))
    return f"{value:,.{decimals}f}"


def _times_of(value: float | None) -> str:
    return _NONE if value is None else f"{_figure(value)}×"


def _check_outputs(json: str | None, plot: Path | None) -> None:
    """Raise before anything is measured where a result could not be written."""
    targets = [Path(json)] if json not in (None, "-") else []
    if plot is not None:
        plots.check_available(plot)
        targets.append(plot)
    if len({target.resolve() for target in targets}) < len(targets):
        raise UsageError(f"--json and --plot both name {plot}; give two files")
    for target in targets:
        _check_writable(target)


class _TriedError(Exception):
    """Ends the trial of a file that could be written."""


def _check_writable(target: Path) -> None:
    if target.is_dir():
        raise StorageError(f"could not write {target}: it is a folder; give the name of a file")
    with suppress(_TriedError), storage.replacing(target) as temporary:
        temporary.touch()
        raise _TriedError
