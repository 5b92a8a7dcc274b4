"""``edgernn tag``: what it prints of frames and of words, and how it tells of what it cannot
read.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.taggers import (
    FRAME_LABELS,
    SIDE,
    WORD_LABELS,
    WORDS,
    export_frames,
    export_words,
    frame_network,
    word_network,
)

Run = Callable[..., tuple[int, str, str]]
CLIPS = np.random.default_rng(2).integers(0, 256, (2, 5, SIDE, SIDE, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_frames(tmp_path_factory.mktemp("tag") / "frames")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_words(tmp_path_factory.mktemp("tag") / "words")


def expected(network: torch.nn.Module, steps: np.ndarray, labels: tuple[str, ...]) -> list[str]:
    """Return the lines that a sequence is to have, by one call over the whole of it."""
    with torch.no_grad():
        given = torch.from_numpy(steps)[None]
        scores = network.graph("step", given, *network.initial_state(1))[0][0]  # [T, C]
    shares = torch.softmax(scores.double(), 1)
    return [f"{labels[int(row.argmax())]}\t{float(row.max()):.3f}" for row in shares]


def test_frames_of_an_npz_are_tagged_clip_by_clip(frames: Path, tmp_path: Path, run: Run) -> None:
    np.savez(tmp_path / "clips.npz", frames=CLIPS, lengths=[5, 3])
    code, out, err = run("tag", frames, tmp_path / "clips.npz")
    assert (code, err) == (0, "")
    first, second = (part.splitlines() for part in out.split("\n\n"))
    network = frame_network()
    wanted = expected(network, CLIPS[0], FRAME_LABELS)
    assert first == [f"{at}\t{line}" for at, line in enumerate(wanted)]
    wanted = expected(network, CLIPS[1, :3], FRAME_LABELS)
    assert second == [f"{at}\t{line}" for at, line in enumerate(wanted)]
    assert len({line.split("\t")[1] for line in first + second}) > 1
    records = run("tag", frames, tmp_path / "clips.npz", "--json")[1].splitlines()
    told = [json.loads(line) for line in records]
    assert [len(record["steps"]) for record in told] == [5, 3]
    assert told[0]["artifact"] == "onnx/step.onnx"
    assert told[0]["source"].endswith("clips.npz[0]")
    assert [s["label"] for s in told[0]["steps"]] == [line.split("\t")[1] for line in first]


def test_one_clip_needs_no_axis_of_clips_and_grey_ones_no_channels(
    frames: Path, tmp_path: Path, run: Run
) -> None:
    np.savez(tmp_path / "one.npz", frames=CLIPS[0])
    wanted = expected(frame_network(), CLIPS[0], FRAME_LABELS)
    out = run("tag", frames, tmp_path / "one.npz")[1]
    assert out.splitlines() == [f"{at}\t{line}" for at, line in enumerate(wanted)]
    grey = export_frames(tmp_path / "grey", channels=1)
    np.savez(tmp_path / "grey.npz", frames=CLIPS[..., 0])
    code, out, err = run("tag", grey, tmp_path / "grey.npz")
    assert (code, err) == (0, "")
    wanted = expected(frame_network(channels=1), CLIPS[1, ..., :1], FRAME_LABELS)
    assert out.split("\n\n")[1].splitlines() == [f"{at}\t{s}" for at, s in enumerate(wanted)]


def test_a_folder_of_pictures_is_tagged_in_the_order_of_its_numbers(
    frames: Path, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for at, frame in enumerate(CLIPS[0][:3]):
        Image.fromarray(frame).save(folder / f"f{8 + at}.png")  # f10 after f9
    code, out, err = run("tag", frames, folder)
    wanted = expected(frame_network(), CLIPS[0][:3], FRAME_LABELS)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"f{8 + at}.png\t{line}" for at, line in enumerate(wanted)]
    assert run("tag", frames, folder / "f8.png")[1] == f"f8.png\t{wanted[0]}\n"


def test_pictures_are_made_grey_and_as_wide_as_the_tagger_sees(tmp_path: Path, run: Run) -> None:
    grey = export_frames(tmp_path / "grey", channels=1, width=5)
    given = CLIPS[0, :1, :, :5].repeat(1, 0)
    Image.fromarray(given[0, ..., 0]).save(tmp_path / "frame.png")
    code, out, err = run("tag", grey, tmp_path / "frame.png")
    wanted = expected(frame_network(channels=1, width=5), given[..., :1], FRAME_LABELS)
    assert (code, out, err) == (0, f"frame.png\t{wanted[0]}\n", "")


def test_a_file_of_columns_is_read_as_in_training(words: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "words.conll").write_text("turn\tX\ton\non\tX\tother\n\nlamp\tX\ton\n")
    (tmp_path / "text.txt").write_text("turn on\nlamp\n")
    out = run("tag", words, tmp_path / "words.conll")[1]
    assert out == run("tag", words, tmp_path / "text.txt")[1]


def test_words_of_a_text_and_of_standard_input(
    words: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "turn on the lamp\n\n  the   zebra on\n"
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    code, out, err = run("tag", words, tmp_path / "text.txt")
    assert (code, err) == (0, "")
    wanted = []
    for line in ("turn on the lamp", "the zebra on"):
        ids = [WORDS.index(word) if word in WORDS else 0 for word in line.split()]
        told = expected(word_network(), np.array(ids), WORD_LABELS)
        wanted.append("".join(f"{w}\t{t}\n" for w, t in zip(line.split(), told, strict=True)))
    assert out == "\n".join(wanted)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert run("tag", words, "-")[1] == out


def test_a_late_tagger_waits_for_the_label_of_each_step(tmp_path: Path, run: Run) -> None:
    bundle = export_words(tmp_path / "late", late=2)
    (tmp_path / "text.txt").write_text("turn on the lamp")
    out = run("tag", bundle, tmp_path / "text.txt")[1]
    ids = np.array([1, 2, 3, 4, 4, 4])  # goes on with its last word
    told = expected(word_network(), ids, WORD_LABELS)[2:]
    words = ["turn", "on", "the", "lamp"]
    assert out == "".join(f"{w}\t{t}\n" for w, t in zip(words, told, strict=True))


@pytest.mark.parametrize(
    ("bundle", "given", "told"),
    [
        ("frames", "none.npz", "none.npz"),
        ("frames", "-", "frames, which do not come on standard input"),
        ("frames", "large.npz", r"its frames are [9, 9, 3], the tagger sees [8, 8, 3]"),
        ("frames", "empty", "holds no picture"),
        ("words", "none.txt", "cannot read the sentences"),
        ("words", "blank.txt", "blank.txt holds no sentence"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(
    bundle: str, given: str, told: str, tmp_path: Path, run: Run, request: pytest.FixtureRequest
) -> None:
    np.savez(tmp_path / "large.npz", frames=np.zeros((1, 2, 9, 9, 3), np.uint8))
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank.txt").write_text("\n")
    place = tmp_path / given
    given = str(place) if place.exists() else given
    code, out, err = run("tag", request.getfixturevalue(bundle), given)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


def test_other_commands_name_this_one_and_it_names_others(
    words: Path, bundle_folder: Path, run: Run
) -> None:
    assert "it gives a label to each frame or word; use: edgernn tag" in run("generate", words)[2]
    assert "use: edgernn generate" in run("tag", bundle_folder, "x.txt")[2]
