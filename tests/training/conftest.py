"""A small set of drawn pictures to train captioners on."""

from __future__ import annotations

import pytest

from edgernn.data.pictures import scenes
from edgernn.data.pictures.picture_set import PictureSet
from edgernn.data.text.tokenizer import Tokenizer

SIZE, TRAIN, VALIDATION = 32, 9, 4


@pytest.fixture(scope="session")
def picture_set(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    """Nine pictures to train on and four to measure on, five captions each. Read only."""
    drawn = {
        split: scenes.examples(split, count, size=SIZE)
        for split, count in (("train", TRAIN), ("validation", VALIDATION))
    }
    promised = {"train": (TRAIN, drawn["train"]), "validation": (VALIDATION, drawn["validation"])}
    return PictureSet.write(
        tmp_path_factory.mktemp("pictures") / "set", promised, size=SIZE, source="a test"
    )


@pytest.fixture(scope="session")
def scene_tokenizer(picture_set: PictureSet) -> Tokenizer:
    """The words of the training captions."""
    lines = [
        f"{text}\n" for index in picture_set.split("train") for text in picture_set.captions[index]
    ]
    return Tokenizer.build(lines, "caption", minimum_count=1)
