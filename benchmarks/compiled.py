"""A step as C beside other engines: python benchmarks/compiled.py [lstm64 gru64 lstm256 …]
[--rtneural SOURCE] [--text FILE]

An untrained language model of two layers over 96 characters steps on one thread, one row and one
token at a time, its state fed back; speed does not depend on what was learned. Contestants take
turns in rounds, in one process, so that a change of the machine's speed hits all alike: read the
ratios, of the fastest round and of the middle one. C runs in a loop in C in every precision, in
some with AVX2 alone as well, by a ctypes call a step, and by ``Session.step``; onnxruntime over two
sets of bound memory in turns (``bare``), of which a microsecond or two is Python, and by
``Session.step``. ``reading`` adds up, in the same C, as many bytes as a step reads of its weights.
RTNeural is compiled from its source, LiteRT taken where it is installed. CMSIS-NN is for another
machine: runtime_examples/mcu.

FILE is a text, of which an LSTM of 256 learns for ``STEPS`` steps: what its held-out part loses in
integers is measured through the C itself.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import math
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from _compiled_peers import Call, peers
from _report import edgernn, table

from edgernn.contract import TOKENS, Decoding, FileContract, next_name
from edgernn.errors import UnavailableError
from edgernn.export.base import Exporter
from edgernn.export.pack import export_bundle
from edgernn.export.to_c.exporter import CExporter
from edgernn.export.to_c.front import program_of
from edgernn.export.to_c.integer_nodes import GatherRows
from edgernn.export.to_c.passes import optimised
from edgernn.export.to_c.program import Gather
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.families.step import LOGITS
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.base import Session
from edgernn.sessions.c_folder import GRAPH, checked_sources, options_of
from edgernn.sessions.compiled import CompiledSession
from edgernn.sessions.compiler import Compiler, build, find_compiler
from edgernn.sessions.ort.reading import parse_model
from edgernn.sessions.ort.step import OrtSession

MODELS = ("lstm64", "gru64", "lstm256", "lstm512", "gru512")
PRECISIONS = ("float32", "int8", "int4", "w8a8", "w8a7", "w4a8")
CALLED = ("float32", "w8a8")  # the precisions that are called from Python as well
AVX2 = ("float32", "int8", "w8a7", "w4a8")
FILES = ("float32", "int8", "int4")  # the ONNX files
VOCABULARY, EMBEDDING = 96, 64
ROUNDS, ROUND_US, FEWEST = 120, 400.0, 8  # FEWEST steps a round
STEPS = 240  # of training
BASE = "onnxruntime float32, bare"
LOOP = r"""
#include "step.h"
void run(const net_inputs *inputs, net_state *state, net_outputs *outputs, int count)
{
    for (int i = 0; i < count; ++i) { net_step(inputs, state, outputs); }
}
unsigned reading(const unsigned *w, int numbers, int count)
{
    unsigned sums[64] = {0};
    for (int i = 0; i < count; ++i) {
        for (int k = 0; k + 64 <= numbers; k += 64) {
            for (int r = 0; r < 64; ++r) { sums[r] += w[k + r]; }
        }
    }
    for (int r = 1; r < 64; ++r) { sums[0] += sums[r]; }
    return sums[0];
}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--rtneural", type=Path)
    parser.add_argument("--text", type=Path)
    said = parser.parse_args()
    rows = []
    for name in said.models:
        cell, hidden = re.fullmatch(r"([a-z_]+)(\d+)", name).groups()  # type: ignore[union-attr]
        torch.manual_seed(0)
        config = LanguageConfig(
            vocabulary=VOCABULARY, cell=cell, embedding=EMBEDDING, hidden=int(hidden)
        )
        model = LanguageModel(config).eval().requires_grad_(False)
        with tempfile.TemporaryDirectory() as folder:
            rows += [(name, *row) for row in compared(model, Path(folder), said.rtneural)]
    compiler = find_compiler()
    print(f"{' '.join(compiler.command)} {' '.join(compiler.flags)}\n")
    headings = ("model", "contestant", "min µs", "median µs", "times as fast (min)", "(median)")
    table((*headings, "best ONNX file"), rows)
    if said.text is not None:
        print()
        table(("precision", "perplexity", "change"), losses(said.text))


def compared(
    model: LanguageModel, folder: Path, rtneural: Path | None
) -> Iterator[tuple[str, ...]]:
    """Yield each contestant's times, and how many times as fast it is as the float32 file, and as
    the fastest of the ONNX files.
    """
    calls = dict(contestants(model, folder))
    calls |= dict(peers(model, folder, rtneural))
    times = measured(calls)
    base = times[BASE]
    best = min(times[f"onnxruntime {precision}, bare"][0] for precision in FILES)
    for contestant, (least, middle) in times.items():
        ratios = f"{base[0] / least:.1f}", f"{base[1] / middle:.1f}", f"{best / least:.1f}"
        yield (contestant, f"{least:.2f}", f"{middle:.2f}", *ratios)


def contestants(model: LanguageModel, folder: Path) -> Iterator[tuple[str, Call]]:
    """Yield every contestant of edgernn with what makes so many steps."""
    compiler = find_compiler()
    plain = replace(compiler, flags=(*compiler.flags, "-mno-avx512f", "-mno-avxvnni"))
    for precision in PRECISIONS:
        path, own = written(CExporter(), model, folder / f"step-{precision}", precision)
        library, session = looped(path, own, compiler)
        yield f"C {precision}, a loop in C", looping(library, session)
        if precision in AVX2:
            with suppress(UnavailableError):  # another kind of processor
                yield f"C {precision}, AVX2 alone", looping(*looped(path, own, plain))
        if precision in CALLED:
            yield f"C {precision}, a ctypes call a step", calling(session)
            opened = CompiledSession.open(path, own)
            yield f"C {precision}, Session.step", stepping(opened)
        if precision in ("float32", "w8a8", "w4a8"):
            yield f"reading the weights of {precision}", reading(library, path, own)
    for precision in FILES:
        file, held = written(OnnxExporter(), model, folder / f"{precision}.onnx", precision)
        yield f"onnxruntime {precision}, bare", bound(file)
        if precision == "float32":
            opened_file = OrtSession.open(file, held)
            yield f"onnxruntime {precision}, Session.step", stepping(opened_file)


def looped(
    path: Path, own: FileContract, compiler: Compiler
) -> tuple[ctypes.CDLL, CompiledSession]:
    """Return the C of a folder, with a loop around it, and a session of it."""
    library = build({**checked_sources(path), "loop.c": LOOP.encode()}, compiler)
    session = CompiledSession(library, own, prefix=options_of(path).prefix)
    session._given[TOKENS][...] = 3
    return library, session


def looping(library: ctypes.CDLL, session: CompiledSession) -> Call:
    arguments = session._arguments

    def run(count: int) -> object:
        library.run(*arguments, count)
        return session  # whose memory it goes over

    return run


def calling(session: CompiledSession) -> Call:
    bare, arguments = session._call, session._arguments
    return lambda count: [bare(*arguments) for _ in range(count)]


def reading(library: ctypes.CDLL, path: Path, own: FileContract) -> Call:
    """Return what reads as many bytes as a step reads of its weights: of a table one row."""
    graph = parse_model((path / GRAPH).read_bytes(), source=str(path)).graph
    program = program_of(graph, own)
    program = optimised(replace(program, activations=options_of(path).activations))
    count = (path / "step.weights.bin").stat().st_size
    for node in program.nodes:
        if isinstance(node, GatherRows):
            held = len(node.table.table()) + node.table.scales.nbytes
            count -= held - held // node.table.rows
        elif isinstance(node, Gather):
            count -= 4 * (node.table.size - node.table.size // node.table.shape[1])
    memory = np.ones(count // 4, np.uint32)
    return lambda steps: library.reading(ctypes.c_void_p(memory.ctypes.data), memory.size, steps)


def losses(text: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a trained model's held-out text loses, as it was measured when C was packed."""
    wanted = [precision for precision in PRECISIONS if precision != "float32"]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        edgernn("train", "text", "--data", text, "--steps", STEPS, "--out", run)
        bundle = export_bundle(run, Path(folder) / "net", to="c", precision=wanted)
        for artifact in bundle.manifest.artifacts:
            loss = artifact.loss
            if loss is not None:
                change = math.expm1(loss.nats - loss.reference_nats)
                found = f"{math.exp(loss.nats):.4f}"
                yield artifact.precision, found, f"{100 * change:+.2f} %"


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


def bound(path: Path, rows: int = 1) -> Call:
    """Return steps of rows over two sets of memory, each bound to read the states of the other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    runtime = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    contract = FileContract.from_metadata(
        OrtSession.describe(path).metadata, source=str(path)
    ).contract
    tokens = np.full((rows, 1), 3)
    states = [
        {s.name: np.zeros(contract.shape(s, batch=rows), s.dtype) for s in contract.step.states}
        for _ in range(2)
    ]
    logits = np.zeros((rows, 1, VOCABULARY), np.float32)
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
