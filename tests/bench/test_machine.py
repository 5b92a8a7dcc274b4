"""What the machine is called, and how fast its memory reads."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgernn import __version__
from edgernn.bench import machine as bench_machine
from edgernn.bench.machine import bandwidth, describe_machine, read_once, reading_buffer


def test_the_machine_says_what_it_is() -> None:
    machine = describe_machine()
    assert machine.processor
    assert machine.packages["edgernn"] == __version__
    assert set(machine.packages) >= {"numpy", "onnxruntime"}
    assert "" not in machine.packages.values()


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (
            "processor\t: 0\nmodel name\t: A Fast One @ 3 GHz\nflags\t: fpu\nprocessor\t: 1\n",
            "A Fast One @ 3 GHz",
        ),
        (
            "processor\t: 0\nCPU part\t: 0xd08\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n",
            "Raspberry Pi 4",
        ),
        ("Hardware\t: Qualcomm SM8150\n", "Qualcomm SM8150"),
    ],
)
def test_the_processor_as_linux_tells_it(
    told: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr(bench_machine, "_CPU_FILE", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert describe_machine().processor == name


def test_a_processor_without_a_name_is_its_architecture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nCPU part\t: 0xd08\n")
    monkeypatch.setattr(bench_machine, "_CPU_FILE", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert describe_machine().processor == "aarch64"


def test_the_buffer_is_no_page_of_zeros() -> None:
    buffer = reading_buffer(1 << 16)
    assert buffer.nbytes == 1 << 16
    assert buffer.all()


def test_the_fastest_way_to_read_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def way(seconds: float) -> SimpleNamespace:
        return SimpleNamespace(reduce=lambda buffer: now.__setitem__(0, now[0] + seconds))

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(bench_machine, "_READS", (way(2.0), way(0.5), way(1.0)))
    assert read_once(np.ones(1000, np.int64)) == 16_000


def test_the_bandwidth_is_the_median_of_the_reads() -> None:
    found = bandwidth([5.0, 1.0, 3.0], buffer_bytes=8)
    assert (
        found.bytes_per_s,
        found.lowest_bytes_per_s,
        found.highest_bytes_per_s,
        found.reads,
    ) == (3, 1, 5, 3)
