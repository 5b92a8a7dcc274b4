"""HDF5 files, read in a process of their own: the HDF5 library may loop for ever, or crash, over a
damaged or hostile file.

The process is given the file at its input, has bounded time and memory, and answers with

    8 bytes   the header's length, little-endian
    header    JSON: the groups, of each array its type, shape and place; or why there are none
    data      the arrays
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from typing import Any, BinaryIO, cast

import numpy as np

from edgernn import storage
from edgernn.containers.hdf5 import Group, Refused, read_groups
from edgernn.containers.source import Source
from edgernn.errors import UnavailableError

_LENGTH_BYTES = 8
_SECONDS, _BYTES_A_SECOND = 10, 4 << 20  # of the processor
_WAIT = 6  # times that, on a busy machine
_MEMORY_BYTES, _TIMES = 4 << 30, 30  # of address space: libraries reserve much
# The path of modules is the caller's own: a process begun with -c would look in the working folder.
_CODE = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from edgernn.containers.hdf5_apart import answer; answer(sys.argv[1])"
)


def groups_of(source: Source, raw: memoryview, leave_out: frozenset[str]) -> Group:
    """Return what the HDF5 file ``raw`` holds, but for groups named in ``leave_out``.

    Raises:
        DataError: it is damaged, or leads out of itself.
        UnavailableError: the package h5py is missing, or no process can be started.
    """
    if importlib.util.find_spec("h5py") is None:
        raise _unavailable(source, "is missing")
    with _as_file(source, raw) as given, tempfile.TemporaryFile() as taken:
        problem = _run(given, taken, len(raw), leave_out)
        if problem:
            raise source.damaged(problem)
        taken.seek(0)
        found = taken.read()
    length = int.from_bytes(found[:_LENGTH_BYTES], "little")
    header = json.loads(found[_LENGTH_BYTES : _LENGTH_BYTES + length])
    if "refused" in header:
        raise source.refused(header["refused"])
    if "unavailable" in header:
        raise _unavailable(source, f"cannot be loaded ({header['unavailable']})")
    if "damaged" in header:
        raise source.damaged(header["damaged"])
    return _group(header["root"], memoryview(found)[_LENGTH_BYTES + length :])


def _unavailable(source: Source, why: str) -> UnavailableError:
    return UnavailableError(
        f"{source.path} holds HDF5, read by the package h5py, which {why}; install edgernn[import]"
    )


def _as_file(source: Source, raw: memoryview) -> BinaryIO:
    """Return ``raw`` as an open file: the source's own where it is the whole of it."""
    if raw is source.raw:
        return storage.open_to_read(source.path)
    given = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
    given.write(raw)
    given.seek(0)
    return given


def _run(given: BinaryIO, taken: BinaryIO, size: int, leave_out: frozenset[str]) -> str:
    """Run the process; return why it did not answer, empty where it did."""
    limit = json.dumps([_SECONDS + size // _BYTES_A_SECOND, size, sorted(leave_out)])
    command = [sys.executable, "-c", _CODE, limit, *sys.path]
    wait = _WAIT * (_SECONDS + size // _BYTES_A_SECOND)
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command,
            stdin=given,
            stdout=taken,
            stderr=subprocess.DEVNULL,
            timeout=wait,
            check=False,
            env={**os.environ, **threads},
        )
    except subprocess.TimeoutExpired:
        return "the HDF5 library finds no end in it"
    except OSError as error:  # this Python cannot start another one
        raise UnavailableError(
            f"HDF5 is read in a process of its own, which cannot be started ({error}); import the "
            "file where Python runs as a program"
        ) from error
    return "the HDF5 library finds no end in it, or fails" if done.returncode else ""


def answer(limits: str) -> None:
    """Read the file at standard input, and write its groups to standard output: the process."""
    seconds, size, leave_out = json.loads(limits)
    _bound(seconds, _MEMORY_BYTES + _TIMES * size)
    parts: list[np.ndarray] = []
    try:
        root = read_groups(sys.stdin.buffer.read(), frozenset(leave_out))
        said: dict[str, Any] = {"root": _listed(root, parts)}
    except Refused as error:
        said = {"refused": str(error)}
    except ValueError as error:
        said = {"damaged": str(error)}
    except ImportError as error:
        said = {"unavailable": str(error)}
    header = json.dumps(said).encode()
    header += b" " * (-len(header) % _LENGTH_BYTES)
    sys.stdout.buffer.write(len(header).to_bytes(_LENGTH_BYTES, "little") + header)
    for part in parts:
        sys.stdout.buffer.write(np.ascontiguousarray(part).data)
        sys.stdout.buffer.write(bytes(-part.nbytes % _LENGTH_BYTES))
    sys.stdout.buffer.flush()


def _bound(seconds: int, memory_bytes: int) -> None:
    """Bound what this process may take, where the system can; the caller waits no longer anyhow."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _listed(group: Group, parts: list[np.ndarray]) -> dict[str, Any]:
    """Return a group as JSON; its arrays are put at the end of ``parts``."""
    arrays = {}
    for name, array in group.arrays.items():
        arrays[name] = (array.dtype.str, array.shape)
        parts.append(array)
    return {
        "attributes": group.attributes,
        "arrays": arrays,
        "groups": {name: _listed(child, parts) for name, child in group.groups.items()},
    }


def _group(listed: dict[str, Any], data: memoryview) -> Group:
    """Return the group that ``_listed`` wrote, its arrays as views of ``data``."""
    return _filled(listed, data, [0])


def _filled(listed: dict[str, Any], data: memoryview, place: list[int]) -> Group:
    made = Group(attributes=listed["attributes"])
    for name, (dtype, shape) in listed["arrays"].items():
        kind, count = np.dtype(dtype), int(np.prod(shape, dtype=np.int64))
        flat = np.frombuffer(data, kind, count, place[0]) if count else np.zeros(0, kind)
        made.arrays[name] = flat.reshape(shape)
        place[0] += -(-count * kind.itemsize // _LENGTH_BYTES) * _LENGTH_BYTES
    for name, child in listed["groups"].items():
        made.groups[name] = _filled(child, data, place)
    return made
