"""The classes that labels name: their order, and how examples of them are split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from edgernn.errors import DataError, UsageError
from edgernn.wording import some

_MOST_CLASSES = 1000
_WHOLE = re.compile(r"-?[0-9]{1,30}")


def classes_of(labels: Sequence[str], *, source: str, places: Sequence[str] = ()) -> list[str]:
    """Return the classes that ``labels`` name: whole numbers by their size, others by alphabet.

    Args:
        labels: of all examples.
        source: where they come from, for messages.
        places: of each label in it, likewise.

    Raises:
        DataError: there is one class alone, or more than 1,000; or two differ by case alone.
    """
    counts = Counter(labels)
    if len(counts) < 2:
        raise DataError(
            f"{source} has one label alone, {labels[0]!r}, in all of its {len(labels)} rows; "
            "a classifier needs examples of two classes or more"
        )
    if len(counts) > _MOST_CLASSES:
        raise DataError(
            f"{source} has {len(counts):,} labels in {len(labels):,} rows, expected at most "
            f"{_MOST_CLASSES:,}; name the column of labels with --label-column"
        )
    folded: dict[str, str] = {}
    for name in counts:
        if (other := folded.setdefault(name.casefold(), name)) != name:
            where = f" ({places[labels.index(name)]})" if places else ""
            raise DataError(
                f"{source} has the labels {other!r} and {name!r}{where}, which differ by case "
                "alone; write them alike"
            )
    if all(_WHOLE.fullmatch(name) for name in counts):
        return sorted(counts, key=int)
    return sorted(counts)


def label_ids(labels: Sequence[str], classes: Sequence[str], *, source: str) -> np.ndarray:
    """Return the place of each label among ``classes``, int64 ``[N]``.

    Raises:
        DataError: a label is none of them.
    """
    places = {name: place for place, name in enumerate(classes)}
    if unknown := [name for name in labels if name not in places]:
        raise DataError(
            f"{source} has the label {unknown[0]!r}, which the training data have not; they have "
            f"{some(classes)}"
        )
    return np.array([places[name] for name in labels], np.int64)


def split(
    labels: Sequence[str], keys: Sequence[Hashable], *, fraction: float, seed: int, source: str
) -> tuple[list[int], list[int]]:
    """Return the places of the examples to train on and of those to validate on.

    Of each class about ``fraction`` is kept for validation, one at least where there are two.
    Examples with equal ``keys``, as a text that is there twice, are kept together.

    Raises:
        UsageError: the fraction is out of range.
        DataError: nothing would be left for one of both.
    """
    if not 0 < fraction <= 0.5:
        raise UsageError(f"the validation fraction is {fraction:g}, expected above 0 and up to 0.5")
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    by_class: dict[str, list[list[int]]] = {}
    for places in groups.values():
        by_class.setdefault(labels[places[0]], []).append(places)
    rng, kept = np.random.default_rng(seed), set[int]()
    for name in sorted(by_class):
        own = by_class[name]
        count = min(len(own) - 1, max(1, round(fraction * len(own))))
        kept.update(place for at in rng.permutation(len(own))[:count] for place in own[at])
    if not kept:
        raise DataError(
            f"{source} has one example of each class, where equal ones count once; give two or "
            "more of some"
        )
    return [p for p in range(len(labels)) if p not in kept], sorted(kept)
