"""A few of the kills of ``benchmarks/kills.py``: spread over a training's life, a bundle that is
replaced, and packing.
"""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("coremltools")  # it trains and exports
BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks, and kills with SIGKILL")


def test_a_few_kills_and_no_dead_end() -> None:
    """In a process of its own: one that has threads must not fork."""
    command = [
        sys.executable,
        str(BENCHMARKS / "kills.py"),
        "--kills",
        "10",
        "--seed",
        "1",
        "--only",
        "text,pack",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("5 kills, 0 dead ends")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_dead_end_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    killing = importlib.import_module("_killing")

    def run(folder: Path) -> None:
        (folder / "half").mkdir()
        (folder / "whole").mkdir()

    def judge(folder: Path, chance: random.Random) -> str:
        halves = {path.name for path in folder.iterdir()}
        return "half of it" if halves == {"half"} else ""

    work = killing.Work("two folders", lambda folder: None, run, judge)
    found = [
        killing.kill_once(
            work, tmp_path / "kill", point=point, seconds=0.0, chance=random.Random(0)
        )
        for point in range(killing.points_of(work, tmp_path))
    ]
    assert found == ["", "half of it", "half of it", ""]
