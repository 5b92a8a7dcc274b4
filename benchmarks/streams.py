"""Many streams in one call beside a call for each: python benchmarks/streams.py [HIDDEN|FORMAT …]

An untrained LSTM language model, one token a stream, one thread. *Alone* is ``Session.step`` of one
row of the same file, *streams* is ``Streams.step`` of N: so every check, copy and gathering counts
on both sides. A file of a fixed number of rows, as C's, is called as often as its rows ask, and
alone is a file of one row. All contestants of a file take turns in one process; of each the fastest
round counts, as it does for the middle one in brackets. A format whose package is not installed is
left out, and what is left out stands below the table.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from _report import table

from edgernn import formats
from edgernn.contract import TOKENS, Decoding
from edgernn.export.base import Exporter
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.base import Session
from edgernn.sessions.opening import open_session
from edgernn.sessions.streams import Streams

HIDDEN = (64, 256)
COUNTS = (1, 4, 16, 64, 256)
VOCABULARY, EMBEDDING = 96, 64
# name, exporter, suffix, precisions, and how many rows a file has where their number is fixed
FORMATS: tuple[tuple[str, str, str, tuple[str, ...], tuple[int, ...]], ...] = (
    ("onnx", "to_onnx.exporter:OnnxExporter", ".onnx", ("float32", "int8", "int4"), ()),
    ("torchscript", "to_torchscript:TorchScriptExporter", ".pt", ("float32",), ()),
    ("openvino", "to_openvino.exporter:OpenVinoExporter", "", ("float32", "int8", "int4"), ()),
    ("c", "to_c.exporter:CExporter", "", ("float32", "int8", "w8a8"), (8,)),
    ("litert", "to_litert.exporter:LiteRTExporter", ".tflite", ("float32", "int8"), (8, 64)),
    (
        "executorch",
        "to_executorch.exporter:ExecuTorchExporter",
        ".pte",
        ("float32", "int8"),
        (8, 64),
    ),
    ("ncnn", "to_ncnn.exporter:NcnnExporter", "", ("float32", "int8"), ()),  # one row alone
)
NEEDS = {
    "openvino": "openvino",
    "litert": "ai_edge_litert",
    "executorch": "executorch",
    "ncnn": "ncnn",
}
ROUNDS, ROUND = 60, 0.003  # seconds
Call = Callable[[], object]


def main() -> None:
    said = sys.argv[1:]
    hidden_sizes = [int(word) for word in said if word.isdecimal()] or HIDDEN
    wanted = {word for word in said if not word.isdecimal()} or {row[0] for row in FORMATS}
    rows = []
    for hidden in hidden_sizes:
        torch.manual_seed(0)
        config = LanguageConfig(
            vocabulary=VOCABULARY, embedding=EMBEDDING, hidden=hidden, layers=1, cell="lstm"
        )
        model = LanguageModel(config).eval().requires_grad_(False)
        with tempfile.TemporaryDirectory() as folder:
            for name, single, many in files(model, Path(folder), wanted):
                rows.append((f"LSTM {hidden}", name, *compared(single, many)))
    counts = [f"{count} streams" for count in COUNTS]
    table(("model", "file", "alone, µs", *counts), rows)
    if lacking := sorted(name for name in wanted if not installed(name)):
        print("not installed:", ", ".join(lacking))


def installed(name: str) -> bool:
    """Return whether the package that runs a format is here."""
    return find_spec(NEEDS.get(name, "edgernn")) is not None


def files(
    model: LanguageModel, folder: Path, wanted: Collection[str]
) -> Iterator[tuple[str, Session, Session]]:
    """Yield each file's name, its session of one row, and its session for streams."""
    for name, exporter, suffix, precisions, shared in FORMATS:
        if name not in wanted or not installed(name):
            continue
        kind = formats.resolve(f"edgernn.export.{exporter}", needed_for=name, extra=None)
        for precision in precisions:
            single = opened(kind(), model, folder / f"{name}-{precision}{suffix}", precision)
            if not shared:
                yield f"{name} {precision}", single, single
            for rows in shared:
                path = folder / f"{name}{rows}-{precision}{suffix}"
                many = opened(kind(streams=rows), model, path, precision)
                yield f"{name} {precision}, {rows} rows", single, many


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
