"""Many streams in one call beside a call for each: python benchmarks/streams.py [HIDDEN …]

An untrained LSTM language model, one token a stream, one thread. *Alone* is ``Session.step`` of one
row of the same file, *streams* is ``Streams.step`` of N: so every check, copy and gathering counts
on both sides. A file of a fixed number of rows, as C's, is called as often as its rows ask. All
contestants of a file take turns in one process; of each the fastest round counts, as it does for
the middle one in brackets.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from _report import table

from edgernn.contract import TOKENS, Decoding
from edgernn.export.base import Exporter
from edgernn.export.to_c.exporter import CExporter
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.base import Session
from edgernn.sessions.opening import open_session
from edgernn.sessions.streams import Streams

HIDDEN = (64, 256)
COUNTS = (1, 4, 16, 64, 256)
VOCABULARY, EMBEDDING, SHARED = 96, 64, 8  # SHARED: rows of a file of C
ROUNDS, ROUND = 60, 0.003  # seconds
Call = Callable[[], object]


def main() -> None:
    rows = []
    for hidden in map(int, sys.argv[1:] or HIDDEN):
        torch.manual_seed(0)
        config = LanguageConfig(
            vocabulary=VOCABULARY, embedding=EMBEDDING, hidden=hidden, layers=1, cell="lstm"
        )
        model = LanguageModel(config).eval().requires_grad_(False)
        with tempfile.TemporaryDirectory() as folder:
            for name, single, many in files(model, Path(folder)):
                rows.append((f"LSTM {hidden}", name, *compared(single, many)))
    counts = [f"{count} streams" for count in COUNTS]
    table(("model", "file", "alone, µs", *counts), rows)


def files(model: LanguageModel, folder: Path) -> Iterator[tuple[str, Session, Session]]:
    """Yield each file's name, its session of one row, and its session for streams."""
    for precision in ("float32", "int8", "int4"):
        one = opened(OnnxExporter(), model, folder / f"{precision}.onnx", precision)
        yield f"onnx {precision}", one, one
    for precision in ("float32", "int8", "w8a8"):
        single = opened(CExporter(), model, folder / f"c-{precision}", precision)
        shared = opened(CExporter(streams=SHARED), model, folder / f"c8-{precision}", precision)
        yield f"c {precision}, {SHARED} rows", single, shared
    if importlib.util.find_spec("openvino"):
        from edgernn.export.to_openvino.exporter import OpenVinoExporter

        for precision in ("float32", "int8"):
            one = opened(OpenVinoExporter(), model, folder / f"ov-{precision}", precision)
            yield f"openvino {precision}", one, one


def opened(exporter: Exporter, model: LanguageModel, path: Path, precision: str) -> Session:
    """Return a session, on one thread, of the step that an exporter writes."""
    exporter.export(model, path, precision=precision, decoding=Decoding())
    return open_session(path, threads=1)


def compared(single: Session, many: Session) -> list[str]:
    """Return what a step alone takes, and how many times as many steps N streams make."""
    calls: dict[int, Call] = {
        0: alone(single),
        **{count: gathered(many, count) for count in COUNTS},
    }
    times: dict[int, list[float]] = {count: [] for count in calls}
    turns = {count: max(1, round(ROUND / timed(call, 3))) for count, call in calls.items()}
    for _ in range(ROUNDS):
        for count, call in calls.items():
            call()
            times[count].append(timed(call, turns[count]))
    least, middle = min(times[0]), statistics.median(times[0])
    return [
        f"{least * 1e6:.1f}",
        *(
            f"{least * count / min(times[count]):.1f} "
            f"({middle * count / statistics.median(times[count]):.1f})"
            for count in COUNTS
        ),
    ]


def alone(session: Session) -> Call:
    """Return a step of one row, from what the last one left."""
    inputs, states = {TOKENS: np.array([[3]])}, [session.initial_state()]

    def step() -> None:
        _, states[0] = session.step(inputs, states[0])

    return step


def gathered(session: Session, count: int) -> Call:
    """Return a step of as many streams."""
    streams = Streams(session)
    for _ in range(count):
        streams.join()
    inputs = {TOKENS: np.arange(count)[:, None] % VOCABULARY}
    return lambda: streams.step(inputs)


def timed(call: Call, count: int) -> float:
    """Return the seconds of one of ``count`` calls."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


if __name__ == "__main__":
    main()
