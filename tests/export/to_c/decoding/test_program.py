"""The program in the bundle, compiled from nothing but the bundle: the text of ``edgernn
generate``.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgernn.bundle import Bundle, digest
from edgernn.bundle.packed import pack
from edgernn.cli.app import app
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.compiler import find_compiler

FLAGS = ["-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic"]
FILES = ["c/step/step.c", "c/step/step.weights.S", "c/text/text.c", "c/text/tokens.c"]


@pytest.fixture(scope="module")
def programs(
    text_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The program of each bundle."""
    made = {}
    for kind, folder in text_bundles.items():
        made[kind] = tmp_path_factory.mktemp("program") / kind
        command = [*find_compiler().command, *FLAGS, "-Ic/step", "-Ic/text", *FILES]
        subprocess.run([*command, "c/text/main.c", "-o", made[kind]], cwd=folder, check=True)
    return made


def run(program: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([program, *words], capture_output=True, check=False, timeout=60)


def generated(bundle: Path, prompt: str, *words: str) -> bytes:
    names = ("--length", "--temperature", "--seed", "--top-k", "--top-p")
    options = [part for pair in zip(names, words, strict=False) for part in pair]
    command = ["generate", str(bundle), "--prompt", prompt, "--artifact", "c", *options]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return done.stdout_bytes


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("the ", ("200", "0.8", "7")),
        ("fox", ("60", "0", "1")),
        ("", ("80", "1.2", "18446744073709551615", "9", "0.9")),
        ("the quick", ()),
    ],
)
def test_it_writes_what_generate_writes(
    text_bundles: dict[str, Path], programs: dict[str, Path], prompt: str, words: tuple[str, ...]
) -> None:
    for kind, bundle in text_bundles.items():
        done = run(programs[kind], prompt, *words)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == generated(bundle, prompt, *words)


def test_a_prompt_of_bytes(text_bundles: dict[str, Path], programs: dict[str, Path]) -> None:
    done = run(programs["byte"], "né 😀", "90", "0.9", "4")
    assert done.stdout == generated(text_bundles["byte"], "né 😀", "90", "0.9", "4")
    assert done.stdout.startswith("né 😀".encode())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "expected PROMPT"),
        (("the", "x"), "expected PROMPT"),
        (("the", "-5"), "expected PROMPT"),
        (("the", "5", "0.8", "18446744073709551616"), "expected PROMPT"),
        (("the", "0"), "an option is out of its range"),
        (("the", "5", "nan"), "an option is out of its range"),
        (("the", "5", "-1"), "an option is out of its range"),
        (("the", "5", "0.8", "1", "0", "1.5"), "an option is out of its range"),
        (("the #", "5"), "the prompt has a character that the model does not know"),
    ],
)
def test_bad_arguments(programs: dict[str, Path], words: tuple[str, ...], told: str) -> None:
    done = run(programs["char"], *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"error: {told}")
    assert done.stderr.count(b"\n") == 1


def test_a_packed_bundle_carries_it(text_bundles: dict[str, Path], tmp_path: Path) -> None:
    pack(text_bundles["char"], tmp_path / "net.edgernn")
    with Bundle.open(tmp_path / "net.edgernn") as opened:
        assert opened.path("c/text/main.c").read_bytes()


def changed(bundle: Path, folder: Path, **texts: tuple[str, str]) -> Path:
    """A copy whose ``text.c`` has other words, with a manifest that says so; without any where none
    are given.
    """
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    if texts:
        place = folder / "c" / "text" / "text.c"
        text = place.read_text()
        for old, new in texts.values():
            assert old in text
            text = text.replace(old, new)
        place.write_text(text)
        manifest["files"]["c/text/text.c"] = digest(place).model_dump()
    else:
        shutil.rmtree(folder / "c" / "text")
        kept = {n: d for n, d in manifest["files"].items() if not n.startswith("c/text/")}
        manifest["files"] = kept
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_verify_compares_it(text_bundles: dict[str, Path], tmp_path: Path) -> None:
    def structure_of(folder: Path, *, trust: bool = False) -> tuple[str, str]:
        with Bundle.open(folder, trust=trust) as bundle:
            report = verify_bundle(bundle, steps=2)
        (found,) = (c for a in report.artifacts for c in a.checks if c.name == "structure")
        return found.status, found.detail

    whole = text_bundles["char"]
    assert structure_of(whole)[0] == "passed"
    assert structure_of(changed(whole, tmp_path / "older"))[0] == "passed"
    edit = ("uniform) { break; }", "uniform) { continue; }")
    other = changed(whole, tmp_path / "other", edit=edit)
    status, detail = structure_of(other)
    assert status == "failed"
    assert detail.startswith("c/text/text.c is not what this edgernn (generator 1) generates; ")
    assert structure_of(other, trust=True)[0] == "not run"
    version = ("generator 1", "generator 0")
    status, detail = structure_of(changed(whole, tmp_path / "version", edit=edit, version=version))
    assert status == "not run"
    assert "the bundle's texts name generator 0, generator 1, so nothing is proved" in detail


_AROUND = """
#include "text.h"
#include <stdio.h>

static int hear(void *context, int64_t token)
{{
    (void)context;
    return printf("%d ", (int)token) < 0;
}}

int main(void)
{{
{body}
    return refused;
}}
"""


def test_the_manuals_example(text_bundles: dict[str, Path], tmp_path: Path) -> None:
    manual = (Path(__file__).parents[4] / "export" / "README.md").read_text(encoding="utf-8")
    (body,) = (b for b in re.findall(r"```c\n(.*?)```", manual, re.DOTALL) if "net_text" in b)
    (tmp_path / "app.c").write_text(_AROUND.format(body=body))
    folder = text_bundles["char"]
    command = [*find_compiler().command, *FLAGS, "-Ic/step", "-Ic/text", *FILES]
    subprocess.run([*command, tmp_path / "app.c", "-o", tmp_path / "app"], cwd=folder, check=True)
    done = run(tmp_path / "app")
    assert done.returncode == 0
    words = ["--prompt", "the ", "--seed", "7", "--artifact", "c", "--json"]
    told = CliRunner().invoke(app, ["generate", str(folder), *words])
    assert [int(token) for token in done.stdout.split()] == json.loads(told.stdout)["tokens"]
