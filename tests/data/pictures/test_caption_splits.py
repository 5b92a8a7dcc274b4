"""Which pictures train and which measure."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.data.pictures.caption_splits import assign_splits
from edgernn.data.pictures.captions import CaptionCorpus, CaptionedPicture
from edgernn.errors import DataError, UsageError


def corpus_of(names: list[str], splits: list[str | None] | None = None) -> CaptionCorpus:
    given_splits = splits or [None] * len(names)
    pictures = (
        CaptionedPicture(Path(name), ("A thing.",), split)
        for name, split in zip(names, given_splits, strict=True)
    )
    return CaptionCorpus(tuple(pictures), "csv", (), 0)


def test_splits_come_from_the_names_alone() -> None:
    names = [f"{number}.jpg" for number in range(2000)]
    split_of = {
        picture.name: picture.split
        for picture in assign_splits(corpus_of(names), validation_fraction=0.1)
    }
    for name in names:
        part = int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64
        assert split_of[name] == ("validation" if part < 0.1 else "train")
    assert 150 < list(split_of.values()).count("validation") < 250
    shuffled = names[:1000]
    random.Random(0).shuffle(shuffled)
    assert all(
        split_of[picture.name] == picture.split
        for picture in assign_splits(corpus_of(shuffled), validation_fraction=0.1)
    )


@settings(max_examples=100, deadline=None)
@given(
    names=st.sets(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
        min_size=2,
        max_size=9,
    ),
    fraction=st.floats(1e-6, 0.5),
)
def test_few_pictures_still_give_both_splits(names: set[str], fraction: float) -> None:
    splits = [
        picture.split
        for picture in assign_splits(corpus_of(sorted(names)), validation_fraction=fraction)
    ]
    assert set(splits) == {"train", "validation"}


@pytest.mark.parametrize(
    ("names", "splits", "message"),
    [
        (
            ["a"],
            None,
            "there are 1 pictures for training and 0 for validation; each needs one at least",
        ),
        (["a", "b"], ["train", "test"], "there are 1 pictures for training and 0 for validation"),
        (
            ["a", "b"],
            ["validation", "test"],
            "there are 0 pictures for training and 1 for validation",
        ),
        (
            ["a", "b", "c"],
            ["train", "validation", None],
            r"1 of 3 pictures have no split \(c\); name one for every picture",
        ),
    ],
)
def test_splits_that_cannot_be(
    names: list[str], splits: list[str | None] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        assign_splits(corpus_of(names, splits), validation_fraction=0.1)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 0.51, float("nan")])
def test_a_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(
        UsageError, match=f"validation fraction is {fraction}; give one above 0 and up to 0.5"
    ):
        assign_splits(corpus_of(["a", "b"]), validation_fraction=fraction)
