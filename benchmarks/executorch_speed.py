"""A step in ExecuTorch beside onnxruntime in float32: python benchmarks/executorch_speed.py
[HIDDEN …]

One layer, as wide as its input, T = 1, B = 1, one thread, random weights of one seed, and a
vocabulary of 32 ids in front and behind. Both run edgernn's own files, by bare calls of the runtime
with nothing around them (onnxruntime: ``run_with_iobinding``, bound once; ExecuTorch: the loaded
method on tensors that are there); the session's step stands beside. All take turns in one process,
and a time is the least of all rounds, so that other work on the machine hits none alone.

It needs the extra ``executorch``.
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

from edgernn.contract import FileContract, next_name
from edgernn.export.to_executorch.exporter import ExecuTorchExporter
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.parity import rollout
from edgernn.sessions.executorch import ExecuTorchSession

HIDDEN = (64, 256)
VOCABULARY = 32
ROUNDS, CALLS, CHAINED = 200, 40, 256
Call = Callable[[], Any]


def main() -> None:
    hidden = tuple(map(int, sys.argv[1:])) or HIDDEN
    rows = []
    for cell, size in itertools.product(("lstm", "gru"), hidden):
        with tempfile.TemporaryDirectory(prefix="edgernn-") as scratch:
            rows += measure(Path(scratch), cell, size)
    headings = ("cell, H", "file", "bare call, µs", "times onnxruntime", "session adds, µs")
    table((*headings, f"worst difference, {CHAINED} steps"), rows)


def measure(folder: Path, cell: str, hidden: int) -> list[tuple[object, ...]]:
    """Return the rows of one model."""
    torch.manual_seed(3)
    config = {"cell": cell, "hidden": hidden, "embedding": hidden, "layers": 1}
    model = LanguageModel(LanguageConfig(vocabulary=VOCABULARY, **config)).eval()
    calls: dict[str, Call] = {"onnxruntime": _onnxruntime(folder / "step.onnx", model)}
    drifts: dict[str, float] = {}
    for precision in ("float32", "int8"):
        path = folder / f"step-{precision}.pte"
        written = ExecuTorchExporter().export(model, path, precision=precision, decoding=None)
        own = FileContract(contract=model.config.contract(), narrowing=written.narrowing)
        session = ExecuTorchSession.open(path, own, threads=1)
        calls[precision], calls[f"{precision} session"] = _executorch(session)
        drifts[precision] = _drift(model, session)
    times = least(calls)
    made: list[tuple[object, ...]] = [
        (f"{cell}, {hidden}", "onnxruntime float32", f"{times['onnxruntime']:.1f}", "1.00", "", "")
    ]
    for precision, drift in drifts.items():
        bare, whole = times[precision], times[f"{precision} session"]
        ratio = f"{times['onnxruntime'] / bare:.2f}"
        adds = f"{whole - bare:.1f}"
        made.append(("", f"ExecuTorch {precision}", f"{bare:.1f}", ratio, adds, f"{drift:.1e}"))
    return made


def least(calls: dict[str, Call]) -> dict[str, float]:
    """Return the least time of each call in microseconds; they take turns."""
    found = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            call()  # the others have emptied the caches
            for _ in range(CALLS):
                began = time.perf_counter_ns()
                call()
                found[name] = min(found[name], (time.perf_counter_ns() - began) / 1e3)
    return found


def _onnxruntime(path: Path, model: LanguageModel) -> Call:
    OnnxExporter().export(model, path, precision="float32", decoding=None)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    spec = model.config.contract().step
    binding, held = session.io_binding(), []
    for tensor in spec.outputs:
        shape = model.config.contract().shape(tensor, batch=1, time=1)
        held.append(np.zeros(shape, tensor.dtype))
        binding.bind_output(tensor.name, "cpu", 0, tensor.dtype, shape, held[-1].ctypes.data)
    made = {tensor.name: array for tensor, array in zip(spec.outputs, held, strict=True)}
    for tensor in spec.inputs:
        fed = made.get(next_name(tensor.name))  # a state is read where it was written
        array = np.zeros((1, 1), tensor.dtype) if fed is None else fed
        held.append(array)
        binding.bind_input(tensor.name, "cpu", 0, tensor.dtype, array.shape, array.ctypes.data)

    def call(kept: list[np.ndarray] = held) -> None:
        session.run_with_iobinding(binding)

    return call


def _executorch(session: ExecuTorchSession) -> tuple[Call, Call]:
    state, tokens = session.initial_state(), np.zeros((1, 1), np.int64)
    inputs = {session.spec.ids.name: tokens}
    tensors = tuple(torch.from_numpy(array) for array in (tokens, *state.values()))
    method = session._method
    return lambda: method(tensors), lambda: session.step(inputs, state)


def _drift(model: LanguageModel, session: ExecuTorchSession) -> float:
    reference = EagerSession(model, FileContract(contract=session.contract))
    (plan,) = rollout.plans(session, CHAINED, seed=1)
    return float(rollout.compare(reference, session, plan, seed=4).worst.scaled)


if __name__ == "__main__":
    main()
