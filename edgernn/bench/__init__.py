"""Measures the steps of exported files, in turns, on this machine."""

from edgernn.bench.run import DEFAULT_STEPS, FEWEST_STEPS, ROUNDS, Tell, bench_bundle

__all__ = [
    "DEFAULT_STEPS",
    "FEWEST_STEPS",
    "ROUNDS",
    "Tell",
    "bench_bundle",
]
