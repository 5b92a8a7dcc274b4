"""Environments of converters: made whole or not at all, and called apart from this one. A tiny
wheel stands for the packages.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.errors import StorageError, UnavailableError, UsageError
from edgernn.export import environments
from edgernn.export.environments import ENVIRONMENTS, Environment


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Environment]:
    """Return a function that puts the environment ``toy`` in the table, with a cache of its own."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    about = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheels / "toyconverter-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toyconverter.py", "import os\nprint('TOY', sorted(os.environ))\n")
        wheel.writestr("toyconverter-1.0.dist-info/METADATA", about.format("toyconverter"))
        wheel.writestr("toyconverter-1.0.dist-info/WHEEL", tags)
        wheel.writestr("toyconverter-1.0.dist-info/RECORD", "toyconverter.py,,\n")
    for name, value in {
        "XDG_CACHE_HOME": tmp_path / "cache",
        "PIP_NO_INDEX": 1,
        "PIP_FIND_LINKS": wheels,
        "PIP_CONFIG_FILE": os.devnull,
        "TOY_SECRET": "yes",
    }.items():
        monkeypatch.setenv(name, str(value))

    def make(lock: str = "toyconverter==1.0\n", disk_bytes: int = 1000) -> Environment:
        file = tmp_path / "toy.lock"
        file.write_text(lock)
        row = Environment("toy", "converting toys", str(file), ("toyconverter",), disk_bytes)
        monkeypatch.setitem(ENVIRONMENTS, "toy", row)
        return row

    return make


def left() -> list[str]:
    folder = environments.folder_of("toy").parent
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_it_is_made_once_and_called_apart(
    toy: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy()
    assert environments.find("toy") is None
    with pytest.raises(
        UnavailableError,
        match=r"^converting toys needs an environment of its own, which is not made yet; run: "
        r"edgernn doctor --make toy$",
    ):
        environments.run("toy", ["-c", "pass"], seconds=9)
    told: list[str] = []
    python = environments.make("toy", told.append)
    assert python.is_relative_to(environments.folder_of("toy"))
    assert told[0].startswith("making the environment toy in ")
    assert told[-1] == "the environment toy is made"
    assert left() == [environments.folder_of("toy").name]
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    done = environments.run("toy", ["-c", "import toyconverter"], seconds=60)
    assert "TOY" in done.stdout
    assert not {"PYTHONPATH", "TOY_SECRET", "PIP_NO_INDEX"} & set(done.stdout.split("'"))
    assert environments.make("toy", told.append) == python
    assert told[-1].startswith("the environment toy is made already")
    toy("toyconverter==1.0\nother==2\n")  # another lock is another environment
    assert environments.find("toy") is None


def test_what_cannot_be_had_leaves_nothing(
    toy: Callable[..., Environment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a Python whose environments have this one's pip, which has no other version."""
    toy("toyconverter==2.0\n")
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nmkdir -p "$3/bin"\nln -s ' + sys.executable + ' "$3/bin/python"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(
        UnavailableError,
        match=r"^the environment toy cannot be made: Python could not fill it: ERROR: .*"
        r"toyconverter==2.0.*; nothing was left behind; .*doctor --make toy$",
    ):
        environments.make("toy", lambda line: None)
    assert left() == []


def test_a_python_without_venv_is_named(
    toy: Callable[..., Environment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy()
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Error: No module named venv' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(UnavailableError, match="could not make it: Error: No module named venv"):
        environments.make("toy", lambda line: None)
    python.write_text("#!/bin/sh\necho 'OSError: [Errno 28] No space left on device'\nexit 1\n")
    with pytest.raises(StorageError, match=r"No space left on device; free some space$"):
        environments.make("toy", lambda line: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with pytest.raises(UnavailableError, match="No such file or directory"):
        environments.make("toy", lambda line: None)
    assert left() == []


def test_it_is_not_begun_where_it_cannot_lie(
    toy: Callable[..., Environment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(disk_bytes=10**18)
    with pytest.raises(StorageError, match=r"^the environment toy takes 1000000000.0 GB, and the"):
        environments.make("toy", lambda line: None)
    toy()
    environments.folder_of("toy").parent.chmod(0o777)
    with pytest.raises(StorageError, match="may be written by others"):
        environments.make("toy", lambda line: None)
    place = tmp_path / "file"
    place.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    with pytest.raises(StorageError, match="the environment toy cannot be made: "):
        environments.make("toy", lambda line: None)


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown environment 'litter'; expected one of litert"):
        environments.make("litter", lambda line: None)


@pytest.mark.parametrize("row", ENVIRONMENTS.values(), ids=lambda row: row.name)
def test_a_lock_pins_every_package_and_names_no_host(row: Environment) -> None:
    lines = row.lock_file.read_text(encoding="utf-8").splitlines()
    assert all(line.count("==") == 1 and "/" not in line and "+" not in line for line in lines)
    assert len(environments._pinned(row)) == len(row.packages)
