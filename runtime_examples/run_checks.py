"""Run every example that this machine can, and print the table: python
runtime_examples/run_checks.py FOLDER [--require]

FOLDER is what ``make_bundles.py`` made. Each example checks this device with the float32 and the
int8 file, and writes 500 tokens, greedy and with the seed 7, and texts of bytes, words and byte
pairs: token for token what edgernn itself writes, and what its file that decodes in the graph
writes. With ``--require`` an example that cannot be run here is a failure. Ends with 1 if one
fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from example_commands import EXAMPLES, HERE, Example

FLOAT32, INT8, GRAPH = "onnx/step.onnx", "onnx/step-int8.onnx", "onnx/generate.onnx"
PROMPT = ["--prompt", "The function ", "--json"]
GREEDY = [*PROMPT, "--length", "500", "--temperature", "0"]
SEEDED = [*PROMPT, "--length", "500", "--temperature", "0.8", "--seed", "7"]
KINDS = ("byte", "word", "bpe")  # of tokens, beside characters
STEPS = "2000"
HEADINGS = (
    "golden float32",
    "golden int8",
    "captions",
    "greedy",
    "seed 7",
    "bytes, words, pairs",
    ".edgernn",
    "float32 step",
    "int8 step",
)
# what is no command line, or needs tools that a machine may lack: judged by its own tests
TESTED = {
    "browser, in headless Chromium": ["test_web.py"],
    "C++, over a stand-in for the header": ["test_cpp.py"],
    "Android's runtime on the JVM, and a bundle's C under it": [
        "test_android.py",
        "test_android_compiled.py",
    ],
    "a bundle's C in a program": ["test_compiled.py"],
    "a bundle's C in Rust": ["test_rust.py"],
    "the host in Rust beyond this table": ["test_rust_host.py"],
    "the host in Go, over a bundle's C": ["test_go.py", "test_go_damage.py", "test_go_sources.py"],
}
NOTHING_RAN = 5  # of pytest: a tool that every test of a file needs is missing, which it says
Text = dict[str, Any]  # what generate prints as JSON


def main() -> None:
    """Judge every example and print the table."""
    options = _options()
    folder = options.folder.resolve()
    expected, rows = edgernn_texts(folder)
    absent = []
    for example in EXAMPLES:
        lacking = [tool for tool in example.needs if shutil.which(tool) is None]
        command = None if lacking else example.command(folder / "build")
        if command is None:
            absent.append(
                f"{example.name}: {', '.join(lacking) or 'its packages'} missing; see "
                "runtime_examples/README.md"
            )
            continue
        rows.append((example.name, example.runtime, *judge(example, command, folder, expected)))
    show(("example", "runtime", *HEADINGS), rows)
    failed = [row[0] for row in rows if "FAILED" in row]
    print(
        f"int8: the most probable token is that of float32 at {_agreed(folder):.1%} of "
        "held-out text, measured when packed"
    )
    failed += [] if options.tested else run_tests()
    print("iOS and Android apps: not built here")
    for line in absent:
        print(f"not run: {line}")
    if failed or (absent and options.require):
        raise SystemExit(1)


def edgernn_texts(folder: Path) -> tuple[dict[str, Text], list[tuple[str, ...]]]:
    """Return what edgernn writes, by what it is asked, and the row of its file that decodes in
    the graph.
    """
    expected = {
        name: _written(folder / "text", FLOAT32, flags)
        for name, flags in (("greedy", GREEDY), ("seed 7", SEEDED))
    }
    expected |= {kind: _written(folder / kind, FLOAT32, SEEDED) for kind in KINDS}
    cells = dict.fromkeys(HEADINGS, "–")
    for name, flags in (("greedy", GREEDY), ("seed 7", SEEDED)):
        cells[name] = _verdict(_written(folder / "text", GRAPH, flags), expected[name])
    return expected, [("edgernn, in the graph", "onnxruntime from pip", *cells.values())]


def judge(
    example: Example, command: Sequence[str], folder: Path, expected: dict[str, Text]
) -> tuple[str, ...]:
    """Return the cells of one example."""
    text = folder / "text"

    def checked(bundle: Path, *flags: str) -> str:
        return "ok" if run([*command, str(bundle), "--check", *flags]).returncode == 0 else "FAILED"

    def written(bundle: Path, flags: Sequence[str]) -> Text | None:
        lines = run([*command, str(bundle), "--artifact", FLOAT32, *flags]).stdout.splitlines()
        return json.loads(lines[-1]) if lines else None

    def median(artifact: str) -> str:
        done = run([*command, str(text), "--time", STEPS, "--artifact", artifact])
        return f"{json.loads(done.stdout)['median_us']:.0f} µs"

    kinds = [_verdict(written(folder / kind, SEEDED), expected[kind]) for kind in KINDS]
    return (
        checked(text, "--artifact", FLOAT32),
        checked(text, "--artifact", INT8),
        checked(folder / "captions") if example.captions else "no captions",
        _verdict(written(text, GREEDY), expected["greedy"]),
        _verdict(written(text, SEEDED), expected["seed 7"]),
        "FAILED" if "FAILED" in kinds else "identical",
        _verdict(written(folder / "text.edgernn", SEEDED), expected["seed 7"])
        if example.one_file
        else "unzip first",
        *((median(artifact) for artifact in (FLOAT32, INT8)) if example.timed else ("–", "–")),
    )


def run_tests() -> list[str]:
    """Run the tests of what is no command line, say how they went, and return the names of
    those that failed.
    """
    failed = []
    for name, files in TESTED.items():
        done = run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                *(f"tests/runtime_examples/{file}" for file in files),
            ],
            cwd=HERE.parent,
        )
        print(f"{name}: {done.stdout.strip().splitlines()[-1].strip('= ')}")
        failed += [name] if done.returncode not in (0, NOTHING_RAN) else []
    return failed


def run(command: Sequence[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command; what it says of an error goes to stderr."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, cwd=cwd)
    sys.stderr.write(done.stderr if done.returncode else "")
    return done


def show(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def _written(bundle: Path, artifact: str, flags: Sequence[str]) -> Text:
    command = [
        sys.executable,
        "-m",
        "edgernn",
        "generate",
        str(bundle),
        "--artifact",
        artifact,
        *flags,
    ]
    made: Text = json.loads(run(command).stdout)
    return made


def _verdict(found: Text | None, expected: Text) -> str:
    """Compare the text, and the tokens where an example tells them."""
    same = (
        found is not None
        and found["text"] == expected["text"]
        and found.get("tokens", expected["tokens"]) == expected["tokens"]
    )
    return "identical" if same else "FAILED"


def _agreed(folder: Path) -> float:
    artifacts = json.loads((folder / "text" / "manifest.json").read_text(encoding="utf-8"))[
        "artifacts"
    ]
    return float(
        next(artifact["loss"]["top1"] for artifact in artifacts if artifact["path"] == INT8)
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="what make_bundles.py made")
    parser.add_argument(
        "--require", action="store_true", help="fail where an example cannot be run here"
    )
    parser.add_argument(
        "--tested", action="store_true", help="leave out what `make test` has just judged"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
