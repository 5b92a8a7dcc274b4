"""A command that is ended by a scheduler or a closing terminal leaves nothing in the temporary
folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgernn.bundle import pack
from edgernn.cli.signals import unwinding

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_ended_command_removes_what_it_unpacked(
    bundle_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    pack(bundle_folder, tmp_path / "tiny.edgernn")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [
        sys.executable,
        "-m",
        "edgernn",
        "generate",
        str(tmp_path / "tiny.edgernn"),
        "--length",
        "100000000",
    ]
    before = signal.signal(number, signal.SIG_DFL)  # where nohup runs this, a hang-up is ignored
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(scratch)},
    ) as running:
        signal.signal(number, before)
        deadline = time.monotonic() + 60
        while not any(scratch.rglob("step.onnx")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        running.send_signal(number)
        try:
            assert running.wait(60) == 128 + number
        finally:
            running.kill()
    assert [path for path in scratch.iterdir() if path.name.startswith("edgernn")] == []


def test_handlers_are_put_back_and_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with unwinding():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            with pytest.raises(SystemExit) as ended:
                os.kill(os.getpid(), signal.SIGTERM)
            assert ended.value.code == 143
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
