"""A bundle measured: every artifact is in the report with figures that agree, or is left out with a
reason.
"""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.bench import ROUNDS, bench_bundle
from edgernn.bench import run as bench
from edgernn.bench.alone import Alone
from edgernn.bench.report import ArtifactBench, BenchReport
from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract, Narrowing
from edgernn.errors import BundleError, ContractError, UnavailableError, UsageError
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.opening import open_artifact

STEPS = 23  # not a multiple of the rounds


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read 32 kB between the rounds, not a quarter of a gigabyte."""
    monkeypatch.setattr(bench, "reading_buffer", lambda: np.ones(1 << 12, np.int64))


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask no process of its own: they are slow to start, and tests of their own ask them."""
    alone = Alone(load_ms=1.5, first_ms=2.5, peak_bytes=3000)
    monkeypatch.setattr(bench, "measure_alone", lambda *arguments, **options: alone)
    monkeypatch.setattr(bench, "measure_import", lambda format_name: 2000)


def with_artifacts(bundle: Bundle, *artifacts: Artifact) -> Bundle:
    return Bundle(
        bundle.source, bundle.folder, bundle.manifest.model_copy(update={"artifacts": artifacts})
    )


def by_path(report: BenchReport) -> dict[str, ArtifactBench]:
    return {artifact.path: artifact for artifact in report.artifacts}


def test_a_file_of_several_rows_is_fed_as_many(
    bundle: Bundle, no_processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrowing = Narrowing(axes={"batch": 3, "time": 1})
    session = FakeSession(FileContract(contract=bundle.manifest.contract, narrowing=narrowing))
    monkeypatch.setattr(bench, "open_artifact", lambda *arguments, **options: session)
    ticks = count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 1e3)  # a call takes 1 ms
    report = bench_bundle(bundle, to="onnx", steps=STEPS)
    (found,) = report.artifacts
    assert found.p50_ms == pytest.approx(1)
    assert found.tokens_per_s == pytest.approx(3000)
    assert found.speed == pytest.approx(3)


def test_a_real_bundle(bundle: Bundle) -> None:
    heard: list[str] = []
    report = bench_bundle(bundle, to="onnx", steps=STEPS, tell=heard.append)
    found = by_path(report)["onnx/step.onnx"]
    assert (found.runtime, found.graph, found.bytes) == (
        "onnxruntime",
        "step",
        bundle.artifact("onnx").bytes,
    )
    assert found.calls == STEPS
    assert 0 < found.p50_ms <= found.p90_ms <= found.p99_ms
    assert found.tokens_per_s is not None
    assert 0 < found.tokens_per_s <= 2000 / found.p50_ms  # half of the steps took p50 or longer
    assert found.prefill_tokens_per_s is not None
    assert found.prefill_tokens_per_s > found.tokens_per_s  # 256 tokens in one call
    assert found.load_ms > 0
    assert found.first_ms > 0
    if found.peak_bytes is not None and found.baseline_bytes is not None:
        assert found.baseline_bytes < found.peak_bytes
    assert found.speed == 1
    assert heard[0] == "opening onnx/step.onnx"
    assert heard[-1] == f"round {ROUNDS} of {ROUNDS}"
    assert BenchReport.model_validate_json(report.to_json()) == report


@pytest.mark.usefixtures("no_processes")
def test_every_artifact_is_measured_or_left_out_with_a_reason(captioner_bundle: Bundle) -> None:
    pytest.importorskip("torch")
    report = bench_bundle(captioner_bundle, steps=STEPS)
    found = by_path(report)
    left = {artifact.path: artifact for artifact in report.left_out}
    assert sorted([*found, *left]) == sorted(
        artifact.path for artifact in captioner_bundle.manifest.artifacts
    )
    assert {
        "onnx/encode.onnx",
        "onnx/step.onnx",
        "torchscript/encode.pt",
        "torchscript/step.pt",
    } <= set(found)
    assert all("Core ML" in artifact.reason for artifact in left.values())
    encode = found["torchscript/encode.pt"]
    assert (encode.graph, encode.tokens_per_s, encode.prefill_tokens_per_s) == (
        "encode",
        None,
        None,
    )
    assert ROUNDS <= encode.calls < STEPS
    assert encode.speed == pytest.approx(found["onnx/encode.onnx"].p50_ms / encode.p50_ms)
    step = found["torchscript/step.pt"]
    assert step.speed == pytest.approx(found["onnx/step.onnx"].p50_ms / step.p50_ms)
    assert (step.load_ms, step.first_ms, step.peak_bytes, step.baseline_bytes) == (
        1.5,
        2.5,
        3000,
        2000,
    )


@pytest.mark.usefixtures("no_processes")
def test_the_distance_to_the_floor(bundle: Bundle) -> None:
    def weight(touched_bytes: int) -> StoredWeight:
        return StoredWeight(
            "a", (1000,), "float32", float32_bytes=4000, bytes=4000, touched_bytes=touched_bytes
        )

    weights = (weight(4000), weight(96))
    weighed = bundle.artifact("onnx").model_copy(update={"weights": weights})
    report = bench_bundle(with_artifacts(bundle, weighed), steps=STEPS)
    (found,) = report.artifacts
    assert found.touched_bytes == 4096
    assert found.floor_ms is not None
    assert found.floor_ms == pytest.approx(4096 / report.bandwidth.bytes_per_s * 1e3)
    assert found.times_floor == pytest.approx(found.p50_ms / found.floor_ms)


@pytest.mark.usefixtures("no_processes")
def test_no_floor_where_the_weights_are_not_listed(bundle: Bundle) -> None:
    pytest.importorskip("torch")
    bare = bundle.artifact("torchscript").model_copy(update={"weights": ()})
    (found,) = bench_bundle(with_artifacts(bundle, bare), steps=STEPS).artifacts
    assert (found.touched_bytes, found.floor_ms, found.times_floor) == (None, None, None)
    assert found.speed is None  # its ONNX file was not asked for


class Walker:
    """A course that writes down what it is asked."""

    def __init__(
        self, name: str, log: list[tuple[str, int, bool]], *, encodes: bool = False
    ) -> None:
        self.name, self.encodes, self.unit = name, encodes, "step"
        self._log = log

    def run(self, calls: int, *, with_prefill: bool) -> None:
        self._log.append((self.name, calls, with_prefill))


def test_rounds_are_interleaved_and_each_begins_with_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: list[tuple[str, int, bool]] = []

    def read(buffer: np.ndarray) -> float:
        log.append(("memory", 0, False))
        return 5.0

    monkeypatch.setattr(bench, "read_once", read)
    courses = [Walker("a", log), Walker("b", log), Walker("e", log, encodes=True)]
    found = bench._run_rounds(courses, steps=57, tell=lambda line: None)  # type: ignore[arg-type]
    assert (found.bytes_per_s, found.reads, found.buffer_bytes) == (5, ROUNDS, 32768)
    names = [name for name, _, _ in log]
    assert names[:12] == ["a", "b", "e", "memory", "b", "e", "a", "memory", "e", "a", "b", "memory"]
    calls = {name: [count for other, count, _ in log if other == name] for name in "abe"}
    assert sum(calls["a"]) == sum(calls["b"]) == 57
    assert set(calls["a"]) == {5, 6}
    assert set(calls["e"]) == {1}
    assert sum(with_prefill for name, _, with_prefill in log if name == "a") == ROUNDS // 2


@pytest.mark.usefixtures("no_processes")
def test_a_format_of_another_edgernn_is_left_out(bundle: Bundle) -> None:
    other = bundle.artifact("onnx").model_copy(
        update={"format": "abacus", "path": "abacus/step.abc"}
    )
    report = bench_bundle(with_artifacts(bundle, bundle.artifact("onnx"), other), steps=STEPS)
    (left,) = report.left_out
    assert (left.path, left.format) == ("abacus/step.abc", "abacus")
    assert "this edgernn does not know the format 'abacus'" in left.reason


@pytest.mark.usefixtures("no_processes")
def test_a_file_that_writes_a_whole_text_is_left_out(bundle: Bundle) -> None:
    other = bundle.artifact("onnx").model_copy(
        update={"graph": "generate", "path": "onnx/generate.onnx"}
    )
    (left,) = bench_bundle(
        with_artifacts(bundle, bundle.artifact("onnx"), other), steps=STEPS
    ).left_out
    assert left.reason == "it computes generate; only encode and step files are called step by step"


def test_a_file_that_fails_on_the_way_is_left_out(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")

    def alone(bundle: Bundle, artifact: Artifact, *arguments: object, **options: object) -> Alone:
        if artifact.format == "torchscript":
            raise ContractError("it broke")
        return Alone()

    monkeypatch.setattr(bench, "measure_alone", alone)
    monkeypatch.setattr(bench, "measure_import", lambda format_name: None)
    report = bench_bundle(bundle, to=["onnx", "torchscript"], steps=STEPS)
    assert [(left.path, left.reason) for left in report.left_out] == [
        ("torchscript/step.pt", "it broke")
    ]
    assert [found.path for found in report.artifacts] == ["onnx/step.onnx"]


def test_the_threads_reach_the_runtime_here_and_in_the_process_of_its_own(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def note(*arguments: Any, **options: Any) -> Any:
        given.append(options["threads"])
        return open_artifact(*arguments)

    def alone(*arguments: object, **options: object) -> Alone:
        given.append(options["threads"])
        return Alone()

    monkeypatch.setattr(bench, "open_artifact", note)
    monkeypatch.setattr(bench, "measure_alone", alone)
    monkeypatch.setattr(bench, "measure_import", lambda format_name: None)
    assert bench_bundle(bundle, to="onnx", steps=STEPS, threads=2).threads == 2
    assert given == [2, 2]


def test_a_machine_that_can_run_nothing(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise UnavailableError("there is no abacus here")

    monkeypatch.setattr(bench, "open_artifact", refuse)
    with pytest.raises(
        UnavailableError,
        match=r"can run none of the 1 artifacts: onnx/step.onnx: there is no abacus here",
    ):
        bench_bundle(bundle, to="onnx", steps=STEPS)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"threads": 0}, "threads is 0, expected 1 or more"),
        ({"threads": -2}, "threads is -2, expected 1 or more"),
        ({"steps": 9}, "steps is 9, expected 10 or more"),
        ({"to": "abacus"}, "unknown format 'abacus'; expected one of"),
        ({"to": []}, "no format given"),
    ],
)
def test_what_cannot_be_used(options: dict[str, Any], told: str, bundle: Bundle) -> None:
    with pytest.raises(UsageError, match=told):
        bench_bundle(bundle, **options)


def test_no_artifact_of_the_formats(bundle: Bundle) -> None:
    only = with_artifacts(bundle, bundle.artifact("onnx"))
    with pytest.raises(UsageError, match=r"has no artifact in torchscript; it has: onnx"):
        bench_bundle(only, to="torchscript")


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle at"):
        bench_bundle(tmp_path / "nothing")
