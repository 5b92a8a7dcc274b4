"""One artifact in a process of its own: what loading it and its first call take, and how much
memory the process needs.

``bench`` runs this module as ``python -m edgernn.bench.alone``, with one JSON object as the
argument and one as the answer. In the measuring process itself neither could be told: every file
shares it with those that were opened before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

import edgernn
from edgernn import storage
from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact
from edgernn.contract import Record
from edgernn.errors import UnavailableError
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.opening import open_artifact, session_class

CALLS = 32  # after the first, so that what a runtime allocates little by little is in the peak
_STATUS = Path("/proc/self/status")


class Alone(Record):
    """What the process said: milliseconds, and its peak resident memory, None where the system does
    not tell it.
    """

    load_ms: float = 0.0
    first_ms: float = 0.0
    peak_bytes: int | None = None


def measure_alone(
    bundle: Bundle, artifact: Artifact, feeds: Arrays, *, threads: int | None
) -> Alone:
    """Open ``artifact`` in a process of its own and call it.

    Args:
        bundle: an opened bundle; its digests are not verified again.
        artifact: what to open.
        feeds: the inputs, contexts and states of one call by name.
        threads: of the runtime; None leaves them to it.

    Raises:
        UnavailableError: the process failed; quotes its last line.
    """
    with storage.scratch() as folder:
        file = folder / "feeds.safetensors"
        safetensors.numpy.save_file(
            {name: np.ascontiguousarray(array) for name, array in feeds.items()}, file
        )
        place = str(bundle.folder.resolve())
        return _ask(
            {
                "format": artifact.format,
                "folder": place,
                "path": artifact.path,
                "feeds": str(file),
                "threads": threads,
                "trust": bundle.trusted,
            }
        )


def measure_import(format_name: str) -> int | None:
    """Return the peak resident bytes of a process that only imported what runs the format, None
    where not told.
    """
    return _ask({"format": format_name}).peak_bytes


def _ask(request: dict[str, Any]) -> Alone:
    command = [sys.executable, "-m", "edgernn.bench.alone", json.dumps(request)]
    # The same modules as here, and none of the current folder, which Python would look through
    # first.
    modules = os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
    environment, folder = (
        {**os.environ, "PYTHONPATH": modules},
        Path(edgernn.__file__).parent.parent,
    )
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UnavailableError(
            f"a process of its own failed with {done.returncode}: "
            f"{said[-1] if said else 'it said nothing'}"
        )
    return Alone.model_validate_json(done.stdout.splitlines()[-1])


def _answer(request: dict[str, Any]) -> Alone:
    session_class(request["format"])  # imports the runtime, which is no part of loading a file
    if "path" not in request:
        return Alone(peak_bytes=peak_bytes())
    folder, trust = Path(request["folder"]), request["trust"]
    bundle = Bundle.open(folder, verify_digests=False, trust=trust)
    feeds = safetensors.numpy.load_file(request["feeds"])
    began = time.perf_counter()
    session = open_artifact(bundle, bundle.artifact(request["path"]), threads=request["threads"])
    loaded = time.perf_counter()
    state = _call(session, feeds)
    called = time.perf_counter()
    for _ in range(CALLS):
        state = _call(session, {**feeds, **state})
    return Alone(
        load_ms=(loaded - began) * 1e3, first_ms=(called - loaded) * 1e3, peak_bytes=peak_bytes()
    )


def _call(session: Session, feeds: Arrays) -> Arrays:
    """Call the graph once; return the next state of a step, nothing of an encode."""
    spec = session.spec
    inputs = {tensor.name: feeds[tensor.name] for tensor in spec.caller_inputs}
    if spec.once:
        session.encode(inputs)
        return {}
    return session.step(inputs, {tensor.name: feeds[tensor.name] for tensor in spec.states})[1]


def peak_bytes() -> int | None:
    """Return the peak resident memory of this process in bytes, None where the system does not tell
    it.

    On Linux not from ``getrusage``, whose ``ru_maxrss`` begins at what the process that started
    this one had reached.
    """
    if _STATUS.is_file():
        lines = (line.split() for line in _STATUS.read_text(encoding="utf-8").splitlines())
        return next((int(words[1]) * 1024 for words in lines if words[0] == "VmHWM:"), None)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, others in kibibytes
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    print(_answer(json.loads(sys.argv[1])).model_dump_json())
