"""The README's commands and Python, run as written, in order, in one empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgernn.bundle.manifest import Manifest
from edgernn.formats import FORMATS

pytest.importorskip("coremltools")  # the README installs everything
ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands were run; each one succeeded."""
    place = tmp_path_factory.mktemp("readme")
    script = place / "bin" / "edgernn"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgernn "$@"\n')
    script.chmod(0o755)
    (place / "benchmarks").symlink_to(ROOT / "benchmarks")
    environment = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    commands = [
        line[2:]
        for block in _blocks("console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    assert len(commands) >= 8
    for command in commands:
        done = subprocess.run(
            command,
            shell=True,
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    return place


def test_the_commands_leave_what_they_promise(folder: Path) -> None:
    for name in (
        "runs/docs/loss.png",
        "docs.edgernn",
        "report.json",
        "half.state",
        "scenes.edgernn",
        "map.png",
    ):
        assert (folder / name).exists()


def test_the_python_runs(folder: Path) -> None:
    code = "\n".join(_blocks("python"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_every_format_and_every_field_of_the_manifest_is_told() -> None:
    for row in FORMATS.values():
        assert f"`{row.path(row.precisions[0])}`" in README
    told = set(re.findall(r"`([a-z_]+)", README)) | {"family", "provenance", "golden", "tokenizer"}
    assert set(Manifest.model_fields) <= told
