"""Several sequences in one call of C, which share the reading of the weights, beside onnxruntime's
batch: python benchmarks/compiled_streams.py [lstm64 gru64 lstm256 …] [--streams 6]

The model and the rounds are those of ``compiled.py``. A stream's step is a call over the number of
its sequences.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from _compiled_peers import Call
from _report import table
from compiled import EMBEDDING, VOCABULARY, bound, looped, looping, measured, written

from edgernn.export.to_c.exporter import CExporter
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.compiler import find_compiler

MODELS = ("lstm64", "gru64", "lstm256")
PRECISIONS = ("float32", "int8", "w8a8")
BASE = "onnxruntime float32, bare"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--streams", type=int, default=6)
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
            rows += [(name, *row) for row in compared(model, Path(folder), said.streams)]
    headings = ("model", "contestant", "streams", "µs a stream's step (min)", "(median)")
    table((*headings, "times as fast (min)", "(median)"), rows)


def compared(model: LanguageModel, folder: Path, streams: int) -> Iterator[tuple[str, ...]]:
    """Yield what a stream's step takes, and how many times as fast it is as in onnxruntime."""
    held = {f"{name} {count}": (count, call) for name, count, call in calls(model, folder, streams)}
    times = measured({name: call for name, (_, call) in held.items()})
    base = times[f"{BASE} {streams}"]
    for name, (least, middle) in times.items():
        count = held[name][0]
        ratios = (
            f"{base[0] / streams / least * count:.1f}",
            f"{base[1] / streams / middle * count:.1f}",
        )
        yield (name.rpartition(" ")[0], str(count), f"{least / count:.2f}", f"{middle / count:.2f}",
               *ratios)  # fmt: skip


def calls(model: LanguageModel, folder: Path, streams: int) -> Iterator[tuple[str, int, Call]]:
    """Yield every contestant, how many sequences it takes, and what makes so many steps."""
    for precision in PRECISIONS:
        for count in (1, streams):
            path = folder / f"step-{precision}-{count}"
            found = written(CExporter(streams=count), model, path, precision)
            yield f"C {precision}", count, looping(*looped(*found, find_compiler()))
    file, _ = written(OnnxExporter(), model, folder / "step.onnx", "float32")
    yield BASE, streams, bound(file, streams)


if __name__ == "__main__":
    main()
