"""What a session adds to a step: python benchmarks/session_overhead.py [HIDDEN …]

An untrained language model of two LSTM layers steps through onnxruntime on one thread, one row and
one token at a time: bare (``run_with_iobinding``, bound once, with nothing around it), by ``run``,
and by ``Session.step`` with its checks, each state fed back. The three take turns in rounds, so
that a change of the machine's speed hits all alike. Where the weights are larger than the
second-level cache, every step pushes Python out of it, and the same work takes longer.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from _report import table

from edgernn.contract import TOKENS, Decoding, FileContract, next_name
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.families.step import LOGITS
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.base import State
from edgernn.sessions.ort.step import OrtSession

HIDDEN = (64, 256, 512)
VOCABULARY = 96
PRECISIONS = ("float32", "int8", "int4")
SECONDS = 2.0  # per file
CALLS = 20  # in a row


def main() -> None:
    rows = []
    for hidden, precision in itertools.product(map(int, sys.argv[1:] or HIDDEN), PRECISIONS):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "step.onnx"
            torch.manual_seed(0)
            model = LanguageModel(LanguageConfig(vocabulary=VOCABULARY, hidden=hidden)).eval()
            OnnxExporter().export(model, path, precision=precision, decoding=Decoding())
            bare, run, step = median_us(calls(path))
        times = (
            f"{bare:.1f} µs",
            f"{run:.1f} µs",
            f"{step:.1f} µs",
            f"{run - bare:.1f} µs",
            f"{step - bare:.1f} µs",
        )
        rows.append((hidden, precision, *times))
    table(
        (
            "H",
            "precision",
            "bare, bound once",
            "run",
            "Session.step",
            "run adds",
            "Session.step adds",
        ),
        rows,
    )


def calls(path: Path) -> tuple[Callable[[], object], ...]:
    """Return the three ways to step through one and the same opened file, so that they share its
    weights' memory.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    runtime = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    file_contract = FileContract.from_metadata(OrtSession.describe(path).metadata, source=str(path))
    session = OrtSession(runtime, file_contract)
    tokens, state = {TOKENS: np.array([[3]], np.int64)}, session.initial_state()
    return (
        bare_call(runtime, tokens | state),
        run_call(runtime, tokens, state),
        step_call(session, tokens, state),
    )


def bare_call(runtime: onnxruntime.InferenceSession, feeds: State) -> Callable[[], object]:
    binding = runtime.io_binding()
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    names = [output.name for output in runtime.get_outputs()]
    made = [np.empty_like(array) for array in runtime.run(names, feeds)]
    for name, array in zip(names, made, strict=True):
        binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def call() -> object:
        runtime.run_with_iobinding(binding)
        return made  # held here as long as the binding writes to it

    return call


def run_call(
    runtime: onnxruntime.InferenceSession, tokens: State, state: State
) -> Callable[[], object]:
    names = [LOGITS, *map(next_name, state)]

    def call() -> object:
        nonlocal state
        logits, *after = runtime.run(names, {**tokens, **state})
        state = dict(zip(state, after, strict=True))
        return logits

    return call


def step_call(session: OrtSession, tokens: State, state: State) -> Callable[[], object]:
    def call() -> object:
        nonlocal state
        outputs, state = session.step(tokens, state)
        return outputs

    return call


def median_us(ways: tuple[Callable[[], object], ...]) -> list[float]:
    taken: list[list[float]] = [[] for _ in ways]
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        for call, own in zip(ways, taken, strict=True):
            for _ in range(CALLS):
                began = time.perf_counter()
                call()
                own.append((time.perf_counter() - began) * 1e6)
    return [statistics.median(own[CALLS:]) for own in taken]  # without the first round


if __name__ == "__main__":
    main()
