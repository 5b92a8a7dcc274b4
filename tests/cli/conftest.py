"""The command line, run in this process, and picture files to give to it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgernn import plots
from edgernn.cli.app import main


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in an empty folder; return exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgernn", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs leave no loss curve: drawing takes longer than a tiny training."""
    monkeypatch.setattr(plots, "loss_curve", lambda metrics, path: None)


@pytest.fixture
def album(tmp_path: Path, pictures: np.ndarray) -> Path:
    """A folder of six pictures, ``0.png`` to ``5.png``, larger than the model takes them and not
    square.
    """
    folder = tmp_path / "album"
    folder.mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).resize((96, 64), Image.Resampling.BICUBIC).save(
            folder / f"{index}.png"
        )
    return folder
