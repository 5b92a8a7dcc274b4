"""Measure what the artifacts of a bundle cost on this machine: load, first call, steps, prefill,
memory, distance to the floor.

Each artifact is loaded in a process of its own first. Then all of them are called in interleaved
rounds, so that a machine that gets slower or faster in between does so for all of them; between the
rounds the memory's bandwidth is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from edgernn import formats, storage
from edgernn.bench.alone import measure_alone, measure_import
from edgernn.bench.course import PREFILL_TOKENS, Course, feed_for, in_rows
from edgernn.bench.machine import bandwidth, describe_machine, read_once, reading_buffer
from edgernn.bench.report import ArtifactBench, Bandwidth, BenchReport, LeftOut
from edgernn.bundle import Bundle
from edgernn.bundle.chosen import chosen
from edgernn.bundle.records import Artifact
from edgernn.contract import BATCH
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.families.base import Feed
from edgernn.families.table import family_of
from edgernn.sessions.base import checked_threads
from edgernn.sessions.model import with_encoder
from edgernn.sessions.opening import open_artifact

DEFAULT_STEPS = 500
FEWEST_STEPS = 10
ROUNDS = 10
_STEPS_AN_ENCODE = 5  # an encode graph runs once for a text of many steps
_PREFILL_EVERY = 2  # rounds: a file of one step a call takes 256 calls for a prefill

Tell = Callable[[str], None]


def bench_bundle(
    source: Path | str | Bundle,
    *,
    to: Iterable[str] | str | None = None,
    threads: int | None = None,
    steps: int = DEFAULT_STEPS,
    trust: bool = False,
    tell: Tell = lambda line: None,
) -> BenchReport:
    """Measure every artifact of a bundle that this machine can run, or those of the formats in
    ``to``.

    Args:
        source: an opened bundle, or the path of one.
        to: formats, families or paths of artifacts; default all.
        threads: of each runtime; None leaves them to it.
        steps: timed steps of each artifact, 10 or more; pictures of an encode artifact are a fifth
            as many.
        trust: see ``open_session``.
        tell: hears, one line each, what is being done.

    Raises:
        BundleError: the bundle cannot be opened.
        ContractError: its held-out sample is damaged.
        UnavailableError: this machine can run none of the artifacts; gives the first one's reason.
        UsageError: ``threads`` below 1, ``steps`` below 10, or no artifact is of the formats asked
            for.
    """
    checked_threads(threads)
    if steps < FEWEST_STEPS:
        raise UsageError(
            f"steps is {steps}, expected {FEWEST_STEPS} or more: fewer say nothing of the slow "
            "ones among them"
        )
    bundle = Bundle.open(source, trust=trust)
    wanted = chosen(bundle, to)
    feed = feed_for(bundle)
    courses, left_out = _courses(bundle, wanted, feed, threads=threads, tell=tell)
    reads = _run_rounds(courses, steps=steps, tell=tell)
    return BenchReport(
        bundle=storage.as_utf8(bundle.source),
        machine=describe_machine(),
        threads=threads,
        steps=steps,
        rounds=ROUNDS,
        prefill_tokens=PREFILL_TOKENS,
        step_frames=bundle.manifest.contract.step_frames,
        latency_frames=bundle.manifest.contract.latency_frames,
        fed=feed.source,
        unit=family_of(bundle.manifest.family).unit,
        bandwidth=reads,
        artifacts=tuple(_summary(course, courses, reads) for course in courses),
        left_out=tuple(left_out),
    )


def _courses(
    bundle: Bundle, wanted: Sequence[Artifact], feed: Feed, *, threads: int | None, tell: Tell
) -> tuple[list[Course], list[LeftOut]]:
    """Open what this machine can run and measure it alone; return the rest with the reasons."""
    courses, left_out = [], []
    baselines: dict[str, int | None] = {}  # by session
    for artifact in wanted:
        tell(f"opening {artifact.path}")
        try:
            course = _open(bundle, artifact, feed, threads=threads)
            runner = formats.by_name(artifact.format).session
            if runner not in baselines:
                baselines[runner] = measure_import(artifact.format)
            course.baseline_bytes = baselines[runner]
            course.alone = measure_alone(bundle, artifact, course.feeds(), threads=threads)
            course.warm_up()
        except (UnavailableError, ContractError) as error:
            named = {
                name: getattr(artifact, name) for name in ("path", "format", "precision", "graph")
            }
            left_out.append(LeftOut(**named, reason=str(error)))
        else:
            courses.append(course)
    if not courses:
        first = left_out[0]
        raise UnavailableError(
            f"this machine can run none of the {len(wanted)} artifacts: {first.path}: "
            f"{first.reason}"
        )
    return courses, left_out


def _open(bundle: Bundle, artifact: Artifact, feed: Feed, *, threads: int | None) -> Course:
    if artifact.format not in formats.FORMATS:
        raise UnavailableError(
            f"this edgernn does not know the format {artifact.format!r}; use the one that "
            "exported it"
        )
    if artifact.graph not in {graph.name for graph in bundle.manifest.contract.graphs}:
        raise UnavailableError(
            f"it computes {artifact.graph}; only encode and step files are called step by step"
        )
    session = open_artifact(bundle, artifact, threads=threads)
    if session.spec.once:
        rows = session.file_contract.axis_size(BATCH) or 1
        return Course(artifact, session, feed, contexts={}, state={}, rows=rows)
    model = with_encoder(bundle, artifact, session)
    rows, seen = model.rows or 1, model.encode.spec.fresh_inputs if model.encode else ()
    contexts, state = model.begin(in_rows(feed.call(feed.encode, 0), seen, rows), batch=rows)
    return Course(artifact, session, feed, contexts=contexts, state=state, rows=rows)


def _run_rounds(courses: Sequence[Course], *, steps: int, tell: Tell) -> Bandwidth:
    """Time every artifact in every round, each round begun by another one; return the bandwidth
    read between the rounds.
    """
    buffer = reading_buffer()
    reads = []
    for number in range(ROUNDS):
        tell(f"round {number + 1} of {ROUNDS}")
        share = steps * (number + 1) // ROUNDS - steps * number // ROUNDS
        first = number % len(courses)
        for course in (*courses[first:], *courses[:first]):
            calls = max(1, share // _STEPS_AN_ENCODE) if course.encodes else share
            course.run(calls, with_prefill=number % _PREFILL_EVERY == 0)
        reads.append(read_once(buffer))
    return bandwidth(reads, buffer_bytes=buffer.nbytes)


def _summary(course: Course, courses: Sequence[Course], reads: Bandwidth) -> ArtifactBench:
    artifact, taken = course.artifact, course.call_ms
    p50, p90, p99 = np.percentile(taken, (50, 90, 99)).tolist()
    touched = sum(weight.touched_bytes for weight in artifact.weights) or None
    floor_ms = touched / reads.bytes_per_s * 1e3 if touched else None
    row = formats.YARDSTICK
    yardstick = (row.name, row.precisions[0])
    others = [
        np.median(c.call_ms)
        for c in courses
        if (c.artifact.format, c.artifact.precision) == yardstick and c.encodes == course.encodes
    ]
    return ArtifactBench(
        **{
            name: getattr(artifact, name)
            for name in ("path", "format", "precision", "graph", "bytes")
        },
        unit=course.unit,
        rows=course.rows,
        runtime=course.runtime,
        **course.alone.model_dump(),
        baseline_bytes=course.baseline_bytes,
        calls=len(taken),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        tokens_per_s=None if course.encodes else course.rows * len(taken) / sum(taken) * 1e3,
        prefill_tokens_per_s=course.rows * PREFILL_TOKENS / float(np.median(course.prefill_s))
        if course.prefill_s
        else None,
        touched_bytes=touched,
        floor_ms=floor_ms,
        times_floor=p50 / floor_ms if floor_ms else None,
        speed=course.rows * float(others[0]) / p50 if others else None,
    )
