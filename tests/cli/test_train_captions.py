"""``edgernn train captions``: from picture files to a run, going on with one, and what is
refused.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from edgernn.data.pictures import scenes
from edgernn.training import run_captions
from edgernn.training.run import Run as Training

Run = Callable[..., tuple[int, str, str]]
SMALL = ("--hidden", 8, "--embedding", 6, "--keys", 4, "--image-size", 32, "--batch", 4)
TINY = ("--data", "drawn", *SMALL, "--steps", 2, "--evaluations", 1)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A caption file with twelve pictures beside it, as people keep them."""
    folder = tmp_path / "drawn"
    (folder / "images").mkdir(parents=True)
    lines = ["image,caption"]
    for index, example in enumerate(scenes.examples("train", 12, size=40)):
        Image.fromarray(example.picture).save(folder / "images" / f"{index}.png")
        lines += [f"{index}.png,{caption}" for caption in example.captions[:3]]
    (folder / "captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("drawn")
def test_a_run_from_picture_files_and_going_on_with_it(run: Run, tmp_path: Path) -> None:
    code, out, err = run("train", "captions", *TINY, "--out", "r")
    assert code == 0
    first, scores = out.splitlines()
    assert first.startswith("r: ")
    assert "parameters, 2 steps, 1.0 epochs in " in first
    assert "validation loss of the best weights " in first
    assert "nats/word (" in first
    assert "of drawn)" in first
    for name in ("cider_d ", "bleu_4 ", "rouge_l ", "exact_match "):
        assert name in scores
    assert "12 pictures decoded" in err
    assert {path.name for path in (tmp_path / "r").iterdir()} >= {
        "config.json",
        "weights.safetensors",
        "loss.png",
        "pictures",
    }

    code, out, _ = run("train", "captions", "--out", "r", "--resume", "--steps", 4, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["run"], found["steps"], found["interrupted"]) == ("r", 4, False)
    assert found["split"].endswith("of drawn")
    assert {
        "validation_loss",
        "parameters",
        "seconds",
        "epochs",
        "cider_d",
        "bleu_4",
        "rouge_l",
        "exact_match",
    } <= set(found)

    code, out, err = run("train", "captions", *TINY, "--out", "r")
    assert (code, out) == (2, "")
    assert "r holds a run already" in err

    code, out, err = run(
        "train", "captions", "--out", "r", "--resume", "--hidden", 9, "--freeze-encoder", 0
    )
    assert (code, out) == (2, "")
    assert "cannot change when a run is resumed; leave it out, or start a new run" in err
    assert {"--hidden", "--freeze-encoder"} == set(
        re.findall("--[a-z-]+(?=[, ])", err.split("cannot")[0])
    )


def test_a_run_that_is_interrupted_says_how_to_go_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Training(Path("r"), None, "no pictures", 3, 0.5, 1.0, 100, interrupted=True)
    monkeypatch.setattr(run_captions, "train_captions", lambda *_, **__: stopped)
    code, out, err = run("train", "captions", "--out", "r")
    assert code == 130
    assert "best validation loss not measured yet" in out
    assert err == "interrupted and saved; go on with: edgernn train captions --out r --resume\n"


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--conditioning", "magic"],
            "conditioning is 'magic': expected one of soft-attention, hard-attention",
        ),
        (["--encoder", "vgg16"], "encoder is 'vgg16': expected one of compact, small, resnet18"),
        (["--cell", "elman"], "cell is 'elman': expected one of lstm, gru, rnn, rnn_relu"),
        (["--layers", 257], "layers is 257: expected less than or equal to 256"),
        (
            ["--image-size", 36],
            "--image-size is 36, expected a multiple of 8, the encoder's stride",
        ),
        (["--image-size", 0], "--image-size is 0: expected greater than or equal to 32"),
        (["--on-missing", "drop"], "--on-missing is 'drop': expected 'error' or 'skip'"),
        (["--on-unreadable", "drop"], "--on-unreadable is 'drop': expected 'error' or 'skip'"),
        (["--data", "absent"], "cannot read the captions absent: No such file or directory"),
        (["--data", "empty"], "empty must hold exactly one caption file, and has none"),
        (["--data", "alone.csv"], "1 of 1 pictures of alone.csv are missing (nowhere.png)"),
        (
            ["--data", "alone.csv", "--on-missing", "skip"],
            "1 of 1 pictures of alone.csv are missing",
        ),
        (["--data", "unreadable.csv"], "there are 1 pictures for training and 0 for validation"),
        (["--data", "broken"], "the picture broken/images/3.png is damaged"),
        (
            ["--data", "broken", "--on-unreadable", "skip", "--batch", 12],
            "a batch needs 12; use a smaller --batch",
        ),
        (["--images", "absent"], "there is no folder absent"),
        (["--minimum-count", 1000], "no word of the text occurs 1000 times"),
        (["--batch", 100], "a batch needs 100; use a smaller --batch"),
        (["--batch", 0], "--batch is 0: expected greater than or equal to 1"),
        (["--encoder-weights", "absent.pth"], "no weights file at absent.pth"),
        (["--encoder-weights", "unreadable.png"], "unreadable.png is no file of tensors by name"),
        (
            ["--encoder-weights", "CHECKPOINT/weights.safetensors"],
            "does not fit the image encoder: missing [",
        ),
        (["--epochs", 1], "give one budget, not --steps and --epochs"),
        (["--steps", 0], "--steps is 0, expected above 0"),
        (
            ["--validation-fraction", 0.7],
            "--validation-fraction is 0.7: expected less than or equal to 0.5",
        ),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--resume"], "cannot change when a run is resumed"),
    ],
)
def test_what_is_refused_is_one_line_and_does_not_block_a_second_try(
    options: list, message: str, captioner_folder: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "unreadable.png").write_text("no picture")
    picture = Path(shutil.copytree(tmp_path / "drawn", tmp_path / "broken")) / "images" / "3.png"
    picture.write_bytes(picture.read_bytes()[:200])
    for name, picture in (("alone", "nowhere.png"), ("unreadable", "unreadable.png")):
        (tmp_path / f"{name}.csv").write_text(f"image,caption\n{picture},a dog\n", encoding="utf-8")
    given = [str(option).replace("CHECKPOINT", str(captioner_folder)) for option in options]
    code, out, err = run("train", "captions", *TINY, "--out", "r", *given)
    assert (code, out) == (2, "")
    line = err.splitlines()[-1]
    assert line.startswith("edgernn: error: ")
    assert message in line
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.tmp"))
    assert run("train", "captions", *TINY, "--out", "r")[0] == 0
