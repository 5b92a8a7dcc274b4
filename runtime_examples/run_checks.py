"""Run every example that this machine can, and print the table: python runtime_examples/run_checks.py FOLDER [--require]

FOLDER is what ``make_bundles.py`` made. Each command-line example replays the golden runs of the float32 and the int8 file,
writes 500 greedy characters, which must be those of the Python session, and times its steps. With ``--require`` an example
that cannot be run here is a failure. Ends with 1 if one fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

HERE = Path(__file__).resolve().parent
FLOAT32, INT8 = "onnx/step.onnx", "onnx/step-int8.onnx"
GREEDY = ["--prompt", "The function ", "--length", "500", "--temperature", "0", "--json"]
STEPS = "2000"
TESTED = {  # what is no command line, or needs tools that a machine may lack: judged by its own tests
    "browser, in headless Chromium": "test_web.py",
    "C++, over a stand-in for the header": "test_cpp.py",
    "Kotlin core, on the JVM": "test_android.py",
}


@dataclass(frozen=True)
class Example:
    """One command-line example: what it needs, how it is built into a command (None: it lacks packages), what it can read."""

    name: str
    runtime: str
    needs: tuple[str, ...]
    command: Callable[[Path], list[str] | None]
    captions: bool = True


def python(build: Path) -> list[str]:
    """Return the command of the Python example."""
    return [sys.executable, str(HERE / "python" / "main.py")]


def node(build: Path) -> list[str] | None:
    """Return the command of the Node.js example, or None where its packages are not installed."""
    if not (HERE / "node" / "node_modules" / "onnxruntime-node").is_dir():
        return None
    return ["node", str(HERE / "node" / "main.mjs")]


def c(build: Path) -> list[str] | None:
    """Build the C example and return its command, with the library of the Python package."""
    build.mkdir(parents=True, exist_ok=True)
    subprocess.run(["make", "-s", "-C", str(HERE / "c"), f"OUT={build}"], check=True)
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*"))
    return [str(build / "edgernn"), *(["--library", str(libraries[0])] if libraries else [])]


EXAMPLES = (
    Example("Python", "onnxruntime from pip", (), python),
    Example("Node.js", "onnxruntime-node", ("node",), node),
    Example("C", "onnxruntime's shared library", ("make", "cc"), c, captions=False),
)


def main() -> None:
    """Judge every example and print the table."""
    options = _options()
    text = options.folder.resolve() / "text"
    expected = json.loads(run([sys.executable, "-m", "edgernn", "generate", str(text), "--artifact", FLOAT32, *GREEDY]).stdout)
    rows, failed, absent = [], [], []
    for example in EXAMPLES:
        lacking = [tool for tool in example.needs if shutil.which(tool) is None]
        command = None if lacking else example.command(text.parent / "build")
        if command is None:
            absent.append(f"{example.name}: {', '.join(lacking) or 'its packages'} missing; see runtime_examples/README.md")
            continue
        row = judge(command, text, expected["text"], captions=text.parent / "captions" if example.captions else None)
        failed += [example.name] if "FAILED" in row else []
        rows.append((example.name, example.runtime, *row))
    golden = ("golden float32", "golden int8", "golden captions")
    show(("example", "runtime", *golden, "500 characters", "float32 step", "int8 step"), rows)
    print(f"int8: the most probable token is that of float32 at {_agreed(text):.1%} of held-out text, measured when packed")
    for name, file in TESTED.items():
        done = run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/runtime_examples/{file}"], cwd=HERE.parent
        )
        print(f"{name}: {done.stdout.strip().splitlines()[-1].strip('= ')}")
        failed += [name] if done.returncode else []
    print("iOS and Android apps: not built here")
    for line in absent:
        print(f"not run: {line}")
    if failed or (absent and options.require):
        raise SystemExit(1)


def judge(command: Sequence[str], bundle: Path, expected: str, *, captions: Path | None) -> tuple[str, ...]:
    """Return the cells of one example."""
    golden = [run([*command, str(bundle), "--check", "--artifact", name]).returncode == 0 for name in (FLOAT32, INT8)]
    written = run([*command, str(bundle), "--artifact", FLOAT32, *GREEDY]).stdout
    same = bool(written) and json.loads(written.splitlines()[-1])["text"] == expected
    times = [json.loads(run([*command, str(bundle), "--time", STEPS, "--artifact", name]).stdout) for name in (FLOAT32, INT8)]
    verdicts = ["ok" if good else "FAILED" for good in golden]
    seen = None if captions is None else run([*command, str(captions), "--check"]).returncode == 0
    verdicts.append("no captions" if seen is None else "ok" if seen else "FAILED")
    return (*verdicts, "identical" if same else "FAILED", *(f"{each['median_us']:.0f} µs" for each in times))


def run(command: Sequence[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command; what it says of an error goes to stderr."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    sys.stderr.write(done.stderr if done.returncode else "")
    return done


def show(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def _agreed(bundle: Path) -> float:
    artifacts = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    return float(next(artifact["loss"]["top1"] for artifact in artifacts if artifact["path"] == INT8))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="what make_bundles.py made")
    parser.add_argument("--require", action="store_true", help="fail where an example cannot be run here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
