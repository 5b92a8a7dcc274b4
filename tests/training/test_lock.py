"""One run, one folder: who comes second is refused by name, and the dead block nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgernn.errors import StorageError, UsageError
from edgernn.training import lock
from edgernn.training.lock import LOCK, locked

HOLDING = """
import sys
from pathlib import Path
from edgernn.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_is_made_held_and_given_back_without_a_trace(tmp_path: Path) -> None:
    with locked(tmp_path / "deep" / "run"):
        assert [path.name for path in (tmp_path / "deep" / "run").iterdir()] == [LOCK]
    assert not (tmp_path / "deep" / "run").exists()
    with locked(tmp_path / "deep" / "run"):
        (tmp_path / "deep" / "run" / "file").write_text("kept")
    assert [path.name for path in (tmp_path / "deep" / "run").iterdir()] == ["file"]


def test_the_second_is_refused_and_told_who_holds_it_where_and_since_when(tmp_path: Path) -> None:
    first = holder(tmp_path)
    try:
        says = (
            rf"trained into already, by process {first.pid} on \S+ since 20\d\d-.*; wait for its "
            r"end"
        )
        with pytest.raises(UsageError, match=says), locked(tmp_path):
            pass
    finally:
        first.communicate("\n")
    with locked(tmp_path):
        pass


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    first = holder(tmp_path)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", b'{"process": 1}'])
def test_a_lock_file_of_any_content_that_nobody_holds_is_taken(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / LOCK).write_bytes(content)
    with locked(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="flock is of POSIX")
def test_where_a_disk_has_no_locks_the_content_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    first = holder(tmp_path)
    monkeypatch.setattr(fcntl, "flock", no_locks)
    try:
        with pytest.raises(UsageError, match=f"process {first.pid} "), locked(tmp_path):
            pass
    finally:
        first.kill()
        first.communicate()
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(StorageError, match="cannot write to the folder"),
        locked(tmp_path / "file" / "run"),
    ):
        pass


def test_a_lock_that_its_holder_has_just_removed_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = lock._lock
    removed: list[Path] = []

    def remove_once(descriptor: int, path: Path) -> None:
        taken(descriptor, path)
        if not removed:
            removed.append(path)
            path.unlink()

    monkeypatch.setattr(lock, "_lock", remove_once)
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()
