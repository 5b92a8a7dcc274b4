"""A step as C beside onnxruntime: python benchmarks/compiled.py [lstm64 gru64 lstm256 …]

An untrained language model of two layers over 96 characters steps on one thread, one row and one
token at a time, its state fed back; speed does not depend on what was learned. Contestants take
turns in rounds, in one process, so that a change of the machine's speed hits all alike: read the
ratios, of the fastest round and of the middle one. C runs in a loop in C, by a ctypes call a step,
and by ``Session.step``; onnxruntime over two sets of bound memory in turns (``bare``), of which a
microsecond or two is Python, and by ``Session.step``. ``reading`` adds up, in the same C, as many
weights as a step reads.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from _report import table

from edgernn.contract import TOKENS, Decoding, FileContract, next_name
from edgernn.export.base import Exporter
from edgernn.export.to_c.exporter import CExporter
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.families.step import LOGITS
from edgernn.models.cells.table import cell_class
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.base import Session
from edgernn.sessions.compiled import CompiledSession, checked_sources
from edgernn.sessions.compiler import build, find_compiler
from edgernn.sessions.ort.step import OrtSession

MODELS = ("lstm64", "gru64", "lstm256")
VOCABULARY, EMBEDDING = 96, 64
ROUNDS, ROUND_US, FEWEST = 120, 400.0, 8  # FEWEST steps a round
BASE = "onnxruntime float32, bare"
LOOP = r"""
#include "step.h"
void run(const net_inputs *inputs, net_state *state, net_outputs *outputs, int count)
{
    for (int i = 0; i < count; ++i) { net_step(inputs, state, outputs); }
}
float reading(const float *w, int numbers, int count)
{
    float sums[64] = {0};
    for (int i = 0; i < count; ++i) {
        for (int k = 0; k + 64 <= numbers; k += 64) {
            for (int r = 0; r < 64; ++r) { sums[r] += w[k + r]; }
        }
    }
    for (int r = 1; r < 64; ++r) { sums[0] += sums[r]; }
    return sums[0];
}
"""
Call = Callable[[int], object]  # makes so many steps


def main() -> None:
    rows = []
    for name in sys.argv[1:] or MODELS:
        cell, hidden = re.fullmatch(r"([a-z_]+)(\d+)", name).groups()  # type: ignore[union-attr]
        torch.manual_seed(0)
        config = LanguageConfig(
            vocabulary=VOCABULARY, cell=cell, embedding=EMBEDDING, hidden=int(hidden)
        )
        with tempfile.TemporaryDirectory() as folder:
            times = measured(dict(contestants(LanguageModel(config).eval(), Path(folder))))
        base = times[BASE]
        for contestant, (least, middle) in times.items():
            ratios = f"{base[0] / least:.1f}", f"{base[1] / middle:.1f}"
            rows.append((name, contestant, f"{least:.2f}", f"{middle:.2f}", *ratios))
    compiler = find_compiler()
    print(f"{' '.join(compiler.command)} {' '.join(compiler.flags)}\n")
    headings = ("model", "contestant", "min µs", "median µs", "times as fast (min)", "(median)")
    table(headings, rows)


def contestants(model: LanguageModel, folder: Path) -> Iterator[tuple[str, Call]]:
    """Yield every contestant with what makes so many steps."""
    path, own = written(CExporter(), model, folder / "step", "float32")
    session = CompiledSession.open(path, own)
    library = build({**checked_sources(path), "loop.c": LOOP.encode()}, find_compiler())
    arguments = session._arguments
    session._given[TOKENS][...] = 3
    yield "C, a loop in C", lambda count: library.run(*arguments, count)
    bare = session._call
    yield "C, a ctypes call a step", lambda count: [bare(*arguments) for _ in range(count)]
    yield "C, Session.step", stepping(session)
    library.reading.restype = ctypes.c_float
    read = (path / "step.weights.bin").stat().st_size // 4
    if model.folding_pays(32):  # then one row of the first layer's table
        read -= (VOCABULARY - 1) * cell_class(model.config.cell).gates * model.config.hidden
    memory = np.ones(read, np.float32)
    yield (
        "reading the weights",
        lambda count: library.reading(ctypes.c_void_p(memory.ctypes.data), read, count),
    )
    for precision in ("float32", "int8", "int4"):
        file, held = written(OnnxExporter(), model, folder / f"{precision}.onnx", precision)
        yield f"onnxruntime {precision}, bare", bound(file)
        opened = OrtSession.open(file, held)
        if precision == "float32":
            yield f"onnxruntime {precision}, Session.step", stepping(opened)


def written(
    exporter: Exporter, model: LanguageModel, path: Path, precision: str
) -> tuple[Path, FileContract]:
    made = exporter.export(model, path, precision=precision, decoding=Decoding())
    contract = model.config.contract()
    return path, FileContract(contract=contract, narrowing=made.narrowing, decoding=Decoding())


def stepping(session: Session) -> Call:
    """Return steps by the session, each from what the last one left."""
    inputs, states = {TOKENS: np.array([[3]], np.int64)}, [session.initial_state()]

    def run(count: int) -> None:
        state = states[0]
        for _ in range(count):
            _, state = session.step(inputs, state)
        states[0] = state

    return run


def bound(path: Path) -> Call:
    """Return steps over two sets of memory, each bound to read the states of the other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    runtime = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    contract = FileContract.from_metadata(
        OrtSession.describe(path).metadata, source=str(path)
    ).contract
    tokens = np.array([[3]], np.int64)
    states = [
        {s.name: np.zeros(contract.shape(s, batch=1), s.dtype) for s in contract.step.states}
        for _ in range(2)
    ]
    logits = np.zeros((1, 1, VOCABULARY), np.float32)
    bindings = []
    for given, made in (states, states[::-1]):
        binding = runtime.io_binding()
        pairs = [(TOKENS, tokens, binding.bind_input), (LOGITS, logits, binding.bind_output)]
        pairs += [(name, array, binding.bind_input) for name, array in given.items()]
        pairs += [(next_name(name), array, binding.bind_output) for name, array in made.items()]
        for name, array, bind in pairs:
            bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        bindings.append(binding)

    def run(count: int) -> object:
        for binding in itertools.islice(itertools.cycle(bindings), count):
            runtime.run_with_iobinding(binding)
        return tokens, logits, states  # held as long as the bindings write to them

    return run


def measured(calls: dict[str, Call]) -> dict[str, tuple[float, float]]:
    """Return contestant → the least and the middle time of a step over the rounds, in µs."""
    counts = {}
    for name, call in calls.items():
        call(20)
        counts[name] = max(FEWEST, round(ROUND_US / (timed(call, 20) or 1.0)))
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            call(2)  # its weights are in the caches again, where they fit
            found[name].append(timed(call, counts[name]))
    return {name: (min(times), statistics.median(times)) for name, times in found.items()}


def timed(call: Call, count: int) -> float:
    """Return what one of ``count`` steps takes, in µs."""
    start = time.perf_counter()
    call(count)
    return (time.perf_counter() - start) / count * 1e6


if __name__ == "__main__":
    main()
