"""What reduced precision gains and loses on trained models: python benchmarks/small_and_fast.py RUN
…

Each RUN is a checkpoint folder of a language model (LSTM or GRU, two layers), as ``edgernn train
text`` writes it. It is exported in float32, int8 and int4; a step of each file through
``Session.step`` is timed beside torch eager and a plain ``torch.onnx.export`` in onnxruntime
``run``: one thread, one row, the state fed back, all in turns. The distance to the floor is a
step's time over the time in which its weights are read from memory, measured between the turns.
What the text loses was measured when the bundle was packed. Then whole texts are written by the
host's loop and in one call of the graph.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported

import _peer_ort
import _peer_torch
import numpy as np
import torch
from _peer_base import Peer, Stepper, Work
from _report import table
from peers import Contender, chain, enter

from edgernn.bench.machine import BUFFER_BYTES, read_once, reading_buffer
from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact
from edgernn.contract import TOKENS
from edgernn.decoding.generate import Generation, begin
from edgernn.decoding.in_graph import InGraphGeneration
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.families.step import LOGITS
from edgernn.models import checkpoint
from edgernn.sessions.base import State
from edgernn.sessions.opening import open_session

PRECISIONS = ("float32", "int8", "int4")
ROUNDS, TEXTS, LENGTH = 60, 12, 256
SAMPLERS = {
    "greedy": Sampler(temperature=0),
    "temperature 0.8": Sampler(temperature=0.8),
    "top-k 40, top-p 0.95": Sampler(temperature=0.8, top_k=40, top_p=0.95),
}


def main() -> None:
    torch.set_num_threads(1)
    for run in sys.argv[1:]:
        with tempfile.TemporaryDirectory(prefix="edgernn-") as scratch:
            loaded = checkpoint.load(run)
            bundle = export_bundle(
                loaded, Path(scratch) / "bundle", to="onnx", precision=PRECISIONS, in_graph=True
            )
            config = loaded.model.config
            print(f"\n## {config.cell}, H = {config.hidden}, V = {config.vocabulary}\n")
            table(
                (
                    "",
                    "step",
                    "x plain run",
                    "x eager",
                    "x floor",
                    "bytes",
                    "of float32",
                    "perplexity",
                ),
                list(step_rows(bundle, Work(loaded.model.requires_grad_(False), Path(scratch)))),
            )
            table(
                (
                    "precision",
                    "text",
                    "a token: host loop",
                    "the same by run",
                    "in the graph",
                    "of host",
                    "of run",
                ),
                list(text_rows(bundle)),
            )


def step_rows(bundle: Bundle, work: Work) -> Iterator[tuple[str, ...]]:
    """Time every way to step in turns; yield a row for each."""
    plain = next(peer for peer in _peer_ort.PEERS if peer.name == "ort")
    eager = next(peer for peer in _peer_torch.PEERS if peer.name == "torch")
    files = {a.precision: a for a in bundle.manifest.artifacts if a.graph == "step"}
    own = [
        Peer(name, f"edgernn {name}", (), name == "float32", lambda _, a=a: stepper(bundle, a))
        for name, a in files.items()
    ]
    tokens = np.random.default_rng(0).integers(0, work.model.config.vocabulary, 200).tolist()
    reference = chain(eager.prepare(work), tokens)
    contenders = {peer.name: enter(peer, work, tokens, reference) for peer in (eager, plain, *own)}
    buffer, reads = reading_buffer(BUFFER_BYTES), []
    for index in range(ROUNDS):
        reads += [read_once(buffer)] if index % 6 == 0 else []
        for contender in contenders.values():
            contender.turn(tokens)
    bandwidth = statistics.median(reads)
    times = {name: statistics.median(contender.times_us) for name, contender in contenders.items()}
    for name, contender in contenders.items():
        yield row(contender, times, files.get(name), files["float32"].bytes, bandwidth)


def row(
    contender: Contender,
    times: dict[str, float],
    artifact: Artifact | None,
    float32_bytes: int,
    bandwidth: float,
) -> tuple[str, ...]:
    own = times[contender.peer.name]
    faster = (f"{times['ort'] / own:.2f}", f"{times['torch'] / own:.1f}")
    if artifact is None:
        return (contender.peer.what, f"{own:.0f} µs", *faster, "", "", "", "")
    floor_us = sum(weight.touched_bytes for weight in artifact.weights) / bandwidth * 1e6
    change = f"{artifact.loss.increase:+.2%}" if artifact.loss else ""
    size = f"{artifact.bytes / float32_bytes:.3f}"
    return (
        contender.peer.what,
        f"{own:.0f} µs",
        *faster,
        f"{own / floor_us:.2f}",
        f"{artifact.bytes:,}",
        size,
        change,
    )


def stepper(bundle: Bundle, artifact: Artifact) -> Stepper:
    session = open_session(bundle, artifact.path)

    def step(token: int, state: State) -> tuple[np.ndarray, State]:
        outputs, after = session.step({TOKENS: np.array([[token]], np.int64)}, state)
        return outputs[LOGITS], after

    return Stepper(step, session.initial_state(), artifact.bytes)


def text_rows(bundle: Bundle) -> Iterator[tuple[str, ...]]:
    """Time whole texts of the host's loop, of the same loop over plain ``run``, and of one call."""
    for precision in PRECISIONS:
        files = {a.graph: a for a in bundle.manifest.artifacts if a.precision == precision}
        step, slow, graph = (
            open_session(bundle, files[name].path) for name in ("step", "step", "generate")
        )
        slow._single = None  # type: ignore[attr-defined]  # every call by run, as hosts without bound memory do
        for name, sampler in SAMPLERS.items():
            times: dict[str, list[float]] = {"host": [], "plain": [], "graph": []}
            for seed in range(TEXTS):
                start = begin(step, np.array(bundle.manifest.decoding.start, np.int64))
                writers = {
                    "host": Generation(step, start, sampler=sampler, seed=seed),
                    "plain": Generation(slow, start, sampler=sampler, seed=seed),
                    "graph": InGraphGeneration(graph, start, sampler=sampler, seed=seed),
                }
                texts = set()
                for way, writer in writers.items():
                    began = time.perf_counter()
                    texts.add(tuple(writer.write(LENGTH)))
                    times[way].append((time.perf_counter() - began) / LENGTH * 1e6)
                if len(texts) != 1:
                    raise SystemExit(f"{precision}, {name}: the texts differ")
            host, plain, one = (statistics.median(times[way]) for way in ("host", "plain", "graph"))
            yield (
                precision,
                name,
                f"{host:.0f} µs",
                f"{plain:.0f} µs",
                f"{one:.0f} µs",
                f"{one / host:.2f}",
                f"{one / plain:.2f}",
            )


if __name__ == "__main__":
    main()
