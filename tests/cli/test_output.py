"""Text is text: whatever stands in files, models, names and errors is printed as it is, and steers
no terminal.
"""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.main import get_command

from edgernn.cli.app import app
from edgernn.cli.output import ascii_json
from edgernn.cli.shown import visible, visible_text
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UnavailableError
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.language import LanguageModel

ROOT = Path(__file__).resolve().parent.parent.parent
Run = Callable[..., tuple[int, str, str]]
MARKUP = "[/x][bold]:smile:[/]"
STEERING = "\x1b]0;title\x07\x1b[31m\x9b1m\r\x08\u202e\u2066"
HOSTILE = f"{MARKUP}{STEERING}"
SHOWN = MARKUP + r"\x1b]0;title\x07\x1b[31m\x9b1m\r\x08\u202e\u2066"
NAME = "[bold][x] \x1b]0;t\x07"  # as a file's name: no slash
NAME_SHOWN = r"[bold][x] \x1b]0;t\x07"
TEXT = "ab[/x] \x1b\x07\u202e\n"


@pytest.fixture(scope="module")
def hostile_run(
    make_model: Callable[..., LanguageModel], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A checkpoint whose vocabulary, corpus and split steer a terminal. Read only."""
    tokenizer = Tokenizer.build([TEXT * 3], "char")
    training = {"corpus": HOSTILE, "split": HOSTILE, "validation_loss": 1.0}
    model = make_model(vocabulary=tokenizer.vocabulary_size)
    folder = tmp_path_factory.mktemp("hostile") / "run"
    save(Checkpoint(model, tokenizer, training, {"tokens": tokenizer.encode(TEXT * 40)}), folder)
    return folder


@pytest.fixture(scope="module")
def hostile_bundle(hostile_run: Path) -> Path:
    """Its bundle, with an artifact's target to match. Read only."""
    folder = hostile_run.parent / NAME
    export_bundle(hostile_run, folder, to=["onnx"], precision=["float32", "float16"], steps=4)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for artifact in manifest["artifacts"]:
        artifact["target"] = HOSTILE
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, SHOWN),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x00\x7f\x85\u2028", r"\x00\x7f\x85\u2028"),
        ("\udcff", r"\udcff"),
        ("é 犬 😀 \u200d كلب", "é 犬 😀 \u200d كلب"),
    ],
)
def test_what_steers_a_terminal_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible_text(f"{text}\n\t") == shown.replace(r"\n", "\n").replace(r"\t", "\t") + "\n\t"


@pytest.mark.parametrize("text", [HOSTILE, "é犬😀\x7f\udcff", ""])
def test_json_in_ascii_is_the_same_json(text: str) -> None:
    written = ascii_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert written.isascii()
    assert "\x7f" not in written
    assert json.loads(written) == {text: [text]}


def clean(*outputs: str) -> None:
    """Nothing that was printed steers a terminal."""
    for output in outputs:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", output)


@pytest.mark.parametrize("columns", ["40", "60", "120", ""])
def test_inspect_prints_what_its_json_says(
    columns: str, hostile_bundle: Path, hostile_run: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if columns:
        for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", columns), ("TERM", "xterm")):
            monkeypatch.setenv(name, value)
    for path in (hostile_bundle, hostile_run):
        code, out, err = run("inspect", path)
        out = re.sub("\x1b\\[[0-9;]*m", "", out)  # rich's own colours
        assert (code, err) == (0, "")
        assert f"trained on {SHOWN}: 1.0000 nats/character ({SHOWN})" in out
        clean(out)
        told = json.loads(run("inspect", path, "--json")[1])
        assert told.get("training", told.get("provenance", {}).get("training"))["corpus"] == HOSTILE
    out = run("inspect", hostile_bundle)[1]
    assert NAME_SHOWN in out
    assert SHOWN.replace(" ", "") in re.sub(
        r"\s|\x1b\[[0-9;]*m", "", out
    )  # of the artifact, folded where it is narrow
    assert (
        json.loads(run("inspect", hostile_bundle, "--json")[1])["artifacts"][0]["target"] == HOSTILE
    )


def test_verify_and_export_print_names_as_they_are(
    hostile_bundle: Path, hostile_run: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(hostile_run, tmp_path / NAME)
    code, out, err = run("export", tmp_path / NAME, "--out", tmp_path / f"{NAME}b", "--to", "onnx")
    assert (code, f"wrote {visible(str(tmp_path))}/{NAME_SHOWN}b, " in out) == (0, True)
    clean(out, err)
    code, out, err = run("verify", hostile_bundle, "--steps", 4, "--reference", tmp_path / NAME)
    assert code == 1  # the files are of another target
    assert f"the manifest says {SHOWN}" in out
    assert NAME_SHOWN in out
    clean(out, err)
    code, out, err = run(
        "verify", hostile_bundle, "--reference", tmp_path / "[/x]\x1b", "--steps", 4
    )
    assert (code, "[/x]\\x1b" in err) == (2, True)
    clean(out, err)


def test_a_check_says_which_extra_it_needs(
    bundle_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = shutil.copytree(bundle_folder, tmp_path / "b")  # verify writes a report into it
    advice = "run: pip install 'edgernn[train]'"

    def resolve(*arguments: object, **options: object) -> None:
        raise UnavailableError(
            f"running torchscript needs the package 'torch', which is not installed; {advice}"
        )

    monkeypatch.setattr("edgernn.formats.resolve", resolve)
    out = run("verify", folder, "--to", "torchscript", "--steps", 4)[1]
    assert advice in out


def test_training_prints_the_names_of_files_as_they_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a[").mkdir()
    for place in (f"notes {NAME}.txt", "a[/b].txt"):
        (tmp_path / place).write_text("ab" * 600)
    small = (
        "--steps",
        1,
        "--evaluations",
        1,
        "--hidden",
        4,
        "--layers",
        1,
        "--batch",
        2,
        "--chunk",
        4,
        "--device",
        "cpu",
    )
    code, out, err = run("train", "text", "--data", f"notes {NAME}.txt", "--out", NAME, *small)
    assert code == 0, out + err
    assert f"last 10 % of notes {NAME_SHOWN}.txt" in out
    assert f"last 10 % of notes {NAME_SHOWN}.txt" in err
    assert out.startswith(f"{NAME_SHOWN}: ")
    clean(out, err)
    code, out, err = run("train", "text", "--data", "a[", "--glob", "b].txt", "--out", "m", *small)
    assert code == 0, out + err
    assert "(last 10 % of a[/b].txt)" in out
    assert "(last 10 % of a[/b].txt)" in err


def test_captions_are_printed_with_the_names_of_pictures(
    captioner_bundle_folder: Path, run: Run, tmp_path: Path
) -> None:
    for name in (f"{NAME}.png", "[:x:].png"):
        Image.new("RGB", (40, 40), "red").save(tmp_path / name)
    (tmp_path / f"bad{NAME}.png").write_bytes(b"none")
    code, out, err = run(
        "caption", captioner_bundle_folder, f"{NAME}.png", "[:x:].png", f"bad{NAME}.png"
    )
    assert code == 2
    assert [line.split("\t")[0] for line in out.splitlines()] == [f"{NAME_SHOWN}.png", "[:x:].png"]
    assert f"bad{NAME_SHOWN}.png" in err
    clean(out.replace("\t", ""), err)


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", HOSTILE),
        ("verify", HOSTILE),
        ("export", HOSTILE, "--out", "b"),
        ("generate", HOSTILE),
        ("bench", HOSTILE),
        ("caption", HOSTILE, HOSTILE),
        ("train", "text", "--data", HOSTILE, "--out", "r"),
        ("train", "text", "--cell", HOSTILE, "--out", "r"),
        ("train", "text", "--config", HOSTILE, "--out", "r"),
        ("train", "captions", "--data", HOSTILE, "--out", "r"),
        (HOSTILE,),
        ("train", "text", f"--{HOSTILE}"),
        ("train", "text", "--hidden", HOSTILE),
        ("train", "text", "--validation-fraction", HOSTILE, "--out", "r"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]).replace(HOSTILE, "HOSTILE"),
)
def test_errors_repeat_what_was_given_as_it_is(arguments: tuple[str, ...], run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    clean(err)


def on_terminal(*arguments: object, cwd: Path) -> str:
    """Run a command with a terminal as its output; return what the terminal got."""
    main, inner = pty.openpty()
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "edgernn", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=inner, stderr=subprocess.DEVNULL, cwd=cwd, env=environment
    ) as child:
        os.close(inner)
        got = b""
        try:
            while block := os.read(main, 1 << 16):
                got += block
        except OSError:  # what Linux says once the other end has closed
            pass
        assert child.wait(120) == 0
    os.close(main)
    return got.decode().replace("\r\n", "\n")


def test_generated_text_is_raw_through_a_pipe_and_visible_on_a_terminal(
    hostile_bundle: Path, run: Run, tmp_path: Path
) -> None:
    ask = ("generate", hostile_bundle, "--prompt", "[/x]\x1b", "--length", 120, "--temperature", 2)
    raw = run(*ask)[1]
    assert raw.startswith("[/x]\x1b")
    assert raw == "[/x]\x1b" + json.loads(run(*ask, "--json")[1])["text"] + "\n"
    assert {"\x1b", "\x07", "\u202e"} <= set(raw[5:])
    shown = on_terminal(*ask, cwd=tmp_path)
    assert shown == visible_text(raw)
    clean(shown)


def test_a_terminal_gets_names_as_they_are(hostile_bundle: Path, tmp_path: Path) -> None:
    shown = on_terminal("inspect", hostile_bundle, cwd=tmp_path)
    assert NAME_SHOWN in shown
    assert SHOWN in shown
    clean(shown)


def modules() -> list[Path]:
    return [*(ROOT / "edgernn" / "cli").glob("*.py"), ROOT / "edgernn" / "training" / "terminal.py"]


DOORS = {
    "output.py": {"print"},
    "shown.py": {"Console"},
    "sheets.py": {"Table", "add_row", "add_column"},
    "terminal.py": {"print"},
}
PRINTING = {
    "print",
    "rule",
    "log",
    "echo",
    "secho",
    "add_row",
    "add_column",
    "Console",
    "Table",
    "from_markup",
}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.name)
def test_nothing_is_printed_but_through_the_one_door(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            if called == "write" and getattr(getattr(node.func, "value", None), "attr", "") in {
                "stdout",
                "stderr",
            }:
                called = "print"
            inside = path.name == "streams.py" or called in DOORS.get(path.name, set())
            assert called not in PRINTING or inside, (
                f"{path.name}:{node.lineno} calls {called}; use edgernn.cli.output"
            )


def test_help_has_nothing_that_would_be_read_as_markup() -> None:
    pending: list[typer.core.TyperGroup] = [get_command(app)]  # type: ignore[list-item]
    while pending:
        command = pending.pop()
        pending += list(getattr(command, "commands", {}).values())
        for text in (
            command.help or "",
            *(getattr(option, "help", "") or "" for option in command.params),
        ):
            assert "[" not in text, text
