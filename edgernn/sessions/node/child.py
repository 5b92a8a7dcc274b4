"""A node process that has one model file open, and what is said to it; see ``worker.mjs``.

It is given the bytes of the file and of tensors, and nothing else: a bare environment, and with a
node that can be told so no file but the package's. It ends with its input, so also when this
process does.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgernn.errors import ContractError
from edgernn.sessions.node.packages import Package, find_node

_WORKER = Path(__file__).with_name("worker.mjs")
_OPENING, _STEPPING = 120, 120  # seconds
_FENCED, _FENCE_IS_STABLE = (20, 12), (24, 0)  # versions of node
_KEPT = ("SystemRoot",)  # of the environment: Windows starts no program without
_MOST_HEAD = 1 << 24  # bytes
_DTYPES = frozenset(
    [
        "bool",
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
    ]
)


class Child:
    """The process, with a file open.

    Args:
        package: what runs the file.
        content: the file.

    Raises:
        ContractError: the package cannot open the file; with what it says.
        UnavailableError: there is no node.
    """

    def __init__(self, package: Package, content: bytes) -> None:
        node, version = find_node()
        self._package = package
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [node, *_permissions(version, package), str(_WORKER), str(package.place), package.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
            cwd=package.place,
        )
        self._close = weakref.finalize(self, _end, self._process, self._errors)
        head, _ = self._ask({}, [content], seconds=_OPENING)
        self.node, self.inputs, self.outputs = head["node"], head["inputs"], head["outputs"]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once: inputs by name to outputs by name."""
        arrays = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        told = [
            {"name": name, "dtype": a.dtype.name, "dims": list(a.shape), "bytes": a.nbytes}
            for name, a in arrays.items()
        ]
        parts = [array.tobytes() for array in arrays.values()]
        head, body = self._ask({"tensors": told}, parts, seconds=_STEPPING)
        made, start = {}, 0
        for tensor in head["tensors"]:
            if tensor["dtype"] not in _DTYPES:
                raise ContractError(f"{self._package.name} gives {tensor['name']} as no numbers")
            part = body[start : start + tensor["bytes"]]
            values = np.frombuffer(part, tensor["dtype"]).reshape(tensor["dims"])
            made[tensor["name"]], start = values.copy(), start + tensor["bytes"]
        return made

    def close(self) -> None:
        """End the process."""
        self._close()

    def _ask(
        self, head: dict[str, Any], parts: list[bytes], *, seconds: int
    ) -> tuple[dict[str, Any], bytes]:
        """Send a message and return the answer; past ``seconds`` the process is ended."""
        text = json.dumps({**head, "bytes": sum(map(len, parts))}).encode()
        watch = threading.Timer(seconds, self._process.kill)
        watch.start()
        try:
            assert self._process.stdin is not None
            for part in (len(text).to_bytes(4, "little"), text, *parts):
                self._process.stdin.write(part)
            self._process.stdin.flush()
            size = int.from_bytes(self._read(4), "little")
            if size > _MOST_HEAD:
                raise ContractError(f"{self._package.name} answers with {size} bytes of text")
            answer = json.loads(self._read(size))
            body = self._read(sum(tensor["bytes"] for tensor in answer.get("tensors", ())))
        except (OSError, EOFError) as error:
            raise ContractError(self._last_words(seconds)) from error
        finally:
            watch.cancel()
        if "error" in answer:
            raise ContractError(f"{self._package.name} failed: {_line(answer['error'])}")
        return answer, body

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        found = self._process.stdout.read(count)
        if len(found) < count:
            raise EOFError
        return found

    def _last_words(self, seconds: int) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        said = [line for line in self._errors.read().decode(errors="replace").splitlines() if line]
        words = next((line for line in said if "Error" in line), said[-1] if said else "nothing")
        return (
            f"node ended while {self._package.name} was asked (code {code}, after at most "
            f"{seconds} s), and said: {_line(words)}"
        )


def _permissions(version: tuple[int, int], package: Package) -> list[str]:
    """Return what lets node read the package and the worker alone, where node has that."""
    if version < _FENCED:
        return []
    flag = "--permission" if version >= _FENCE_IS_STABLE else "--experimental-permission"
    allowed = [f"--allow-fs-read={place}" for place in (f"{package.place}/*", str(_WORKER))]
    addons = ["--allow-addons"] if package.name == "onnxruntime-node" else []
    return [flag, *allowed, *addons, "--no-warnings"]


def _line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "nothing")[:300]


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout, errors):
        if stream is not None:
            with suppress(OSError):  # of what was still to be said to it
                stream.close()
    process.wait()
