"""The pages of the families, run: every command of their ``console`` blocks, in their order, with
trainings of two steps and exports of one file.

The figures that they print are of trainings of minutes, so none of the output is compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import site_pages
from commands_of_pages import FAMILIES, run

ROOT = site_pages.ROOT
SWITCH = "EDGERNN_FAMILY_PAGES"


def _shortened(command: str) -> str:
    """Return a command with few steps of training, one file of an export, few steps of a check."""
    if re.match(r"edgernn train ", command):
        few = "4" if "--resume" in command else "2 --evaluations 1 --threads 1"
        return re.sub(r" --(minutes|steps|threads) \S+", "", command) + f" --steps {few}"
    if command.startswith("edgernn export "):
        return (
            re.sub(r" +--(precision|axis|to|max-perplexity-increase) \S+", "", command)
            + " --to onnx"
        )
    if command.startswith("edgernn verify "):
        return f"{command} --steps 16"
    return re.sub(r"--artifact \S+", "--artifact onnx/step.onnx", command)


def _provide(place: Path) -> None:
    """Put the files there that the pages take as given."""
    from PIL import Image

    script = place / "bin/edgernn"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgernn "$@"\n')
    script.chmod(0o755)
    picture = Image.open(ROOT / "benchmarks/pictures/scene.png").convert("RGB")
    picture.save(place / "picture.png")
    picture.convert("L").resize((32, 32)).save(place / "two.png")
    (place / "clip").mkdir()
    for frame in range(3):
        picture.resize((16, 16)).save(place / f"clip/{frame:02}.png")
    (place / "film.csv").write_text("text,label\nNot at all bad.,positive\n")
    (place / "weakref.py").write_text('"""A text."""\n' + "for it in (1, 2):\n    print(it)\n" * 40)


@pytest.mark.parametrize("page", FAMILIES)
def test_the_commands_of_a_page_run(page: str, tmp_path: Path) -> None:
    if not os.environ.get(SWITCH):
        pytest.skip(f"{SWITCH} is not set, as these are trainings of minutes; .ci/docs sets it")
    _provide(tmp_path)
    environment = {
        **os.environ,
        "PYTHONSAFEPATH": "1",
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    for command, lines in run(ROOT / page):
        refused = any(line.startswith("edgernn: error: ") for line in lines)
        done = subprocess.run(
            _shortened(command),
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == (2 if refused else 0), f"{_shortened(command)}\n{done.stderr}"
