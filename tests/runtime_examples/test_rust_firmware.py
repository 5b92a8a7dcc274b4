"""A bundle's C in Rust on an emulated Cortex-M4: the recorded run holds there. ``.ci/rust`` gets
the target where cargo has none.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hosts import EXAMPLES

TARGET = "thumbv7em-none-eabihf"
EXTRA = shlex.split(os.environ.get("EDGERNN_CARGO", ""))  # how cargo gets `core`

for _tool in ("cargo", "arm-none-eabi-gcc", "qemu-system-arm"):
    if shutil.which(_tool) is None:
        pytest.skip(f"needs {_tool}: .ci/rust", allow_module_level=True)
_library = subprocess.run(
    ["rustc", "--print", "target-libdir", "--target", TARGET],
    capture_output=True,
    text=True,
    check=False,
    timeout=60,
).stdout.strip()
if not EXTRA and not Path(_library or "none").is_dir():
    pytest.skip(f"needs cargo's target {TARGET}: .ci/rust", allow_module_level=True)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that a user copies."""
    folder = tmp_path_factory.mktemp("firmware")
    for name in ("rust", "compiled", "mcu"):
        leave = shutil.ignore_patterns("target", "build", "__pycache__")
        shutil.copytree(EXAMPLES / name, folder / name, ignore=leave)
    return folder / "rust" / "firmware"


def run(firmware: Path, bundle: Path, artifact: str) -> dict[str, tuple[float, str]]:
    """Build the firmware around a bundle's step, run it, and return its rows."""
    given = {"EDGERNN_BUNDLE": str(bundle), "PYTHON": sys.executable, "EDGERNN_ARTIFACT": artifact}
    done = subprocess.run(
        ["cargo", "run", "--release", "--offline", *EXTRA],
        cwd=firmware,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
        env={**os.environ, **given},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^(\S+) (\S+) \S+ (ok|FAILED: parts .*)$", done.stdout, re.MULTILINE)
    return {name: (float(worst), verdict) for name, worst, verdict in rows}


def test_the_recorded_run_holds(firmware: Path, compiled_bundles: dict[str, Path]) -> None:
    for network, names in (
        ("lstm", {"logits[0]", "h_next[0]", "c_next[0]"}),
        ("audio", {"sample[0]", "h_next[0]", "memory_next[0]"}),
    ):
        rows = run(firmware, compiled_bundles[network], "c/step")
        assert set(rows) == names
        assert all(0 < worst < 1e-5 and verdict == "ok" for worst, verdict in rows.values()), rows


def test_integers_are_compared_step_by_step(firmware: Path, compiled_integers: Path) -> None:
    rows = run(firmware, compiled_integers, "c/step-int8")
    assert len(rows) == 5
    assert all(worst > 1e-5 and verdict == "ok" for worst, verdict in rows.values()), rows
