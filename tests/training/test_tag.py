"""``train tag``: what one's own files become, how late labels are asked for, and a whole run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgernn.cli.train_tag import _widths
from edgernn.contract import validated
from edgernn.data.examples import ExampleSet
from edgernn.errors import DataError, UsageError
from edgernn.models import checkpoint
from edgernn.training.gradients_file import GRADIENTS, read_gradients
from edgernn.training.kinds import EXAMPLES, kind_of
from edgernn.training.options import TrainOptions
from edgernn.training.run_examples import train_examples
from edgernn.training.tag import TagKind, TagSetup
from edgernn.training.tag_network import channels_for
from edgernn.training.tag_sources import TagData, sequences_of

LINES = ["turn O", "on O", "lamp B", "fan B", "", "turn O", "off O", "lamp C", ""]


@pytest.fixture
def columns(tmp_path: Path) -> Path:
    path = tmp_path / "words.conll"
    path.write_text("\n".join(LINES * 12), encoding="utf-8")
    return path


def _clips(path: Path, *, count: int = 12, steps: int = 5, side: int = 8) -> Path:
    """Write clips whose frames are bright or dark; the label says which the frame before was."""
    random = np.random.default_rng(count)
    bright = random.integers(0, 2, (count, steps))
    frames = np.repeat(bright * 200, side * side * 3, 1).reshape(count, steps, side, side, 3)
    before = np.concatenate([np.zeros((count, 1), int), bright[:, :-1]], 1)
    np.savez(path, frames=frames.astype(np.uint8), labels=before, classes=["dark", "bright"])
    return path


def _prepared(folder: Path, data: TagData, setup: TagSetup) -> ExampleSet:
    folder.mkdir()
    kind_of("tag").prepare(data, folder, setup=setup, tell=lambda line: None)
    return ExampleSet.open(folder / EXAMPLES)


def test_words_become_ids_and_tags_the_places_of_their_names(columns: Path, tmp_path: Path) -> None:
    data = TagData(data=str(columns), validation=columns)
    found = _prepared(tmp_path / "run", data, TagSetup())
    assert found.about["labels"] == ["O", "B", "C"]
    words = json.loads((tmp_path / "run" / checkpoint.TOKENIZER).read_text())["model"]["vocab"]
    assert words == {"<unk>": 0, "lamp": 1, "turn": 2, "fan": 3, "off": 4, "on": 5}
    train = found.parts["train"]
    assert found.count("train") == found.count("validation") == 24
    row = int(np.flatnonzero(train["lengths"] == 3)[0])
    assert train["tokens"][row].tolist() == [2, 4, 1, 0]
    assert train["target"][row].tolist() == [0, 0, 2, -1]
    held = checkpoint.read_evaluation(tmp_path / "run" / checkpoint.EVALUATION)
    assert held.keys() == {"tokens", "lengths", "target"}


def test_a_late_label_is_asked_for_that_many_steps_later(columns: Path, tmp_path: Path) -> None:
    data = TagData(data=str(columns), validation=columns)
    found = _prepared(tmp_path / "run", data, TagSetup(delay=2))
    kept = found.parts["validation"]
    row = int(np.flatnonzero(kept["lengths"] == 5)[0])
    assert kept["tokens"][row].tolist() == [2, 4, 1, 1, 1, 0]
    assert kept["target"][row].tolist() == [-1, -1, 0, 0, 2, -1]
    network = TagKind().network(TagSetup(delay=2), found, _tokenizer(tmp_path / "run"))
    assert network.contract().latency_frames == 2


def _tokenizer(folder: Path) -> checkpoint.Tokenizer:
    return checkpoint.Tokenizer.load(folder / checkpoint.TOKENIZER)


def test_some_words_are_hidden_in_training_so_that_an_unknown_one_is_no_surprise(
    tmp_path: Path,
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(LINES * 200))
    found = _prepared(tmp_path / "run", TagData(data=str(path), validation=path), TagSetup())
    hidden = {}
    for split, part in found.parts.items():
        inside = np.arange(part["tokens"].shape[1]) < part["lengths"][:, None]
        hidden[split] = (part["tokens"][inside] == 0).mean()
    assert 0.01 < hidden["train"] < 0.06
    assert hidden["validation"] == 0


def test_frames_stay_frames_and_few_sequences_are_cut_into_pieces(tmp_path: Path) -> None:
    path = _clips(tmp_path / "clips.npz", count=1, steps=50)
    train, kept = sequences_of(TagData(data=str(path), longest=10, validation_fraction=0.2))
    assert [len(own) for own in train.labels] == [10] * 4
    assert kept.labels[0] == train.labels[0] or len(kept.labels) == 1
    assert np.array_equal(kept.sequences[0], np.load(path)["frames"][0, 40:])
    found = _prepared(tmp_path / "run", TagData(data=str(path), longest=10), TagSetup())
    assert found.about["frame"] == [8, 8, 3]
    assert found.parts["train"]["frames"].dtype == np.uint8
    config = TagKind().network(TagSetup(), found, None)
    assert config.contract().sizes["classes"] == 2
    with pytest.raises(DataError, match="one sequence of 50 steps"):
        sequences_of(TagData(data=str(path), longest=64))


def test_what_does_not_go_together_is_told(columns: Path, tmp_path: Path) -> None:
    clips = _clips(tmp_path / "clips.npz")
    other = _clips(tmp_path / "other.npz", side=9)
    with pytest.raises(DataError, match=r"holds sentences of words and .* clips of frames"):
        sequences_of(TagData(data=str(columns), validation=clips))
    with pytest.raises(DataError, match=r"clip 1: its frames are \[9, 9, 3\], the first clip's"):
        sequences_of(TagData(data=str(clips), validation=other))
    with pytest.raises(DataError, match=r"no file or folder clip; give one.*did you mean clips"):
        sequences_of(TagData(data="clip"))
    with pytest.raises(UsageError, match="--size is for data of your own, and clips is built in"):
        sequences_of(TagData(data="clips", size=8))
    with pytest.raises(UsageError, match=r"cell is 'gruu': expected one of .*did you mean gru"):
        validated(TagSetup, cell="gruu")
    with pytest.raises(UsageError, match="--channels is '12,x'"):
        _widths("12,x")


def test_convolutions_make_a_picture_small() -> None:
    assert channels_for(16, 16) == (12, 24)
    assert channels_for(64, 48) == (12, 24, 32, 48)
    assert channels_for(6, 6) == ()


def test_a_run_learns_what_only_the_frame_before_tells(tmp_path: Path) -> None:
    data = TagData(data=str(_clips(tmp_path / "clips.npz", count=80)))
    options = TrainOptions.model_validate(
        {
            "budget": {"unit": "steps", "amount": 120},
            "batch": 16,
            "peak_rate": 0.02,
            "evaluations": 1,
            "threads": 1,
            "gradients": True,
        }
    )
    setup = TagSetup(hidden=8, features=4)
    run = train_examples(TagKind(), data, tmp_path / "run", options=options, setup=setup)
    assert run.measured["accuracy"] > 0.97
    (measured,) = read_gradients(run.folder / GRADIENTS)
    assert all(np.shape(norms) == (4, 1) for norms in measured["norms"].values())
    more = options.model_copy(update={"vanishing_penalty": 0.1})
    with pytest.raises(UsageError, match="norm counts the statistics of what it sees"):
        train_examples(TagKind(), data, tmp_path / "other", options=more, setup=setup)
    assert checkpoint.load(tmp_path / "run").model.config.labels == {"classes": ("dark", "bright")}
