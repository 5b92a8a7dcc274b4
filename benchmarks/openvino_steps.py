"""What a step costs in OpenVINO: python benchmarks/openvino_steps.py [HIDDEN …]

Untrained language models of two layers, one row and one token, on one thread. Both runtimes are
called bare, over memory that is bound once: onnxruntime with the float32 file, OpenVINO with each
of ours; and OpenVINO's session with its checks, each state fed back. All take turns in one process,
a few calls each, and the fastest round of each counts.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from _report import table
from session_overhead import bare_call

from edgernn.contract import TOKENS, Decoding
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.export.to_openvino.exporter import OpenVinoExporter
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.opening import open_session
from edgernn.sessions.openvino.step import OpenVinoSession

HIDDEN = (64, 256, 512)
CELLS = ("lstm", "gru")
VOCABULARY = 96
PRECISIONS = ("float32", "int8", "int4")
ROUNDS, CALLS = 200, 12  # in a row


def main() -> None:
    rows = []
    for cell, hidden in itertools.product(CELLS, map(int, sys.argv[1:] or HIDDEN)):
        with tempfile.TemporaryDirectory() as folder:
            rows.append((cell, hidden, *measured(Path(folder), cell, hidden)))
    whole = [f"OpenVINO {name}, against it" for name in PRECISIONS]
    adds = [f"Session.step adds, {name}" for name in PRECISIONS]
    table(("cell", "H", "onnxruntime float32", *whole, *adds), rows)


def measured(folder: Path, cell: str, hidden: int) -> list[str]:
    """Return the cells of a row."""
    torch.manual_seed(0)
    config = LanguageConfig(vocabulary=VOCABULARY, hidden=hidden, cell=cell)
    model = LanguageModel(config).eval()
    calls = {"ort": _onnxruntime(model, folder / "step.onnx")}
    for precision in PRECISIONS:
        path = folder / precision
        OpenVinoExporter().export(model, path, precision=precision, decoding=Decoding())
        session = open_session(path)
        assert isinstance(session, OpenVinoSession)
        calls[precision] = session._single.request.infer
        calls[f"{precision} session"] = _stream(session)
    best = _fastest(calls)
    told = [f"{best['ort']:.1f} µs"]
    told += [f"{best[p]:.1f} µs, {best['ort'] / best[p]:.2f}×" for p in PRECISIONS]
    return [*told, *(f"{best[f'{p} session'] - best[p]:.1f} µs" for p in PRECISIONS)]


def _onnxruntime(model: LanguageModel, path: Path) -> Callable[[], object]:
    OnnxExporter().export(model, path, precision="float32", decoding=Decoding())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    runtime = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    state = open_session(path).initial_state()
    return bare_call(runtime, {TOKENS: np.array([[3]], np.int64), **state})


def _stream(session: Any) -> Callable[[], object]:
    tokens, state = {TOKENS: np.array([[3]], np.int64)}, session.initial_state()

    def call() -> object:
        nonlocal state
        outputs, state = session.step(tokens, state)
        return outputs

    return call


def _fastest(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the time of a call in the fastest round, in µs."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            call()  # the one before has emptied the caches of its weights
            begun = time.perf_counter()
            for _ in range(CALLS):
                call()
            best[name] = min(best[name], (time.perf_counter() - begun) / CALLS * 1e6)
    return best


if __name__ == "__main__":
    main()
