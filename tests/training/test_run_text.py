"""Whole runs, as processes: killed and resumed, interrupted, shared by two processes, on a full
disk.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import edgernn
from edgernn.errors import UsageError
from edgernn.training.options import TrainOptions
from edgernn.training.run_text import TextSetup, resume_text, train_text
from edgernn.training.schedule import Budget

TEXT = "".join(
    f"{i} green bottles hanging on the wall, {i % 7} of them may fall.\n" for i in range(400)
)
SMALL = {"hidden": 16, "embedding": 8, "layers": 2, "dropout": 0.2}
COMMAND = [
    "--hidden",
    "16",
    "--embedding",
    "8",
    "--dropout",
    "0.2",
    "--batch",
    "8",
    "--chunk",
    "16",
    "--mixed",
    "off",
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "bottles.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def _options(**options: object) -> TrainOptions:
    return TrainOptions.model_validate(
        {
            "budget": {"unit": "steps", "amount": 30},
            "batch": 8,
            "chunk": 16,
            "mixed": "off",
            **options,
        }
    )


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edgernn", "train", "text", *map(str, arguments)]


def _losses(folder: Path) -> list[tuple[int, float, float | None]]:
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(row["step"], row["train_loss"], row.get("validation_loss")) for row in rows]


def test_a_run_leaves_a_checkpoint_that_loads(corpus: Path, tmp_path: Path) -> None:
    run = train_text(
        str(corpus), tmp_path / "run", options=_options(), setup=TextSetup(model=SMALL)
    )
    loaded = edgernn.load(tmp_path / "run")
    evaluation = loaded.evaluation["tokens"]
    assert run.steps == 30
    assert run.validation_loss == loaded.training["validation_loss"]
    assert run.split == loaded.training["split"] == "last 10 % of bottles.txt"
    assert loaded.tokenizer.decode(evaluation) == TEXT[-len(evaluation) :]
    assert {path.suffix for path in (tmp_path / "run").rglob("*") if path.is_file()} == {
        ".json", ".jsonl", ".safetensors", ".png", ".ids",
    }  # fmt: skip


@pytest.mark.parametrize("tokens", ["byte", "word", "bpe"])
def test_every_kind_of_token_trains(tokens: str, corpus: Path, tmp_path: Path) -> None:
    vocabulary = 300 if tokens == "bpe" else None
    setup = TextSetup(
        tokens=tokens, vocabulary=vocabulary, model={"hidden": 8, "embedding": 4, "layers": 1}
    )
    train_text(str(corpus), tmp_path / "run", options=_options(batch=2, chunk=4), setup=setup)
    assert edgernn.load(tmp_path / "run").tokenizer.kind == tokens


def test_an_own_validation_file_is_named_beside_the_loss(corpus: Path, tmp_path: Path) -> None:
    own = tmp_path / "other.txt"
    own.write_text("A ΩMEGA is met only here.\n" * 9, encoding="utf-8")
    run = train_text(
        str(corpus),
        tmp_path / "run",
        options=_options(),
        setup=TextSetup(model=SMALL),
        validation=str(own),
    )
    assert run.split == "own file other.txt"


def test_a_folder_that_holds_a_run_is_not_overwritten(corpus: Path, tmp_path: Path) -> None:
    train_text(str(corpus), tmp_path / "run", options=_options(), setup=TextSetup(model=SMALL))
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    with pytest.raises(UsageError, match="holds a run already"):
        train_text(str(corpus), tmp_path / "run", options=_options(), setup=TextSetup(model=SMALL))
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == before


def test_a_folder_that_holds_a_bundle_is_not_written_into(
    corpus: Path, bundle_folder: Path
) -> None:
    before = sorted(bundle_folder.rglob("*"))
    with pytest.raises(
        UsageError, match="is a bundle, exported already, expected a folder to train into"
    ):
        train_text(str(corpus), bundle_folder, options=_options(), setup=TextSetup(model=SMALL))
    assert sorted(bundle_folder.rglob("*")) == before


def test_bad_models_are_refused_before_the_corpus_is_read(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="cell is 'lstmm': expected one of lstm, gru, rnn, rnn_relu"
    ):
        train_text(
            "absent.txt",
            tmp_path / "run",
            options=_options(),
            setup=TextSetup(model={"cell": "lstmm"}),
        )
    with pytest.raises(UsageError, match="tied weights need embedding = hidden"):
        setup = TextSetup(model={**SMALL, "tied": True})
        train_text("absent.txt", tmp_path / "run", options=_options(), setup=setup)
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_a_longer_budget(corpus: Path, tmp_path: Path) -> None:
    train_text(str(corpus), tmp_path / "run", options=_options(), setup=TextSetup(model=SMALL))
    assert resume_text(tmp_path / "run", budget=Budget(unit="steps", amount=50)).steps == 50


def test_a_killed_run_resumed_prints_the_same_losses(corpus: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train_text(
        str(corpus),
        whole,
        options=_options(budget=Budget(unit="steps", amount=400)),
        setup=TextSetup(model=SMALL),
    )
    command = _command("--data", corpus, "--steps", 400, *COMMAND, "--out", killed)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    metrics = killed / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while (
        not (metrics.exists() and metrics.read_text().count('"validation"') >= 2)
        and time.monotonic() < deadline
    ):
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    assert len(_losses(killed)) < len(_losses(whole))
    resume_text(killed)
    assert _losses(killed) == _losses(whole)
    assert (killed / "weights.safetensors").read_bytes() == (
        whole / "weights.safetensors"
    ).read_bytes()


def test_ctrl_c_saves_and_says_how_to_go_on(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = _command("--data", corpus, "--minutes", 5, *COMMAND, "--out", out)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"go on with: edgernn train text --out {out} --resume" in told
    assert (out / "training.safetensors").exists()


def test_two_processes_give_the_loss_of_one(corpus: Path, tmp_path: Path) -> None:
    setup = {**SMALL, "dropout": 0.0, "learned_initial_state": True}
    train_text(str(corpus), tmp_path / "one", options=_options(), setup=TextSetup(model=setup))
    arguments = [
        "--data",
        corpus,
        "--steps",
        30,
        *COMMAND,
        "--dropout",
        0,
        "--learned-state",
        "--out",
        tmp_path / "two",
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node=2",
            "--standalone",
            *_command(*arguments)[1:],
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best validation loss") == 1
    one, two = _losses(tmp_path / "one"), _losses(tmp_path / "two")
    assert [row[0] for row in one] == [row[0] for row in two]
    for (_, train, validation), (_, other_train, other_validation) in zip(one, two, strict=True):
        assert train == pytest.approx(other_train, abs=1e-4)
        assert validation == pytest.approx(other_validation, abs=1e-4)


def test_a_full_disk_says_so_and_keeps_what_was_saved(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_text(str(corpus), out, options=_options(), setup=TextSetup(model=SMALL))
    before = {
        name: (out / name).read_bytes() for name in ("weights.safetensors", "training.safetensors")
    }
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "sys.argv = ['edgernn', 'train', 'text', '--out', sys.argv[1], '--resume', '--steps', "
        "'60']; "
        "from edgernn.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert "edgernn: error: could not" in done.stderr
    assert "Raise the limit on the size of files" in done.stderr
    assert {name: (out / name).read_bytes() for name in before} == before
    assert not list(out.rglob("*.tmp"))
