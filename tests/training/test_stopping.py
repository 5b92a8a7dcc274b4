"""Whole runs as processes, stopped by signals at any moment; budgets of minutes; threads; what is
printed.
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgernn.cli.training import finish
from edgernn.errors import UsageError
from edgernn.training import resume
from edgernn.training.lock import LOCK, locked
from edgernn.training.metrics import read_metrics
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Silent
from edgernn.training.run_text import TextSetup, resume_text, train_text
from edgernn.training.schedule import Budget

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
SMALL = ["--hidden", "16", "--embedding", "8", "--batch", "8", "--chunk", "16", "--mixed", "off"]
# The command line as it is, but that some function of ours first says where it is, then goes on
# slowly.
SLOWED = """
import sys, time
from edgernn.cli import app
from {module} import {owner} as owner
slowed = owner.{name}
def slow(*arguments, **named):
    print("here", flush=True)
    time.sleep(0.5)
    return slowed(*arguments, **named)
owner.{name} = {wrapped}
sys.argv = ["edgernn", *sys.argv[1:]]
app.main()
"""
PLACES = {
    "tokenising": ("edgernn.data.text.tokenizer", "Tokenizer", "build", "staticmethod(slow)"),
    "the first save": ("edgernn.training", "resume", "save", "slow"),
    "an evaluation": ("edgernn.training.text", "TextTask", "evaluate", "slow"),
    "a step": ("edgernn.training.text", "TextTask", "next_loss", "slow"),
}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "two.txt"
    path.write_text("ab" * 4000)
    return path


def _wait_for(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("tokenising", signal.SIGTERM),
        ("the first save", signal.SIGHUP),
        ("an evaluation", signal.SIGTERM),
        ("a step", signal.SIGINT),
    ],
)
def test_a_signal_saves_wherever_it_comes_and_leaves_with_128_more(
    place: str, number: int, text: Path, tmp_path: Path
) -> None:
    module, owner, name, wrapped = PLACES[place]
    code = SLOWED.format(module=module, owner=owner, name=name, wrapped=wrapped)
    out = tmp_path / "run"
    arguments = [
        "train",
        "text",
        "--data",
        text,
        "--out",
        out,
        "--steps",
        40,
        "--evaluations",
        4,
        *SMALL,
    ]
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number, told
    if place == "tokenising":
        assert "before there was anything to save; give the same command again" in told
        assert not list(tmp_path.rglob("*"))[1:]  # beside the text
    else:
        assert f"go on with: edgernn train text --out {out} --resume" in told
        assert resume_text(out).steps == 40


def test_a_signal_to_one_of_several_processes_saves_and_ends_all(
    text: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "text", "--data", text, "--out", out, "--minutes", 5, *SMALL]
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--standalone",
        "-m",
        "edgernn",
    ]
    process = subprocess.Popen(
        [*launcher, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        metrics = out / "metrics.jsonl"
        _wait_for(lambda: metrics.exists() and metrics.stat().st_size > 0)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert told.count("interrupted and saved; go on with") == 1, told
    assert resume.load(out / resume.RESUME_FILE)[0].step > 0


def test_two_trainings_at_once_on_one_folder(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = TrainOptions(budget=Budget(unit="steps", amount=3), batch=4, chunk=8, evaluations=1)
    setup = TextSetup(model={"hidden": 4, "embedding": 4, "layers": 1})
    with locked(out):
        with pytest.raises(UsageError, match=f"trained into already, by process {os.getpid()} on"):
            train_text(str(text), out, options=options, setup=setup)
        assert [path.name for path in out.iterdir()] == [LOCK]
    train_text(str(text), out, options=options, setup=setup)
    with (
        locked(out),
        pytest.raises(UsageError, match=f"trained into already, by process {os.getpid()} on"),
    ):
        resume_text(out, budget=Budget(unit="steps", amount=6))
    assert resume_text(out, budget=Budget(unit="steps", amount=6)).steps == 6
    assert not list(out.glob(".*"))


class Notes(Silent):
    """Keeps the lines that it hears."""

    def __init__(self) -> None:
        self.lines = list[str]()

    def on_note(self, line: str) -> None:
        self.lines.append(line)


def test_a_budget_of_minutes_is_kept_and_threads_are_told(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a thousand evaluations would be dear beside six seconds; what a busy machine adds is
    allowed for.
    """
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    options = TrainOptions(
        budget=Budget(unit="minutes", amount=0.1), batch=8, chunk=16, evaluations=1000, patience=0
    )
    notes, began = Notes(), time.perf_counter()
    setup = TextSetup(model={"hidden": 16, "embedding": 8})
    run = train_text(str(text), tmp_path / "run", options=options, setup=setup, reporter=notes)
    spent = time.perf_counter() - began
    assert 3 < run.seconds < 7.2
    assert spent < 12
    assert re.fullmatch(r"training with \d+ threads? \(gradients tried: .*\)", notes.lines[0])
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    chosen = resume.load(run.folder / resume.RESUME_FILE)[0].threads
    assert {row["threads"] for row in rows if row["kind"] == "train"} <= {chosen}
    seconds = [row["seconds"] for row in rows if row["kind"] == "validation"]
    assert 1 <= len(seconds) < 60


def test_a_run_that_was_too_short_says_so(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = TrainOptions(budget=Budget(unit="steps", amount=1), batch=4, chunk=8, evaluations=1)
    run = train_text(str(text), tmp_path / "run", options=options)
    assert run.unigram_entropy == pytest.approx(math.log(2))
    assert not run.learned
    finish(run, "text", as_json=False)
    says = (
        r"too short to have learned: \S+ nats/\w+ is no better than guessing .* \(0.69\); train "
        r"longer"
    )
    assert re.search(says, capsys.readouterr().err)
    answers = replace(run, validation_loss=0.69, measured={"accuracy": 1.0}, unit="clip")
    finish(answers, "classify", as_json=False)
    says = r"0\.69 nats/clip is hardly better than guessing each answer as often as it occurs"
    assert re.search(says, capsys.readouterr().err)
    finish(replace(run, unigram_entropy=0.0), "classify", as_json=False)  # of one label alone
    finish(replace(run, validation_loss=0.1), "text", as_json=False)
    finish(replace(run, validation_loss=None), "text", as_json=False)
    assert "too short" not in capsys.readouterr().err
