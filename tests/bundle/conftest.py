"""A bundle to damage, the same as one file, and a folder of its own in which files are unpacked."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from edgernn.bundle import pack


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def packed(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as one file. Read only."""
    target = tmp_path_factory.mktemp("packed") / "tiny.edgernn"
    pack(bundle_folder, target)
    return target


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where single-file bundles are unpacked."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
