"""The built-in digits: what is held out stays held out, and a cluttered picture holds its digit."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgernn.data.pictures import digits
from edgernn.data.pictures.cluttered import Clutter, cluttered_digits
from edgernn.data.pictures.digits import draw_digits, load_digits
from edgernn.errors import UnavailableError, UsageError


def test_no_digit_is_of_both_splits() -> None:
    (train, labels), (held, others) = load_digits("train"), load_digits("validation")
    assert (len(train), len(held)) == (1497, 300)
    assert train.shape[1:] == (8, 8)
    assert (train.min(), train.max()) == (0, 1)
    assert {*labels} == {*others} == set(range(10))
    seen = {picture.tobytes() for picture in train}
    assert not any(picture.tobytes() in seen for picture in held)


def test_an_enlarged_digit_is_bilinear_and_a_varied_one_is_another() -> None:
    picture = np.zeros((1, 8, 8), np.float32)
    picture[0, 3, 4] = 1
    rng = np.random.default_rng(0)
    (large,) = draw_digits(picture, 16, rng=rng, varied=False)
    centres = (np.arange(16) - 7.5) / 2 + 3.5  # of the 16 pixels, in pixels of the 8
    down, across = np.maximum(0, 1 - np.abs(centres - 3)), np.maximum(0, 1 - np.abs(centres - 4))
    assert np.allclose(large, np.outer(down, across), atol=1e-6)
    one, other = (draw_digits(picture, 16, rng=rng, varied=True)[0] for _ in range(2))
    assert np.abs(one - other).max() > 0.05


def test_a_cluttered_picture_holds_its_digit_whole_and_depends_on_the_seed_alone() -> None:
    clutter = Clutter(side=24, digit=12, pieces=0)
    pictures, labels = cluttered_digits("validation", 20, clutter=clutter, seed=3)
    assert (pictures.shape, pictures.dtype) == ((20, 24, 24, 1), np.uint8)
    again, same = cluttered_digits("validation", 20, clutter=clutter, seed=3)
    assert np.array_equal(pictures, again)
    assert np.array_equal(labels, same)
    rows, columns = pictures[..., 0].any(2), pictures[..., 0].any(1)  # where there is ink
    for ink in (*rows, *columns):
        places = np.flatnonzero(ink)
        assert 5 <= places[-1] - places[0] + 1 <= 12
    littered, _ = cluttered_digits("validation", 20, clutter=Clutter(side=24, digit=12), seed=3)
    assert littered.astype(int).sum() > 1.3 * pictures.astype(int).sum()


def test_an_unknown_split_and_a_machine_without_scikit_learn_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError, match="no split 'test' of digits; expected one of train"):
        load_digits("test")
    digits._all_digits.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UnavailableError, match="scikit-learn, which is not installed; run: "):
        load_digits("train")
