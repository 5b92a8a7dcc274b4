"""LiteRT files beside onnxruntime: python benchmarks/litert.py [lstm64 gru64 lstm256 gru256]

One recurrent layer, as many values in as units, untrained: speed does not depend on what was
learned. edgernn exports it to ONNX and to LiteRT; both step on one thread, one row and one frame at
a time, the state fed back, by the bare calls of their runtimes (``run``; ``set_tensor``,
``invoke``, ``get_tensor``) and LiteRT by ``Session.step`` as well. Contestants take turns in
rounds, in one process, so that a change of the machine's speed hits all alike; each one's fastest
round counts. ``chained``: the largest difference from torch over 256 steps, scaled as ``verify``
does. Needs ``edgernn doctor --make litert``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from _report import table
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edgernn.bundle import Bundle
from edgernn.contract import next_name
from edgernn.export import export_module
from edgernn.sessions.base import State
from edgernn.sessions.litert.model_file import read
from edgernn.sessions.opening import open_session

MODELS = ("lstm64", "gru64", "lstm256", "gru256")
PRECISIONS = ("float32", "int8", "int4")
ROUNDS, CALLS, STEPS = 60, 100, 256
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}
Step = Callable[[np.ndarray], np.ndarray]  # a frame to what is read, the state fed back inside


def main(*models: str) -> None:
    rows = []
    for name in models or MODELS:
        cell = name.rstrip("0123456789")
        with tempfile.TemporaryDirectory() as folder:
            rows += _measured(cell, int(name.removeprefix(cell)), Path(folder))
    heads = ("model", "file", "bytes", "µs a step", "times onnxruntime float32", "chained")
    table(heads, rows)


def _measured(cell: str, size: int, folder: Path) -> list[tuple[str, ...]]:
    """Return the rows of one layer."""
    torch.manual_seed(0)
    net = LAYERS[cell](size, size, batch_first=True).eval()
    frames = torch.rand(1, STEPS, size) - 0.5
    bundle = export_module(
        net, frames[:, :4], folder / "b", to=("onnx", "litert"), precision=PRECISIONS, steps=4
    )
    with torch.no_grad():
        wanted = net(frames)[0][0].numpy()  # [T, H]
    makers = {"onnx float32": _onnx(bundle)}
    for precision in PRECISIONS:
        makers[f"litert {precision}"] = _bare(bundle, precision)
        makers[f"litert {precision}, Session.step"] = _session(bundle, precision)
    best = _fastest(makers, frames.numpy()[0, :1][None])
    return [
        (
            f"{cell} {size}",
            name,
            f"{_path(bundle, name).stat().st_size:,}",
            f"{best[name]:.1f}",
            f"{best['onnx float32'] / best[name]:.2f}",
            f"{_drift(make(), frames.numpy()[0], wanted):.1e}",
        )
        for name, make in makers.items()
    ]


def _path(bundle: Bundle, name: str) -> Path:
    kind, precision = name.split(",", maxsplit=1)[0].split()
    return bundle.path(bundle.artifact(_inner(kind, precision)).path)


def _inner(kind: str, precision: str) -> str:
    if kind == "onnx":
        return "onnx/step.onnx"
    return f"litert/step{'' if precision == 'float32' else f'-{precision}'}.tflite"


def _fastest(makers: dict[str, Callable[[], Step]], frame: np.ndarray) -> dict[str, float]:
    """Return the microseconds a step of each one's fastest round."""
    steps = {name: make() for name, make in makers.items()}
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(ROUNDS):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                step(frame)
            best[name] = min(best[name], (time.perf_counter() - start) / CALLS * 1e6)
    return best


def _drift(step: Step, frames: np.ndarray, wanted: np.ndarray) -> float:
    found = np.stack([step(frame[None, None])[0, 0] for frame in frames])
    return float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))


def _state(bundle: Bundle) -> State:
    return open_session(bundle, "onnx/step.onnx").initial_state()


def _onnx(bundle: Bundle) -> Callable[[], Step]:
    def make() -> Step:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        runtime = onnxruntime.InferenceSession(str(bundle.path("onnx/step.onnx")), options)
        feeds = dict(_state(bundle))
        (fresh,) = bundle.manifest.contract.step.fresh_inputs
        names = [tensor.name for tensor in bundle.manifest.contract.step.states]
        (read_output,) = bundle.manifest.contract.step.read_outputs
        outputs = [read_output.name, *map(next_name, names)]

        def step(frame: np.ndarray) -> np.ndarray:
            feeds[fresh.name] = frame
            y, *after = runtime.run(outputs, feeds)
            feeds.update(zip(names, after, strict=True))
            return y

        return step

    return make


def _bare(bundle: Bundle, precision: str) -> Callable[[], Step]:
    path = bundle.path(_inner("litert", precision))

    def make() -> Step:
        signature, runtime = read(path).signature, Interpreter(str(path), num_threads=1)
        runtime.allocate_tensors()
        state, spec = _state(bundle), bundle.manifest.contract.step
        (fresh,), (read_output,) = spec.fresh_inputs, spec.read_outputs
        given = [signature.inputs[t.name] for t in spec.states]
        made = [signature.outputs[next_name(t.name)] for t in spec.states]
        into, out = signature.inputs[fresh.name], signature.outputs[read_output.name]
        values = list(state.values())

        def step(frame: np.ndarray) -> np.ndarray:
            runtime.set_tensor(into, frame)
            for place, value in zip(given, values, strict=True):
                runtime.set_tensor(place, value)
            runtime.invoke()
            values[:] = [runtime.get_tensor(place) for place in made]
            return runtime.get_tensor(out)

        return step

    return make


def _session(bundle: Bundle, precision: str) -> Callable[[], Step]:
    def make() -> Step:
        session = open_session(bundle, _inner("litert", precision), threads=1)
        (fresh,), (read_output,) = session.spec.fresh_inputs, session.spec.read_outputs
        kept = [session.initial_state()]

        def step(frame: np.ndarray) -> np.ndarray:
            outputs, kept[0] = session.step({fresh.name: frame}, kept[0])
            return outputs[read_output.name]

        return step

    return make


if __name__ == "__main__":
    main(*sys.argv[1:])
