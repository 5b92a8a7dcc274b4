"""Every cell at one size beside the others: python benchmarks/cells.py [CELL …]
[--data TEXT-FILE] [--steps N] [--scan]

A language model of two layers of ``HIDDEN`` learns the built-in text for N steps, the same for each
cell, and its loss is that of the held-out part. Speed and bytes are those of an untrained model of
the same size, for they do not depend on what was learned: a step on one thread, one row, one token,
the contestants in turns, the least time of all rounds. ``--scan`` compares training instead, in
steps a second of processor time on one thread: cells whose gates see no state, trained over all
time steps at once, against torch's LSTM.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from _report import edgernn, table
from compiled import EMBEDDING, VOCABULARY, bound, looped, looping, measured, written
from torch.nn.functional import cross_entropy

from edgernn.export.to_c.exporter import CExporter
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.models.cells.table import CELLS
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.compiler import find_compiler

HIDDEN, BATCH = 128, 16
SCANNED, WIDE, ROWS, ROUNDS = ("lstm", "min_gru", "min_lstm"), 256, 32, 7
LENGTHS = (64, 512)
HEADINGS = (
    "cell", "parameters", "nats/character", "onnxruntime, µs", "its int8", "C, µs", "its int8",
    "int8, bytes of ONNX",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cells", nargs="*", default=list(CELLS))
    parser.add_argument("--data", default="python-docs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--scan", action="store_true")
    said = parser.parse_args()
    torch.set_num_threads(1)
    if said.scan:
        table(("T", *SCANNED, *(f"{cell} / lstm" for cell in SCANNED[1:])), list(scanned()))
        return
    rows = []
    for cell in said.cells:
        rows.append((f"`{cell}`", *row_of(cell, said.data, said.steps)))
        print(*rows[-1], flush=True)
    print()
    table(HEADINGS, rows)


def row_of(cell: str, data: str, steps: int) -> tuple[str, ...]:
    """Return what a row of the table says of a cell."""
    model = untrained(cell, HIDDEN)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        calls, files = {}, {}
        for precision in ("float32", "int8"):
            file, _ = written(OnnxExporter(), model, folder / f"{precision}.onnx", precision)
            path, own = written(CExporter(), model, folder / f"step-{precision}", precision)
            calls[f"onnxruntime {precision}"] = bound(file)
            calls[f"C {precision}"] = looping(*looped(path, own, find_compiler()))
            files[precision] = file.stat().st_size
        times = [f"{least:.3g}" for least, _ in measured(calls).values()]
        loss = learned(cell, data, steps, folder / "run")
    onnx, c, onnx_int8, c_int8 = times
    own_rows = f"{loss:.3f}", onnx, onnx_int8, c, c_int8, f"{files['int8']:,}"
    return f"{model.parameter_count:,}", *own_rows


def untrained(cell: str, hidden: int) -> LanguageModel:
    """Return a seeded model of two layers of ``cell``."""
    torch.manual_seed(0)
    config = LanguageConfig(vocabulary=VOCABULARY, cell=cell, embedding=EMBEDDING, hidden=hidden)
    return LanguageModel(config).eval().requires_grad_(False)


def learned(cell: str, data: str, steps: int, run: Path) -> float:
    """Return the loss of the held-out part after so many steps, in nats a character."""
    size = ("--embedding", EMBEDDING, "--hidden", HIDDEN, "--layers", 2)
    course = ("--batch", BATCH, "--chunk", 64, "--steps", steps, "--evaluations", 1, "--seed", 0)
    machine = ("--threads", 1, "--mixed", "off", "--device", "cpu", "--json")
    made = edgernn(
        "train", "text", "--data", data, "--cell", cell, "--out", run, *size, *course, *machine
    )
    loss: float = json.loads(made.stdout)["validation_loss"]
    return loss


def scanned() -> Iterator[tuple[str, ...]]:
    """Yield a row for each number of time steps: training steps a second, and ratios to LSTM."""
    for length in LENGTHS:
        models = {cell: untrained(cell, WIDE).train().requires_grad_() for cell in SCANNED}
        found: dict[str, list[float]] = {cell: [] for cell in SCANNED}
        for _ in range(ROUNDS):
            for cell, model in models.items():
                found[cell].append(training_seconds(model, length))
        rates = [1 / min(found[cell]) for cell in SCANNED]
        ratios = (f"{rate / rates[0]:.1f}" for rate in rates[1:])
        yield str(length), *(f"{rate:.2f}" for rate in rates), *ratios


def training_seconds(model: LanguageModel, length: int) -> float:
    """Return the processor time of a loss over ``length`` steps and its gradient."""
    tokens = torch.randint(VOCABULARY, (ROWS, length + 1))
    began = time.process_time()
    logits, _ = model(tokens[:, :-1], model.initial_state(ROWS))  # [B, T, V]
    model.zero_grad()
    cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    return time.process_time() - began


if __name__ == "__main__":
    main()
