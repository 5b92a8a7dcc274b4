"""What a captioning run keeps of its pictures to measure exported models on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgernn.data.pictures.picture_set import Example, PictureSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.training import caption_corpus
from edgernn.training.caption_corpus import evaluation_sample


def test_references_are_as_many_as_the_picture_with_most_and_cut_at_the_length(
    caption_tokenizer: Tokenizer, pictures: np.ndarray, tmp_path: Path
) -> None:
    texts = [
        ("a red dot",),
        ("a black cat", "two dogs in the snow", "a boat"),
        ("the man's hat is red and small",),
    ]
    examples = [Example(pictures[index], text, f"{index}.png") for index, text in enumerate(texts)]
    made = PictureSet.write(
        tmp_path / "set",
        {"train": (1, examples[:1]), "validation": (2, examples[1:])},
        size=32,
        source="t",
    )
    sample = evaluation_sample(made, caption_tokenizer, longest=4)
    assert np.array_equal(sample["image"], pictures[1:3])
    assert sample["captions"].shape == (2, 3, 5)
    spelled = [
        [caption_tokenizer.decode([token for token in row if token > 3]) for row in own]
        for own in sample["captions"]
    ]
    assert spelled == [["a black cat", "two dogs in the", "a boat"], ["the man's hat is", "", ""]]
    assert not sample["captions"][1, 1:].any()


def test_an_evaluation_sample_is_bounded(
    monkeypatch: pytest.MonkeyPatch, picture_set: PictureSet, scene_tokenizer: Tokenizer
) -> None:
    monkeypatch.setattr(caption_corpus, "_EVALUATION_PICTURES", 3)
    assert len(evaluation_sample(picture_set, scene_tokenizer, longest=9)["image"]) == 3
    monkeypatch.setattr(caption_corpus, "_EVALUATION_BYTES", 2 * 3 * 32**2)
    assert len(evaluation_sample(picture_set, scene_tokenizer, longest=9)["image"]) == 2
    monkeypatch.setattr(caption_corpus, "_EVALUATION_BYTES", 1)
    assert len(evaluation_sample(picture_set, scene_tokenizer, longest=9)["image"]) == 1


def test_the_held_out_pictures_have_at_most_8_mb(scene_tokenizer: Tokenizer) -> None:
    side = 1024  # three megabytes a picture
    large = PictureSet(
        pictures=np.broadcast_to(np.uint8(9), (5, side, side, 3)),
        captions=(("a dot",),) * 5,
        names=tuple("abcde"),
        source="t",
        size=side,
        splits={"train": range(1), "validation": range(1, 5)},
    )
    assert evaluation_sample(large, scene_tokenizer, longest=9)["image"].shape == (2, side, side, 3)
