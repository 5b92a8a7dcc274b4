"""The commands and the Python of the pages in Markdown, run as written, in one empty folder.

The commands of the landing page come first, then those of the other pages; a command that stands on
several is run once. Then the Python of each page is run as one script. Python whose first line is
``# NAME.py`` lies there as that file, too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README, MANUAL = ROOT / "README.md", ROOT / "edgernn/cli/README.md"
OTHERS = {page for room in ("edgernn", "export") for page in (ROOT / room).rglob("README.md")}
HELLO = ROOT / "edgernn/decoding/HELLO.md"
PAGES = [README, MANUAL, *sorted(OTHERS - {MANUAL}), HELLO]


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def _commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a page's console blocks and the lines of output that it shows."""
    for block in _blocks(page, "console"):
        for part in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


def _as_pattern(shown: list[str]) -> str:
    """Turn shown output into a pattern: any number for a number, anything for what is left out."""
    return r"\s+".join(
        r"[\s\S]*?" if line == "…" else r"[^\S\n]+".join(map(_word_as_pattern, line.split()))
        for line in shown
    )


def _word_as_pattern(word: str) -> str:
    start, *left_out = word.split("…")
    pattern = r"\S+" if re.search(r"\d", start) else re.escape(start)
    return pattern + (r"[^\n]*" if left_out else "")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Where the commands were run, and what each printed; each one succeeded."""
    pytest.importorskip("coremltools")  # the landing page installs everything
    place = tmp_path_factory.mktemp("readme")
    script = place / "bin" / "edgernn"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgernn "$@"\n')
    script.chmod(0o755)
    (place / "benchmarks").symlink_to(ROOT / "benchmarks")
    for block in (block for page in PAGES for block in _blocks(page, "python")):
        if named := re.match(r"# (\w+\.py)\n", block):
            (place / named[1]).write_text(block)
    environment = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    output = {}
    for command in dict.fromkeys(command for page in PAGES for command, _ in _commands(page)):
        done = subprocess.run(
            command,
            shell=True,
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        output[command] = done.stdout
    assert len(output) >= 8
    return place, output


def test_the_commands_leave_what_they_promise(printed: tuple[Path, dict[str, str]]) -> None:
    for name in (
        "runs/docs/loss.png",
        "docs.edgernn",
        "report.json",
        "half.state",
        "scenes.edgernn",
        "map.png",
    ):
        assert (printed[0] / name).exists()


def test_the_commands_print_what_is_shown(printed: tuple[Path, dict[str, str]]) -> None:
    shown = [(command, lines) for page in PAGES for command, lines in _commands(page) if lines]
    assert {command.split()[1] for command, _ in shown} >= {"export", "verify"}
    for command, lines in shown:
        assert re.fullmatch(_as_pattern(lines) + r"\s*", printed[1][command]), command


def test_shown_output_matches_but_for_its_numbers() -> None:
    pattern = _as_pattern(["a.onnx  1.2 MB  the re…", "…", "wrote 3 files"])
    assert re.fullmatch(pattern, "a.onnx   3.4 MB the rest of it\nmore\nstill\nwrote 12 files")
    assert not re.fullmatch(pattern, "a.onnx   3.4 GB the rest of it\nmore\nwrote 12 files")
    assert not re.fullmatch(pattern, "a.onnx   3.4 MB the rest of it\nmore\nread 12 files")


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if _blocks(page, "python")],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_python_runs(printed: tuple[Path, dict[str, str]], page: Path) -> None:
    code = "\n".join(_blocks(page, "python"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=printed[0],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
