"""Classes that labels name, and how examples are split."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.data.labelled.classes import classes_of, label_ids, split
from edgernn.errors import DataError, UsageError


def test_numbers_by_size_and_names_by_alphabet() -> None:
    assert classes_of(["10", "9", "-1"], source="a") == ["-1", "9", "10"]
    assert classes_of(["b", "a", "10"], source="a") == ["10", "a", "b"]
    assert classes_of(["2", "--1", "-"], source="a") == ["-", "--1", "2"]
    assert classes_of(["2", "1" * 5000], source="a") == ["1" * 5000, "2"]


def test_one_class_too_many_and_two_that_differ_by_case() -> None:
    with pytest.raises(DataError, match=r"a\.csv has one label alone, 'x', in all of its 3 rows"):
        classes_of(["x"] * 3, source="a.csv")
    with pytest.raises(DataError, match="1,001 labels in 1,001 rows"):
        classes_of([str(n) for n in range(1001)], source="a")
    with pytest.raises(DataError, match=r"'Good' and 'good' \(line 3\), which differ by case"):
        classes_of(["Good", "good"], source="a", places=["line 2", "line 3"])


def test_ids_of_labels() -> None:
    assert label_ids(["b", "a"], ["a", "b"], source="v").tolist() == [1, 0]
    with pytest.raises(DataError, match="v has the label 'c', which the training data have not"):
        label_ids(["c"], ["a", "b"], source="v")


def test_a_split_keeps_equal_examples_together_and_has_each_class() -> None:
    labels = ["a"] * 40 + ["b"] * 10 + ["c"]
    keys = [*range(20), *range(20), *range(100, 111)]
    train, kept = split(labels, keys, fraction=0.2, seed=3, source="s")
    assert sorted(train + kept) == list(range(51))
    assert not {keys[p] for p in train} & {keys[p] for p in kept}
    counts = {name: sum(labels[p] == name for p in kept) for name in "abc"}
    assert counts == {"a": 8, "b": 2, "c": 0}
    assert split(labels, keys, fraction=0.2, seed=3, source="s") == (train, kept)
    assert split(labels, keys, fraction=0.2, seed=4, source="s") != (train, kept)


def test_a_split_that_cannot_be() -> None:
    with pytest.raises(DataError, match="s has one example of each class"):
        split(["a", "b"], [0, 1], fraction=0.5, seed=0, source="s")
    for fraction in (0.0, 0.6, np.nan):
        with pytest.raises(UsageError, match="validation fraction"):
            split(["a", "a"], [0, 1], fraction=fraction, seed=0, source="s")
