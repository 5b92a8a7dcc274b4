"""A token of text in C beside a bare step: python benchmarks/text_in_c.py [lstm64 gru64 …]

An untrained language model of two layers over 96 characters writes 256 tokens in C; the bare step
is fed as many tokens in a loop in C. All take turns in rounds, in one process: read the ratios, of
the fastest round and of the middle one. Untrained scores are almost equal, which is what a choice
takes longest for.
"""

from __future__ import annotations

import ctypes
import re
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from _report import table

from edgernn.contract import Decoding
from edgernn.export.to_c.decoding.companions import companions
from edgernn.export.to_c.exporter import CExporter
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.c_folder import checked_sources
from edgernn.sessions.compiler import build, find_compiler

MODELS = ("lstm64", "gru64")
PRECISIONS = ("float32", "int8", "w8a8")
VOCABULARY, TOKENS, ROUNDS = 96, 256, 120
WAYS = {  # temperature, top-k, top-p
    "greedy": (0.0, 0, 1.0),
    "temperature 0.8": (0.8, 0, 1.0),
    "temperature 0.8, top-k 40": (0.8, 40, 1.0),
    "temperature 0.8, top-p 0.9": (0.8, 0, 0.9),
}
LOOP = r"""
#define _POSIX_C_SOURCE 199309L
#include "text.h"
#include <time.h>
static net_text text;
static net_text_room room;
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}
static int hear(void *context, int64_t token)
{
    *(int64_t *)context = token;
    return 0;
}
/* Microseconds a token: of bare steps where the temperature is below 0. */
double tokens_us(int count, double temperature, int top_k, double top_p, unsigned seed)
{
    const net_text_options options = {temperature, top_k, top_p, seed, count};
    net_outputs outputs = {room.logits};
    int64_t token = 3;
    double start;
    net_text_begin(&text);
    start = now();
    if (temperature >= 0.0) {
        net_text_write(&text, &token, 1, &options, hear, &token, &room);
    } else {
        for (int i = 0; i < count; ++i) {
            const int64_t own = (i * 7 + (int)seed) % NET_TEXT_VOCABULARY;
            const net_inputs inputs = {&own};
            net_step(&inputs, &text.state, &outputs);
        }
    }
    return (now() - start) / count;
}
"""


def main() -> None:
    rows = []
    for name in sys.argv[1:] or MODELS:
        cell, hidden = re.fullmatch(r"([a-z_]+)(\d+)", name).groups()  # type: ignore[union-attr]
        torch.manual_seed(0)
        config = LanguageConfig(vocabulary=VOCABULARY, cell=cell, embedding=64, hidden=int(hidden))
        model = LanguageModel(config).eval()
        for precision in PRECISIONS:
            with tempfile.TemporaryDirectory() as folder:
                times = measured(library_of(model, Path(folder) / "step", precision))
            bare = times.pop("step")
            rows.append(
                (name, precision, "a bare step", f"{bare[0]:.2f}", f"{bare[1]:.2f}", "", "")
            )
            for way, (least, middle) in times.items():
                ratios = f"{least / bare[0]:.2f}", f"{middle / bare[1]:.2f}"
                rows.append((name, precision, way, f"{least:.2f}", f"{middle:.2f}", *ratios))
    compiler = find_compiler()
    print(f"{' '.join(compiler.command)} {' '.join(compiler.flags)}\n")
    headings = ("model", "precision", "a token", "min µs", "median µs", "steps (min)", "(median)")
    table(headings, rows)


def library_of(model: LanguageModel, path: Path, precision: str) -> ctypes.CDLL:
    """Return the step, what writes text with it, and the loop."""
    decoding, contract = Decoding(), model.config.contract()
    CExporter().export(model, path, precision=precision, decoding=decoding)
    text = companions(contract, decoding, None, {}, path)
    files: Mapping[str, bytes] = {**checked_sources(path), **text, "loop.c": LOOP.encode()}
    library = build(files, find_compiler())
    library.tokens_us.restype = ctypes.c_double
    return library


def measured(library: ctypes.CDLL) -> dict[str, tuple[float, float]]:
    """Return way → the least and the middle time of a token over the rounds, in µs; of ``step``,
    too.
    """
    ways = {"step": (-1.0, 0, 1.0), **WAYS}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(ROUNDS):
        for name, (temperature, top_k, top_p) in ways.items():
            given = ctypes.c_double(temperature), top_k, ctypes.c_double(top_p)
            found[name].append(library.tokens_us(TOKENS, *given, seed))
    return {name: (min(times), statistics.median(times)) for name, times in found.items()}


if __name__ == "__main__":
    main()
