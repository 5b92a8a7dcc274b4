"""Rows a second of bulk work: python benchmarks/batch.py [ROWS] [--ray]

A classifier of the shape that ``edgernn train classify`` has, trained for a few seconds, labels
generated reviews of a Parquet file, with one worker and with as many as there are processors, in
turns. What a worker costs to start is in the figures, and told by itself: the time of a run of one
row.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from _report import edgernn, table

from edgernn.batch.places import package
from edgernn.data.labelled.reviews import reviews

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="?", type=int, default=200_000)
    parser.add_argument("--ray", action="store_true", help="also on Ray, on this machine")
    said = parser.parse_args()
    engines = ("local", "ray") if said.ray else ("local",)
    counts = sorted({1, os.cpu_count() or 1})
    with tempfile.TemporaryDirectory() as folder:
        bundle = _bundle(Path(folder))
        rows = _table(Path(folder) / "reviews.parquet", said.rows)
        one = _table(Path(folder) / "one.parquet", 1)
        found: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for round_ in range(ROUNDS):
            for engine in engines:
                for workers in counts:
                    out = Path(folder) / f"{engine}-{workers}-{round_}"
                    start = _seconds(bundle, one, out / "one", engine, workers)
                    whole = _seconds(bundle, rows, out / "all", engine, workers)
                    found.setdefault((engine, workers), []).append((whole, start))
    cells = []
    for (engine, workers), times in found.items():
        whole, start = min(times)
        cells.append((engine, workers, f"{said.rows / whole:,.0f}", f"{start:.1f}"))
    table(("engine", "workers", "rows a second, starting included", "starting, s"), cells)


def _bundle(folder: Path) -> Path:
    run, bundle = folder / "run", folder / "reviews.edgernn"
    edgernn("train", "classify", "--data", "reviews", "--out", run, "--minutes", 0.3)
    edgernn("export", run, "--out", bundle, "--to", "onnx")
    return bundle


def _table(path: Path, rows: int) -> Path:
    """Write so many reviews as Parquet, in row groups of 8,192."""
    arrow, parquet = package("pyarrow"), package("pyarrow.parquet")
    made = reviews("validation", min(rows, 5000), seed=1)
    texts = [made[row % len(made)].text for row in range(rows)]
    parquet.write_table(arrow.table({"text": texts}), path, row_group_size=8192)
    return path


def _seconds(bundle: Path, rows: Path, out: Path, engine: str, workers: int) -> float:
    start = time.perf_counter()
    told = ["--output", out, "--engine", engine, "--workers", workers, "--json"]
    edgernn("batch", bundle, "--input", rows, *told)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
