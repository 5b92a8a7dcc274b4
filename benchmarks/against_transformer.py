"""Default training against a plain character transformer, on a machine one of whose cores another
program keeps busy.

    python benchmarks/against_transformer.py CORPUS [--loss 1.91] [--idle] [--seconds 20]

Prints steps a second of the default, ``--threads 1`` and ``--threads 2``; how long the transformer
of ``_transformer.py`` takes for its 2,000 iterations; and the validation loss that the default
reaches in a quarter of that time, by the wall clock from start to end of the command. Ends with 1
where that loss is above ``--loss``, or the default below 0.9 of the better number of threads.
Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPIN = "while True: pass"


def train(corpus: Path, out: Path, seconds: float, *options: str) -> tuple[dict[str, float], float]:
    """Train by the command line for so many seconds; return its result and the seconds that it
    took.
    """
    command = [
        sys.executable,
        "-m",
        "edgernn",
        "train",
        "text",
        "--data",
        str(corpus),
        "--out",
        str(out),
        "--json",
    ]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--minutes", f"{seconds / 60:.4f}", *options],
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE.parent,
    )
    return json.loads(done.stdout), time.perf_counter() - began


def speed(corpus: Path, out: Path, seconds: float, *options: str) -> float:
    """Return steps a second between the first and the last report of a run, evaluations not counted
    out.
    """
    train(corpus, out, seconds, "--evaluations", "1", *options)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [(row["step"], row["seconds"]) for row in rows if row["kind"] == "train"]
    (first, began), (last, ended) = steps[0], steps[-1]
    return (last - first) / (ended - began) if ended > began else 0.0


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument(
        "--loss", type=float, default=1.91, help="nats per character that count as reached"
    )
    parser.add_argument(
        "--idle", action="store_true", help="start no program that keeps a core busy"
    )
    parser.add_argument(
        "--helped",
        action="store_true",
        help="let the transformer's waiting threads sleep, too, as ours do",
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement of speed")
    parser.add_argument("--iterations", type=int, default=2000, help="of the transformer")
    chosen = parser.parse_args()
    corpus = chosen.corpus.resolve()
    busy = None if chosen.idle else subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        with tempfile.TemporaryDirectory(prefix="edgernn-against-") as place:
            return compare(corpus, Path(place), chosen)
    finally:
        if busy:
            busy.kill()


def compare(corpus: Path, place: Path, chosen: argparse.Namespace) -> int:
    """Run both, print what came out, return the exit code."""
    options = {"default": (), "--threads 1": ("--threads", "1"), "--threads 2": ("--threads", "2")}
    speeds = {
        name: speed(corpus, place / name, chosen.seconds, *given) for name, given in options.items()
    }
    for name, steps in speeds.items():
        print(f"edgernn, {name}: {steps:.2f} steps/s", flush=True)
    share = speeds["default"] / max(speeds["--threads 1"], speeds["--threads 2"], 1e-9)
    print(f"the default has {share:.2f} of the better number of threads", flush=True)
    script = [
        sys.executable,
        str(HERE / "_transformer.py"),
        str(corpus),
        "--iterations",
        str(chosen.iterations),
    ]
    environment = {**os.environ, **({"OMP_WAIT_POLICY": "passive"} if chosen.helped else {})}
    began = time.perf_counter()
    theirs = json.loads(
        subprocess.run(script, capture_output=True, text=True, check=True, env=environment).stdout
    )
    whole = time.perf_counter() - began
    print(
        f"transformer: {chosen.iterations} iterations in {whole:.0f} s, validation loss "
        f"{theirs['course'][-1][2]:.3f}",
        flush=True,
    )
    found, spent = train(corpus, place / "quarter", whole / 4)
    loss = found["validation_loss"]
    print(
        f"edgernn: {loss:.3f} nats/character in {spent:.0f} s, {spent / whole:.3f} of its time",
        flush=True,
    )
    reached = loss <= chosen.loss and spent <= 1.1 * whole / 4 and share >= 0.9
    print(
        "reached"
        if reached
        else f"NOT reached: {chosen.loss:g} in a quarter of the time at 0.9 of the best speed"
    )
    return int(not reached)


if __name__ == "__main__":
    raise SystemExit(main())
