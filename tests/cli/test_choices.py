"""Options with a share or a closed set of names: refused with what works, completed by a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("train text --out r", ("validation-fraction", "dropout")),
        (
            "train captions --out r",
            (
                "validation-fraction",
                "dropout",
                "freeze-encoder",
                "word-dropout",
                "label-smoothing",
                "scheduled-sampling",
            ),
        ),
        ("export CHECKPOINT --out b", ("max-perplexity-increase", "max-cider-drop")),
    ],
)
def test_every_share_is_refused_with_both_spellings(
    command: str, options: tuple[str, ...], run: Run, checkpoint_folder: Path, tmp_path: Path
) -> None:
    arguments = [
        str(checkpoint_folder) if word == "CHECKPOINT" else word for word in command.split()
    ]
    for option in options:
        code, out, err = run(*arguments, f"--{option}", 5)
        assert (code, out) == (2, "")
        assert "write 5% or 0.05" in err
        assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("export CHECKPOINT --out b --precision fp16", "float16"),
        ("export CHECKPOINT --out b --to onxx", "onnx"),
        ("verify BUNDLE --to torchscrpt", "torchscript"),
        ("generate BUNDLE --artifact onx", "onnx"),
        ("generate BUNDLE --on-unknown skp", "skip"),
        ("train text --data t.txt --out r --cell lsmt", "lstm"),
        ("train text --data t.txt --out r --tokens chars", "char"),
        ("train text --data t.txt --out r --device cdua", "cuda"),
        ("train text --data t.txt --out r --mixed onn", "on"),
        ("train captions --out r --conditioning soft-atention", "soft-attention"),
        ("train captions --out r --encoder resnet5", "resnet50"),
        ("train captions --out r --cell gruu", "gru"),
        ("train captions --data t.txt --out r --on-missing skipp", "skip"),
        ("train txt", "text"),
        ("train text --out r --hiden 3", "--hidden"),
    ],
)
def test_what_was_likely_meant_is_said(
    command: str, meant: str, run: Run, checkpoint_folder: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "t.txt").write_text("ab" * 300)
    places = {"CHECKPOINT": checkpoint_folder, "BUNDLE": bundle_folder}
    code, _, err = run(*(places.get(word, word) for word in command.split()))
    assert code == 2
    said = err.replace("'", "").lower()
    assert f"did you mean {meant}?" in said or f"possible options: --help, {meant}" in said


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("edgernn export r --to on", {"onnx"}),
        ("edgernn export r --precision int8,flo", {"int8,float32", "int8,float16"}),
        ("edgernn train text --cell rnn", {"rnn", "rnn_relu"}),
        ("edgernn train captions --conditioning h", {"hard-attention"}),
        ("edgernn train text --device c", {"cuda", "cpu"}),
        ("edgernn ver", {"verify"}),
    ],
)
def test_a_shell_completes(typed: str, offered: set[str]) -> None:
    environment = {
        **os.environ,
        "_EDGERNN_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "edgernn"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=60,
    )
    assert set(done.stdout.split()) == offered, done.stderr


def test_completion_can_be_installed(run: Run) -> None:
    assert "--install-completion" in run("--help")[1]
    done = subprocess.run(
        [sys.executable, "-m", "edgernn", "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "_EDGERNN_COMPLETE" in done.stdout
