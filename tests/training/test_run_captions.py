"""Whole captioning runs on a few pictures: what they leave behind, resumed runs, encoder weights,
and when they end.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import edgernn
from edgernn.data.pictures import scenes
from edgernn.data.pictures.caption_ids import UNKNOWN_ID, encode_caption
from edgernn.data.pictures.picture_set import PictureSet
from edgernn.errors import CheckpointError, DataError, TrainingError, UsageError
from edgernn.families.caption_scores import SCORES
from edgernn.models import checkpoint
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.training import resume
from edgernn.training.caption_corpus import CaptionData
from edgernn.training.gradients_file import GRADIENTS, PLOT, read_gradients
from edgernn.training.metrics import read_metrics
from edgernn.training.options import TrainOptions
from edgernn.training.progress import EvaluationReport, Silent, StepReport
from edgernn.training.run_captions import CaptionSetup, resume_captions, train_captions

SMALL = {"image_size": 32, "hidden": 8, "embedding": 6, "keys": 5, "length": 16}


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SPLITS", {"train": 12, "validation": 4, "test": 1, "unseen": 1})


def options(steps: int = 6, **changes: Any) -> TrainOptions:
    budget = {"unit": "steps", "amount": steps}
    return TrainOptions.model_validate(
        {"budget": budget, "batch": 4, "mixed": "off", "evaluations": 2, **changes}
    )


def setup(*, options: dict[str, Any] | None = None, **model: Any) -> CaptionSetup:
    return CaptionSetup.model_validate(
        {"model": {**SMALL, **model}, "minimum_count": 1, "options": options or {}}
    )


class Listening(Silent):
    """Keeps the evaluations, and interrupts the run at the first of them where it is told to."""

    def __init__(self, *, interrupt: bool = False) -> None:
        self.heard: list[EvaluationReport] = []
        self.interrupt = interrupt

    def on_evaluation(self, report: EvaluationReport) -> None:
        self.heard.append(report)
        if self.interrupt and len(self.heard) == 1:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_leaves_a_checkpoint_that_loads(tmp_path: Path) -> None:
    listening = Listening()
    told: list[str] = []
    run = train_captions(
        CaptionData(),
        tmp_path / "run",
        options=options(gradients=True),
        setup=setup(),
        reporter=listening,
        tell=told.append,
    )
    loaded = edgernn.load(tmp_path / "run")
    assert told == ["drawing 16 scenes"]
    assert (run.steps, run.epochs, run.split) == (6, 2, "4 validation pictures of scenes")
    assert [report.step for report in listening.heard] == [3, 6]
    best = min(
        listening.heard, key=lambda report: (-report.measured["cider_d"], report.validation_loss)
    )
    assert run.measured == best.measured
    assert run.validation_loss == best.validation_loss == loaded.training["validation_loss"]
    assert {name: loaded.training[name] for name in run.measured} == run.measured
    assert run.measured.keys() == set(SCORES)
    assert loaded.training["train_pictures"] == 12
    assert loaded.tokenizer.kind == "caption"
    assert loaded.model.config.vocabulary == loaded.tokenizer.vocabulary_size
    assert all(report.sample == "" or report.sample.islower() for report in listening.heard)
    rows = read_gradients(tmp_path / "run" / GRADIENTS)
    assert [row["step"] for row in rows] == [3, 6]
    assert all(np.max(norms) > 0 for norms in rows[-1]["norms"].values())
    others = (resume.RESUME_FILE, "metrics.jsonl", "loss.png", "pictures", GRADIENTS, PLOT)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(
        (
            checkpoint.CONFIG,
            checkpoint.WEIGHTS,
            checkpoint.TOKENIZER,
            checkpoint.EVALUATION,
            *others,
        )
    )
    rows = [
        row
        for row in read_metrics(tmp_path / "run" / "metrics.jsonl")
        if row["kind"] == "validation"
    ]
    assert [row["measured"] for row in rows] == [report.measured for report in listening.heard]


def test_the_evaluation_sample_is_the_validation_part(tmp_path: Path) -> None:
    train_captions(CaptionData(), tmp_path / "run", options=options(2), setup=setup())
    loaded, pictures = (
        edgernn.load(tmp_path / "run"),
        PictureSet.open(tmp_path / "run" / "pictures"),
    )
    image, captions = loaded.evaluation["image"], loaded.evaluation["captions"]
    assert (image.shape, image.dtype) == ((4, 32, 32, 3), np.uint8)
    assert np.array_equal(image, pictures.pictures[list(pictures.split("validation"))])
    assert captions.shape[:2] == (4, 5)
    for index, own in zip(pictures.split("validation"), captions, strict=True):
        ids = [encode_caption(loaded.tokenizer, text) for text in pictures.captions[index]]
        assert [[token for token in row if token] for row in own.tolist()] == [
            row[:17].tolist() for row in ids
        ]


@pytest.mark.parametrize(
    ("conditioning", "extra"),
    [
        ("soft-attention", {"scheduled_sampling": 0.5, "attention_penalty": 0.1}),
        ("hard-attention", {"frozen": 0.6}),
        ("every-step", {}),
    ],
    ids=str,
)
def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_weights(
    tmp_path: Path, conditioning: str, extra: dict[str, Any]
) -> None:
    given = setup(options=extra, conditioning=conditioning, cell="gru", dropout=0.2)
    whole, stopped = Listening(), Listening(interrupt=True)
    train_captions(
        CaptionData(), tmp_path / "whole", options=options(8), setup=given, reporter=whole
    )
    first = train_captions(
        CaptionData(), tmp_path / "cut", options=options(8), setup=given, reporter=stopped
    )
    assert (first.interrupted, first.steps) == (True, 4)
    torch.manual_seed(1234)
    assert resume_captions(tmp_path / "cut", reporter=stopped).steps == 8
    ours, theirs = (
        [(r.step, r.validation_loss, r.train_loss, r.measured) for r in heard.heard]
        for heard in (whole, stopped)
    )
    assert ours == theirs
    for name in (checkpoint.WEIGHTS, checkpoint.TOKENIZER, checkpoint.EVALUATION):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    states = [
        safetensors.torch.load_file(tmp_path / name / resume.RESUME_FILE)
        for name in ("whole", "cut")
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert [name for name in states[0] if name.endswith("running_var")]


def test_a_run_goes_on_with_a_longer_budget(tmp_path: Path) -> None:
    train_captions(CaptionData(), tmp_path / "run", options=options(2), setup=setup())
    assert resume_captions(tmp_path / "run", budget=options(5).budget).steps == 5


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    train_captions(CaptionData(), tmp_path / "run", options=options(2), setup=setup())
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="holds a run already"):
        train_captions(CaptionData(), tmp_path / "run", options=options(2), setup=setup())
    assert {
        path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()
    } == before
    with pytest.raises(CheckpointError, match="nothing to resume"):
        resume_captions(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"image_size": 36}, "image size is 36, expected a multiple of 8, the encoder's stride"),
        ({"conditioning": "merge"}, "conditioning is 'merge': expected one of soft-attention"),
        ({"cell": "elman"}, "cell is 'elman': expected one of lstm, gru, rnn, rnn_relu"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_is_refused_before_any_picture(
    tmp_path: Path, model: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        train_captions(
            CaptionData(source="absent.csv"),
            tmp_path / "run",
            options=options(),
            setup=setup(**model),
        )
    assert not (tmp_path / "run").exists()


@pytest.fixture
def encoder_file(make_captioner: Callable[..., Captioner], tmp_path: Path) -> Path:
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(safetensors.torch.save(make_captioner(seed=9).encoder.state_dict()))
    return path


def test_an_encoder_from_a_file_learns_but_keeps_its_batch_statistics(
    encoder_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    listening = Listening(interrupt=True)
    train_captions(
        CaptionData(),
        out,
        options=options(6),
        setup=setup(),
        encoder_weights=encoder_file,
        reporter=listening,
    )
    resume_captions(out)  # without the file
    found = {
        n[8:]: t
        for n, t in edgernn.load(out).model.state_dict().items()
        if n.startswith("encoder.")
    }
    for name, tensor in safetensors.torch.load_file(encoder_file).items():
        kept = any(part in name for part in ("running", "num_batches"))
        assert torch.equal(found[name], tensor) == kept, name
        assert torch.allclose(found[name], tensor, atol=0.1), name


def test_a_frozen_encoder_ends_as_it_came(encoder_file: Path, tmp_path: Path) -> None:
    given = setup(options={"frozen": 1.0})
    train_captions(
        CaptionData(),
        tmp_path / "run",
        options=options(4),
        setup=given,
        encoder_weights=encoder_file,
    )
    found = edgernn.load(tmp_path / "run").model.state_dict()
    for name, tensor in safetensors.torch.load_file(encoder_file).items():
        assert torch.equal(found[f"encoder.{name}"], tensor), name


def test_encoder_weights_that_do_not_fit_are_refused_before_any_picture(
    encoder_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="does not fit the image encoder"):
        train_captions(
            CaptionData(source="absent.csv"),
            tmp_path / "run",
            options=options(),
            setup=setup(encoder="resnet18"),
            encoder_weights=encoder_file,
        )
    assert not (tmp_path / "run").exists()


def test_it_ends_early_when_the_captions_get_no_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.2, 0.3, 0.9])

    def score(candidates: list[str], references: list[list[str]]) -> dict[str, float]:
        return dict.fromkeys(SCORES, 0.0) | {"cider_d": next(scores)}

    monkeypatch.setattr("edgernn.training.captions.score_captions", score)
    listening = Listening()
    given = options(12, evaluations=6, patience=3)
    run = train_captions(
        CaptionData(), tmp_path / "run", options=given, setup=setup(), reporter=listening
    )
    assert [report.best for report in listening.heard] == [True, True, False, False, False]
    assert [report.validation_loss for report in listening.heard] == sorted(
        (report.validation_loss for report in listening.heard), reverse=True
    ), "the loss alone would have gone on"
    assert (run.steps, run.measured["cider_d"]) == (10, 0.5)
    assert edgernn.load(tmp_path / "run").training["cider_d"] == 0.5


def test_pictures_of_ones_own(pictures: np.ndarray, tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    rows = ["image,caption"]
    for index in range(10):
        Image.fromarray(pictures[index % 6]).resize((50, 40)).save(album / f"{index}.png")
        rows += [
            f"{index}.png,a picture of thing {index % 3}",
            f"{index}.png,thing {index % 3} again",
        ]
    (album / "captions.csv").write_text(
        "\n".join([*rows, "gone.png,a picture that is gone"]) + "\n", encoding="utf-8"
    )
    told: list[str] = []
    data = CaptionData(source=str(album), validation_fraction=0.3, on_missing="skip")
    run = train_captions(
        data, tmp_path / "run", options=options(2), setup=setup(), tell=told.append
    )
    assert any("left out the captions of 1 missing pictures: gone.png" in line for line in told)
    assert run.split.endswith("validation pictures of album")
    assert edgernn.load(tmp_path / "run").training["corpus"] == "album"


def test_what_was_trained_can_be_exported(tmp_path: Path) -> None:
    from edgernn.export import export_bundle
    from edgernn.parity.verify import verify_bundle

    train_captions(CaptionData(), tmp_path / "run", options=options(4), setup=setup())
    bundle = export_bundle(tmp_path / "run", tmp_path / "bundle", to=["onnx"], steps=8)
    report = verify_bundle(bundle, steps=8)
    assert report.passed
    assert {check.status for artifact in report.artifacts for check in artifact.checks} == {
        "passed"
    }
    assert (
        json.loads((tmp_path / "bundle" / "manifest.json").read_text())["provenance"]["training"][
            "corpus"
        ]
        == "scenes"
    )
    assert isinstance(edgernn.load(bundle.path("reference")), Checkpoint)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Eight pictures to train on, three for validation and one for a test, each of one colour, and
    their captions.
    """
    colours = {
        "red": (200, 30, 20),
        "green": (30, 160, 60),
        "blue": (30, 60, 200),
        "white": (240, 240, 240),
    }
    shown = [("train", shade, colour) for shade in ("dark", "light") for colour in colours]
    shown += [("validation", "dim", colour) for colour in ("red", "green", "blue")] + [
        ("test", "hidden", "white")
    ]
    place = tmp_path / "album"
    place.mkdir()
    rows = ["image,caption,split"]
    for number, (split, shade, colour) in enumerate(shown):
        pixels = np.tile(np.array(colours[colour], np.uint8), (40, 48, 1))
        pixels[: 3 * number + 2, :6] = 0
        Image.fromarray(pixels).save(place / f"{number}.png")
        rows.append(f"{number}.png,a {shade} {colour} field,{split}")
    (place / "captions.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")
    return place


def test_pictures_of_a_test_split_are_not_taken(album: Path, tmp_path: Path) -> None:
    run = train_captions(
        CaptionData(source=str(album)), tmp_path / "run", options=options(2), setup=setup()
    )
    splits = PictureSet.open(tmp_path / "run" / "pictures").splits
    assert {split: len(found) for split, found in splits.items()} == {"train": 8, "validation": 3}
    assert run.split == "3 validation pictures of album"


def test_rare_words_and_words_of_the_validation_part_alone_are_unknown(
    album: Path, tmp_path: Path
) -> None:
    rare = setup().model_copy(update={"minimum_count": 3})
    train_captions(CaptionData(source=str(album)), tmp_path / "run", options=options(2), setup=rare)
    loaded = edgernn.load(tmp_path / "run")
    unknown = {
        word
        for word in ("a", "dim", "dark", "red")
        if UNKNOWN_ID in encode_caption(loaded.tokenizer, word)
    }
    assert unknown == {"dim", "red"}  # three times in validation, twice in training
    assert (loaded.evaluation["captions"] == UNKNOWN_ID).sum() == 6


def test_empty_captions_and_pictures_that_cannot_be_read_are_told(
    album: Path, tmp_path: Path
) -> None:
    (album / "1.png").write_bytes(b"no picture")
    with (album / "captions.csv").open("a", encoding="utf-8") as file:
        file.write("0.png, ,train\ngone.png,a lost field,train\n")
    data = CaptionData(source=str(album / "captions.csv"))
    with pytest.raises(
        DataError, match=r"1 of 13 pictures of .*captions.csv are missing \(gone.png\)"
    ):
        train_captions(data, tmp_path / "run", options=options(2), setup=setup())
    data = data.model_copy(update={"on_missing": "skip"})
    with pytest.raises(DataError, match=r"1\.png"):
        train_captions(data, tmp_path / "run", options=options(2), setup=setup())
    told: list[str] = []
    data = data.model_copy(update={"on_unreadable": "skip"})
    train_captions(data, tmp_path / "run", options=options(2), setup=setup(), tell=told.append)
    assert told == [
        "left out the captions of 1 missing pictures: gone.png",
        "left out 1 empty captions",
        "10 pictures decoded, 1 left out that cannot be: 1.png",
    ]


def test_a_batch_larger_than_the_set_leaves_no_run_behind(album: Path, tmp_path: Path) -> None:
    data = CaptionData(source=str(album))
    with pytest.raises(TrainingError, match="there are 8 training pictures, a batch needs 9"):
        train_captions(data, tmp_path / "run", options=options(batch=9), setup=setup())
    assert train_captions(data, tmp_path / "run", options=options(2), setup=setup()).steps == 2


def test_a_run_learns(album: Path, tmp_path: Path) -> None:
    listening = Listening()
    given = options(48, batch=8, evaluations=6, peak_rate=0.02)
    data = CaptionData(source=str(album))
    train_captions(
        data, tmp_path / "run", options=given, setup=setup(dropout=0.0), reporter=listening
    )
    assert listening.heard[-1].train_loss < listening.heard[0].train_loss / 2
    assert listening.heard[-1].validation_loss < listening.heard[0].validation_loss


class Crashing(Silent):
    """Goes down at step 20, without a word to save."""

    def on_step(self, report: StepReport) -> None:
        if report.step == 20:
            raise InterruptedError("the machine goes down")


def test_a_run_that_crashed_goes_on_from_what_was_saved(album: Path, tmp_path: Path) -> None:
    data, given = (
        CaptionData(source=str(album)),
        options(36, evaluations=3),
    )  # saved at 12, 24 and 36
    made = setup(
        conditioning="hard-attention",
        dropout=0.2,
        options={"scheduled_sampling": 0.5, "frozen": 0.4},
    )
    train_captions(data, tmp_path / "whole", options=given, setup=made)
    with pytest.raises(InterruptedError):
        train_captions(data, tmp_path / "down", options=given, setup=made, reporter=Crashing())
    assert resume_captions(tmp_path / "down").steps == 36
    assert losses(tmp_path / "down") == losses(tmp_path / "whole")
    whole, down = (
        safetensors.torch.load_file(tmp_path / name / resume.RESUME_FILE)
        for name in ("whole", "down")
    )
    assert not [name for name in whole if not torch.equal(whole[name], down[name])]


def losses(folder: Path) -> list[tuple[int, float, float | None]]:
    rows = read_metrics(folder / "metrics.jsonl")
    return [(row["step"], row["train_loss"], row.get("validation_loss")) for row in rows]


def start_two(command: list[str]) -> list[tuple[int, str, str]]:
    """Run a command in two processes, as torchrun starts them; return exit codes and what each
    told.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": "1",
    }
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(
            command,
            stdout=pipe,
            stderr=pipe,
            text=True,
            env={**place, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    told = [process.communicate(timeout=120) for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, told, strict=True)]


def test_two_processes_give_the_losses_of_one(
    album: Path, encoder_file: Path, tmp_path: Path
) -> None:
    """With captions of one length and statistics that stay, so that the mean over both is the mean
    over the batch.
    """
    given = setup(dropout=0.0, options={"word_dropout": 0.0, "frozen": 0.5})
    data, course = CaptionData(source=str(album)), options(20, peak_rate=2e-3)
    train_captions(
        data, tmp_path / "one", options=course, setup=given, encoder_weights=encoder_file
    )
    command = [
        sys.executable,
        "-m",
        "edgernn",
        "train",
        "captions",
        "--data",
        album,
        "--out",
        tmp_path / "two",
    ]
    command += [
        "--encoder-weights",
        encoder_file,
        "--freeze-encoder",
        0.5,
        "--dropout",
        0,
        "--word-dropout",
        0,
    ]
    command += [
        part for name, value in SMALL.items() for part in (f"--{name.replace('_', '-')}", value)
    ]
    command += [
        "--minimum-count",
        1,
        "--steps",
        20,
        "--batch",
        4,
        "--evaluations",
        2,
        "--mixed",
        "off",
        "--device",
        "cpu",
    ]
    ended = start_two([str(part) for part in command])
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert [bool(printed) for _, printed, _ in ended] == [True, False]
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert [row[0] for row in one] == [row[0] for row in two]
    for (_, train, validation), (_, other_train, other_validation) in zip(one, two, strict=True):
        assert train == pytest.approx(other_train, abs=1e-4)
        assert validation == pytest.approx(other_validation, abs=1e-4)
