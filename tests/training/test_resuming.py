"""A run's folder judged as a whole: what can be started, what can be resumed, and every damage in
one line.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from edgernn.errors import CheckpointError, DataError, EdgernnError, UsageError
from edgernn.models import checkpoint
from edgernn.training import resume
from edgernn.training.options import TrainOptions
from edgernn.training.run_captions import resume_captions
from edgernn.training.run_text import TextSetup, resume_text, train_text
from edgernn.training.schedule import Budget

OPTIONS = TrainOptions(
    budget=Budget(unit="steps", amount=4), batch=4, chunk=8, evaluations=2, threads=1
)
MORE = Budget(unit="steps", amount=8)
SETUP = TextSetup(model={"hidden": 8, "embedding": 4, "layers": 1})
Header, Tensors = dict[str, Any], dict[str, Tensor]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four steps."""
    folder = tmp_path_factory.mktemp("resuming")
    (folder / "two.txt").write_text("ab" * 2000)
    train_text(str(folder / "two.txt"), folder / "run", options=OPTIONS, setup=SETUP)
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def rewrite(run: Path, change: Callable[[Header, Tensors], Any]) -> None:
    """Change a run's saved state; what ``change`` returns, if anything, becomes the header."""
    path = run / resume.RESUME_FILE
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["edgernn.training"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    found = change(header, tensors)
    text = found if isinstance(found, str) else json.dumps(header if found is None else found)
    path.write_bytes(safetensors.torch.save(tensors, {"edgernn.training": text}))


def put(**fields: Any) -> Callable[[Header, Tensors], None]:
    return lambda header, tensors: header.update(fields)


def drop(name: str) -> Callable[[Header, Tensors], None]:
    def change(header: Header, tensors: Tensors) -> None:
        del tensors[name]
        header["tensors"] = 0  # as one was written before they were counted

    return change


def tensor(name: str, value: Tensor) -> Callable[[Header, Tensors], None]:
    return lambda header, tensors: (
        tensors.update({name: value}) or header.update(tensors=len(tensors))
    )


DAMAGE = {
    "a list": (lambda h, t: [1], "a list"),
    "too deep": (lambda h, t: "[" * 200_000, "damaged"),
    "no JSON": (lambda h, t: "{", "damaged"),
    "an unknown field": (put(colour="red"), "colour"),
    "a wrong type": (put(step="four"), "step: Input should be a valid integer"),
    "a fraction of a step": (put(step=1.5), "step"),
    "before the start": (put(step=-1), "step"),
    "no list": (put(recent=7), "recent"),
    "never ending": (put(seconds=float("inf")), "seconds"),
    "options that are none": (put(options={"budget": 3}), "its options: budget"),
    "options of another kind": (put(options=[]), "options"),
    "another version": (put(version=2), "another version"),
    "a missing tensor": (drop("model.embedding.weight"), "embedding.weight"),
    "a misshapen tensor": (tensor("model.embedding.weight", torch.zeros(3, 3)), "embedding.weight"),
    "one tensor fewer": (lambda h, t: t.pop("optimizer.0.exp_avg") is None, "tensors"),
    "a missing moment": (drop("optimizer.0.exp_avg"), "optimizer.0.exp_avg is missing"),
    "a misshapen moment": (tensor("optimizer.0.exp_avg", torch.zeros(9)), "optimizer.0.exp_avg"),
    "a key that is no number": (
        tensor("optimizer.x.exp_avg", torch.zeros(9)),
        "optimizer.x.exp_avg",
    ),
    "a parameter too many": (tensor("optimizer.99.exp_avg", torch.zeros(9)), "none of the"),
    "an unknown moment": (tensor("optimizer.0.colour", torch.zeros(9)), "optimizer.0.colour"),
    "no random": (drop("random"), "random is missing"),
    "a cut random": (
        tensor("random", torch.zeros(1, 20, dtype=torch.uint8)),
        "random has 20 bytes",
    ),
    "a flat random": (tensor("random", torch.zeros(5056, dtype=torch.uint8)), "random"),
    "a spoilt random": (tensor("random", torch.full((1, 5056), 255, dtype=torch.uint8)), "random"),
    "no position": (drop("task.position"), "task.position is missing"),
    "half a position": (tensor("task.position", torch.tensor([1])), "task.position"),
    "beyond the corpus": (
        tensor("task.position", torch.tensor([0, 10**9, 4])),
        "position is step 1,000,000,000",
    ),
    "before the corpus": (tensor("task.position", torch.tensor([0, -8, 4])), "position"),
    "no state": (drop("task.h"), "task.h is missing"),
    "a misshapen state": (tensor("task.h", torch.zeros(1, 4, 9)), "task.h"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_line_and_nothing_is_changed(damage: str, run: Path) -> None:
    change, says = DAMAGE[damage]
    rewrite(run, change)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with pytest.raises(CheckpointError) as refused:
        resume_text(run, budget=MORE)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert {name for name in before if before[name] != after.get(name)} <= {"metrics.jsonl"}


@pytest.mark.parametrize("cut", [0, 5, 100, -1])
def test_a_file_that_is_cut_is_damaged(cut: int, run: Path) -> None:
    path = run / resume.RESUME_FILE
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(
        CheckpointError, match=r"is damaged .*start the run again in another folder"
    ):
        resume_text(run, budget=MORE)


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0,
    reason="only root can become somebody who may not read",
)
def test_a_file_that_may_not_be_read_is_not_called_damaged(run: Path) -> None:
    path = run / resume.RESUME_FILE
    path.chmod(0)
    for folder in (run, *run.parents[:3]):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(
            CheckpointError, match=f"cannot read {path}: Permission denied; make it readable"
        ):
            resume.load(path)
    finally:
        os.seteuid(0)


def test_a_sound_state_goes_on_whatever_is_wrong_with_its_by_products(run: Path) -> None:
    (run / "metrics.jsonl").write_bytes(b"\xff\xfe\nnull\n123\n")
    (run / "loss.png").unlink()
    (run / "loss.png").mkdir()
    (run / "run.toml").write_bytes(b"\xff")
    assert resume_text(run, budget=MORE).steps == 8


def test_a_state_of_the_version_before_goes_on(run: Path) -> None:
    def age(header: Header, tensors: Tensors) -> None:
        for name in ("recent", "validated", "threads", "data", "tensors"):
            del header[name]
        del header["options"]["threads"]

    rewrite(run, age)
    assert resume_text(run, budget=MORE).steps == 8


def test_a_finished_run_is_finished_and_only_another_budget_goes_on(run: Path) -> None:
    before = (run / resume.RESUME_FILE).read_bytes()
    assert resume_text(run).steps == 4
    assert (run / resume.RESUME_FILE).read_bytes() == before


@pytest.mark.parametrize("budget", [None, Budget(unit="steps", amount=3), MORE])
def test_no_run_ends_without_a_model(budget: Budget | None, run: Path) -> None:
    """A run that was stopped before its first evaluation, and resumed for less than it had done."""
    rewrite(run, put(best=math.inf, best_loss=math.inf))
    (run / "weights.safetensors").unlink()
    (run / "config.json").unlink()
    assert math.isfinite(resume_text(run, budget=budget).validation_loss)
    assert checkpoint.load(run).training["validation_loss"] > 0


@pytest.mark.parametrize("name", ["tokens.ids", "corpus.json"])
def test_a_corpus_that_was_changed_or_lost_is_named(name: str, run: Path) -> None:
    path = run / "corpus" / name
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b"\x00", b"\x01", 1) if name == "tokens.ids" else content + b" "
    )
    with pytest.raises(DataError, match=r"is not the one that the run in .* was trained on"):
        resume_text(run, budget=MORE)
    shutil.rmtree(run / "corpus")
    with pytest.raises(DataError, match="cannot go on without its corpus: No such file"):
        resume_text(run, budget=MORE)


def test_another_commands_run_is_named(run: Path) -> None:
    shutil.copytree(run / "corpus", run / "pictures")
    with pytest.raises(
        CheckpointError,
        match=r"is none of edgernn train captions .*resume it with the command",
    ):
        resume_captions(run)


# What a kill can leave, from the first file to the last, and what is right there: start or resume.
STAGES = {
    "nothing": ([], "start"),
    "a lock": ([".training.lock"], "start"),
    "a corpus": (["corpus"], "start"),
    "a vocabulary": (["corpus", "tokenizer.json"], "start"),
    "a sample": (["corpus", "tokenizer.json", "held_out.safetensors"], "start"),
    "options": (["corpus", "tokenizer.json", "held_out.safetensors", "run.toml"], "start"),
    "metrics": (["corpus", "tokenizer.json", "held_out.safetensors", "metrics.jsonl"], "start"),
    "a state": (
        ["corpus", "tokenizer.json", "held_out.safetensors", "training.safetensors"],
        "resume",
    ),
    "a configuration": (
        ["corpus", "tokenizer.json", "training.safetensors", "config.json"],
        "resume",
    ),
    "weights": (
        ["corpus", "tokenizer.json", "training.safetensors", "config.json", "weights.safetensors"],
        "resume",
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_whatever_a_kill_leaves_is_started_or_resumed_as_the_message_says(
    stage: str, run: Path, tmp_path: Path
) -> None:
    kept, right = STAGES[stage]
    text = tmp_path / "two.txt"
    text.write_text("ab" * 2000)
    (run / ".training.lock").write_text("{}")
    (run / "run.toml").write_text("")
    for path in run.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def start() -> int:
        return train_text(str(text), run, options=OPTIONS, setup=SETUP).steps

    if right == "start":
        with pytest.raises(CheckpointError, match="start the run without --resume"):
            resume_text(run)
        assert start() == 4
    else:
        with pytest.raises(UsageError, match="add --resume to go on with it"):
            start()
        assert resume_text(run, budget=MORE).steps == 8
    assert checkpoint.load(run).training["step"] > 0


def test_a_model_without_a_state_is_neither_trained_over_nor_resumed(
    run: Path, tmp_path: Path
) -> None:
    (run / resume.RESUME_FILE).unlink()
    with pytest.raises(EdgernnError, match=r"holds a model already .*choose another --out"):
        train_text("absent.txt", run, options=OPTIONS, setup=SETUP)
    with pytest.raises(CheckpointError, match="start a new run in another folder"):
        resume_text(run)


def test_weights_carry_their_own_summary(run: Path) -> None:
    """A kill between the two files leaves the older or the newer configuration; what was measured
    is the weights'.
    """
    content = json.loads((run / checkpoint.CONFIG).read_text())
    content["training"]["validation_loss"] = 9.0
    right = checkpoint.load(run).training
    (run / checkpoint.CONFIG).write_text(json.dumps(content))
    assert checkpoint.load(run).training == right
    assert right["validation_loss"] < 1
