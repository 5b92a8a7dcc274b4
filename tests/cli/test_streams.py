"""Stdout and stderr that are closed, full, left by their reader, or of an encoding that lacks
characters.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.language import LanguageModel

Shell = Callable[..., subprocess.CompletedProcess[bytes]]
EDGERNN = f"{sys.executable} -m edgernn"
FRENCH = "naïve café 😀\n"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run a line of bash in an empty folder, ``edgernn`` being this one."""

    def call(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        begin = f'set -o pipefail; edgernn() {{ {EDGERNN} "$@"; }}; {line}'
        return subprocess.run(
            ["bash", "-c", begin],
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=120,
            env={**os.environ, **environment},
        )

    return call


@pytest.fixture(scope="module")
def french(
    make_model: Callable[..., LanguageModel], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle that writes characters which ASCII and cp1252 lack. Read only."""
    folder = tmp_path_factory.mktemp("french")
    tokenizer = Tokenizer.build([FRENCH * 3], "char")
    model = make_model(vocabulary=tokenizer.vocabulary_size)
    save(
        Checkpoint(model, tokenizer, {"corpus": "café"}, {"tokens": tokenizer.encode(FRENCH * 3)}),
        folder / "run",
    )
    export_bundle(folder / "run", folder / "b", to=["onnx"], steps=4, release=True)
    return folder / "b"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_generate_writes_what_the_encoding_lacks_as_escapes_and_saves_its_state(
    encoding: str, french: Path, shell: Shell, tmp_path: Path
) -> None:
    line = f"edgernn generate {french} --prompt 'é😀' --length 40 --save-state s.state"
    done = shell(line, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding)
    expected = {"ascii": "\\xe9\\U0001f600", "cp1252": "é\\U0001f600", "utf-8": "é😀"}
    assert shown.startswith(expected[encoding])
    assert (tmp_path / "s.state").is_file()


def test_json_is_the_same_ascii_in_every_encoding(french: Path, shell: Shell) -> None:
    for command in (f"generate {french} --prompt é --length 9 --json", f"inspect {french} --json"):
        found = {
            shell(f"edgernn {command}", PYTHONIOENCODING=encoding).stdout
            for encoding in ("ascii", "utf-8")
        }
        assert len(found) == 1
        assert found.pop().isascii()


def test_xml_and_html_are_the_same_in_every_encoding(
    french: Path, shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "café 😀").symlink_to(french)
    for kind in ("junit", "html"):
        done = shell(f"edgernn verify 'café 😀' --steps 4 --{kind} -", PYTHONIOENCODING="cp1252")
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii()
        assert "caf&#233; &#128512;" in done.stdout.decode()


def test_a_name_that_is_no_unicode_is_printed_and_stands_in_json(
    french: Path, shell: Shell
) -> None:
    for encoding in ("ascii", "utf-8"):
        shell(f"rm -rf $'b\\xff'; cp -r {french} $'b\\xff'")
        done = shell("edgernn generate $'b\\xff' --length 3", PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b"")
        told = shell("edgernn inspect $'b\\xff'", PYTHONIOENCODING=encoding)
        assert told.stdout.startswith(b"bundle b\\udcff: ")
    missing = shell("edgernn inspect $'no\\xff\\e[31m'", PYTHONIOENCODING="ascii")
    assert missing.returncode == 2
    assert b"no file or folder at no\\udcff\\x1b[31m" in missing.stderr


def test_errors_and_progress_are_printed_in_every_encoding(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "été.txt").write_text("ab" * 300, encoding="utf-8")
    small = "--steps 1 --evaluations 1 --hidden 4 --layers 1 --batch 2 --chunk 4"
    done = shell(f"edgernn train text --data été.txt --out run {small}", LC_ALL="C", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "été.txt" in (tmp_path / "run" / "config.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command", ["inspect B", "inspect B --json", "verify B --steps 4", "generate B --length 2000"]
)
def test_a_reader_that_leaves_early_is_no_error(command: str, french: Path, shell: Shell) -> None:
    done = shell(f"edgernn {command.replace('B', str(french))} | head -c 1")
    assert (done.returncode, len(done.stdout)) == (0, 1)
    assert b"Error" not in done.stderr


def test_what_a_check_found_is_told_by_the_exit_code_though_nobody_reads_on(
    bundle_folder: Path, shell: Shell, tmp_path: Path
) -> None:
    shutil.copytree(bundle_folder, tmp_path / "b")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    manifest["decoding"]["temperature"] = 0.123
    (tmp_path / "b" / "manifest.json").write_text(json.dumps(manifest))
    assert shell("edgernn verify b --to onnx --steps 4 | true").returncode == 1


@pytest.mark.parametrize("lost", ["| head -c 1", "> /dev/full", ">&-"])
def test_the_state_is_saved_though_the_text_is_lost(
    lost: str, french: Path, shell: Shell, tmp_path: Path
) -> None:
    done = shell(f"edgernn generate {french} --length 900 --save-state s.state {lost}")
    assert done.returncode == (0 if "head" in lost else 2)
    assert (tmp_path / "s.state").is_file()
    whole = shell(f"edgernn generate {french} --length 900 --save-state whole.state")
    assert whole.returncode == 0
    saved, expected = (load_file(tmp_path / name) for name in ("s.state", "whole.state"))
    for name, values in expected.items():
        assert (saved[name] == values).all()


@pytest.mark.parametrize("output", ["> /dev/full", ">&-"])
@pytest.mark.parametrize(
    "command",
    ["--version", "inspect B", "inspect B --json", "verify B --steps 4", "generate B --length 5"],
)
def test_a_closed_or_full_stdout_is_one_line_and_exit_code_2(
    command: str, output: str, french: Path, shell: Shell
) -> None:
    done = shell(f"edgernn {command.replace('B', str(french))} {output}")
    assert done.returncode == 2
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("edgernn: error: could not write to standard output: ")
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("progress", ["2>&-", "2>/dev/full"])
def test_progress_that_cannot_be_written_is_no_error(
    progress: str, french: Path, shell: Shell
) -> None:
    done = shell(f"edgernn verify {french} --steps 4 --json - {progress}")
    assert done.returncode == 0
    assert json.loads(done.stdout)["passed"] is True
    assert shell(f"edgernn inspect absent {progress}").returncode == 2


def test_a_closed_stdin_is_one_line(shell: Shell) -> None:
    done = shell("edgernn train text --data - --out run <&-")
    assert done.returncode == 2
    assert done.stderr.startswith(b"edgernn: error: standard input is closed")
    assert done.stderr.count(b"\n") == 1
