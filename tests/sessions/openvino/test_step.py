"""Sessions of OpenVINO: precision, threads, telemetry, and a run of many steps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.errors import UsageError
from edgernn.sessions.opening import open_session

pytest.importorskip("openvino")

from edgernn.sessions.openvino import step
from edgernn.sessions.openvino.runtime import takes_bfloat16

Write = Callable[[str], Path]
QUIET = """
import sys
import edgernn.sessions.openvino.step
import edgernn.export.to_openvino.exporter
assert not [name for name in sys.modules if name.split(".")[0] == "openvino_telemetry"]
"""


def test_no_telemetry_is_imported(written: Write) -> None:
    subprocess.run([sys.executable, "-c", QUIET], check=True)


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_threads_are_taken(written: Write, threads: int | None) -> None:
    session = open_session(written("int8"), threads=threads)
    compiled = session._single.request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == (threads or 1)
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_no_threads_are_refused(written: Write) -> None:
    with pytest.raises(UsageError, match=r"^threads is 0"):
        open_session(written("float32"), threads=0)


def test_what_a_host_that_sets_nothing_computes_is_told_where_it_differs(
    written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(written("float32"))
    monkeypatch.setattr(step, "takes_bfloat16", lambda: False)
    assert session.left_to_itself() is None
    monkeypatch.setattr(step, "takes_bfloat16", lambda: True)
    left = session.left_to_itself()
    assert left is not None
    compiled = left.session._single.request.get_compiled_model()
    asked = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    assert asked == ("bf16" if takes_bfloat16() else "f32")
    assert "INFERENCE_PRECISION_HINT=f32" in left.words
