"""What ``bench`` measured, as data: the machine, how fast its memory reads, and each artifact's
times and sizes.
"""

from __future__ import annotations

from typing import Literal

from edgernn.contract import GraphWord, Record

SCHEMA_VERSION: Literal[1] = 1


class Machine(Record):
    """Where it was measured. ``packages``: name → version of those that edgernn runs on and that
    are installed.
    """

    processor: str
    cores: int | None
    platform: str
    python: str
    packages: dict[str, str]


class Bandwidth(Record):
    """How fast one thread reads memory: the median, lowest and highest of ``reads`` passes over
    ``buffer_bytes``.
    """

    bytes_per_s: float
    lowest_bytes_per_s: float
    highest_bytes_per_s: float
    buffer_bytes: int
    reads: int


class ArtifactBench(Record):
    """What one artifact costs: of a step artifact per step, of an encode artifact per sequence.

    ``load_ms``, ``first_ms`` and ``peak_bytes`` are of a process of its own that imported the
    runtime, opened the file and called it; ``baseline_bytes`` of one that only imported. Peaks are
    absent where the system does not tell them. ``p50_ms``, ``p90_ms`` and ``p99_ms`` are of
    ``calls`` calls, each a ``unit``: a step, or a picture or sequence of an encode artifact.
    ``tokens_per_s`` and ``prefill_tokens_per_s``, which count steps where the model has no tokens,
    are absent for an encode artifact. ``touched_bytes`` is what one call reads of the weights,
    where the manifest lists them; ``times_floor`` is ``p50_ms`` in multiples of the time that
    reading them takes. ``speed`` is in multiples of the float32 ONNX file's, by ``p50_ms``, where
    that was measured too.
    A file of several ``rows`` (``--streams``) is called with as many sequences: tokens and
    ``speed`` count all of them.
    """

    path: str
    format: str
    precision: str
    graph: GraphWord
    unit: str = "step"
    rows: int = 1
    runtime: str
    bytes: int
    load_ms: float
    first_ms: float
    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    tokens_per_s: float | None = None
    prefill_tokens_per_s: float | None = None
    peak_bytes: int | None = None
    baseline_bytes: int | None = None
    touched_bytes: int | None = None
    floor_ms: float | None = None
    times_floor: float | None = None
    speed: float | None = None

    @property
    def steps(self) -> bool:
        """Whether it is the artifact of a step graph."""
        return self.tokens_per_s is not None


class LeftOut(Record):
    """An artifact that could not be measured here, and why."""

    path: str
    format: str
    precision: str
    graph: str
    reason: str


class BenchReport(Record):
    """The outcome of ``bench``. ``threads`` None: each runtime's own choice. ``fed`` says in words
    what the files were fed, ``unit`` what a step is: a token, or a step alone. ``step_frames`` and
    ``latency_frames`` are the contract's.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    bundle: str
    machine: Machine
    threads: int | None
    steps: int
    rounds: int
    prefill_tokens: int
    step_frames: int = 1
    latency_frames: int = 0
    fed: str
    unit: str = "token"
    bandwidth: Bandwidth
    artifacts: tuple[ArtifactBench, ...]
    left_out: tuple[LeftOut, ...]

    def to_json(self) -> str:
        """Return the report as it is written."""
        return self.model_dump_json(indent=2) + "\n"
