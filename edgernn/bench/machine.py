"""The machine that ``bench`` measures on: what it is, and how fast one of its threads reads
memory.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from edgernn.bench.report import Bandwidth, Machine
from edgernn.formats import FORMATS

BUFFER_BYTES = (
    256 << 20
)  # beyond the caches: a buffer of 64 MiB is still read out of a server's last-level cache
_PACKAGES = ("edgernn", "numpy")  # and what each format needs
_CPU_FILE = Path("/proc/cpuinfo")  # Linux and Android
_CPU_NAMES = (
    "model name",
    "Model",
    "Hardware",
)  # its keys on PCs, on boards such as the Raspberry Pi, on older phones
# Reductions that numpy runs with vector instructions on the calling thread alone; the products go
# to a BLAS, which may share them out. Which of them keeps up with the memory best differs from
# processor to processor, so the fastest counts.
_READS = (np.bitwise_or, np.add, np.maximum)


def describe_machine() -> Machine:
    """Return the processor, the cores, the platform and the versions of what runs models."""
    needed = [package for row in FORMATS.values() for package in row.packages]
    wanted = dict.fromkeys([*_PACKAGES, *needed])
    return Machine(
        processor=_processor(),
        cores=os.cpu_count(),
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: version for name in wanted if (version := _version(name)) is not None},
    )


def reading_buffer(size_bytes: int = BUFFER_BYTES) -> np.ndarray:
    """Return a buffer to read, int64 ``[size_bytes / 8]``, every page of it in memory.

    It holds ones: the pages of fresh zeros are all one page, which never leaves the caches.
    """
    return np.ones(size_bytes // 8, np.int64)


def read_once(buffer: np.ndarray) -> float:
    """Read ``buffer`` from end to end in each of several ways on this thread; return the fastest's
    bytes per second.
    """
    fastest = 0.0
    for reduction in _READS:
        began = time.perf_counter()
        reduction.reduce(buffer)
        fastest = max(fastest, buffer.nbytes / (time.perf_counter() - began))
    return fastest


def bandwidth(reads: Sequence[float], *, buffer_bytes: int) -> Bandwidth:
    """Summarise what ``read_once`` gave, in bytes per second; at least one."""
    return Bandwidth(
        bytes_per_s=statistics.median(reads),
        lowest_bytes_per_s=min(reads),
        highest_bytes_per_s=max(reads),
        buffer_bytes=buffer_bytes,
        reads=len(reads),
    )


def _processor() -> str:
    """Return the processor's name, which Python itself knows on Windows alone."""
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return told or platform.machine()
    if _CPU_FILE.is_file():
        lines = [
            line.partition(":")
            for line in _CPU_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
        ]
        found = {key.strip(): value.strip() for key, _, value in lines}
        return next((found[name] for name in _CPU_NAMES if found.get(name)), platform.machine())
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
