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
from pathlib import Path

import pytest
import site_pages
from commands_of_pages import NOT_RUN, blocks, run

ROOT = site_pages.ROOT
FIRST = [ROOT / "README.md", ROOT / "edgernn/cli/README.md"]
OTHERS = [page for page in site_pages.every_page() if page not in FIRST]
PAGES = [page for page in FIRST + OTHERS if page.relative_to(ROOT).as_posix() not in NOT_RUN]


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
    (place / "bin").mkdir()
    for name, what in (("edgernn", "-m edgernn"), ("python", "")):
        script = place / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {what} "$@"\n')
        script.chmod(0o755)
    for room in ("benchmarks", "runtime_examples"):
        (place / room).symlink_to(ROOT / room)
    for block in (block for page in PAGES for block in blocks(page, "python")):
        if named := re.match(r"# (\w+\.py)\n", block):
            (place / named[1]).write_text(block)
    environment = {**os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    output = {}
    for command, lines in {
        command: lines for page in PAGES for command, lines in run(page)
    }.items():
        refused = any(line.startswith("edgernn: error: ") for line in lines)
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
        assert done.returncode == (2 if refused else 0), f"{command}\n{done.stderr}"
        output[command] = done.stderr if refused else done.stdout
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
    shown = [(command, lines) for page in PAGES for command, lines in run(page) if lines]
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
    [page for page in PAGES if blocks(page, "python")],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_python_runs(printed: tuple[Path, dict[str, str]], page: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=printed[0],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
