"""Generated reviews: words alone say nothing, combinations are kept out, the seed decides."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from edgernn.data.labelled.review_words import ADJECTIVES, FORMS
from edgernn.data.labelled.reviews import LABELS, SPLITS, is_unseen, reviews
from edgernn.errors import UsageError

KEPT_OUT = {
    forms[form].format(word)
    for denies, forms in FORMS.items()
    for words in ADJECTIVES.values()
    for form in range(len(forms))
    for place, word in enumerate(words)
    if is_unseen(form, place)
}
DENYING = [form.removesuffix(" {}") for form in FORMS[True]]
SIDE = {word: praises for praises, words in ADJECTIVES.items() for word in words}
STATEMENT = re.compile(
    rf"\b((?:{'|'.join(sorted(DENYING, key=len, reverse=True))}) )?(?:(?:very|really|truly|simply|"
    rf"quite) )?({'|'.join(SIDE)})\b",
    re.I,
)


def read(text: str) -> str:
    """The label of a review as a person finds it, written apart from the generator."""
    said = [SIDE[m[2].lower()] != bool(m[1]) for m in STATEMENT.finditer(text)]
    turned = re.search(r"but it was not\.|they were wrong|Nobody could", text, re.I) is not None
    counts = said[0] if re.search(r", although", text) else said[-1]
    return LABELS[counts != turned]


def test_a_person_reads_the_same_label() -> None:
    found = reviews("train", 600) + reviews("validation", 300)
    assert [read(review.text) for review in found] == [review.label for review in found]


@pytest.mark.parametrize("split", SPLITS)
def test_no_word_says_anything_alone(split: str) -> None:
    met, positive = Counter[str](), Counter[str]()
    for review in reviews(split, 6000):
        words = set(re.findall(r"\w+", review.text.lower()))
        met.update(words)
        positive.update(words if review.label == "positive" else ())
    away = {word: abs(positive[word] / n - 0.5) * 2 * np.sqrt(n) for word, n in met.items()}
    assert max(away.values()) < 4.5, max(away, key=lambda word: away[word])  # standard deviations


def _statements(text: str) -> set[str]:
    return {match[0].lower() for match in STATEMENT.finditer(text)}


def test_combinations_are_kept_out_of_training_and_decide_in_validation() -> None:
    trained = set().union(*(_statements(review.text) for review in reviews("train", 3000)))
    assert not trained & KEPT_OUT
    assert all(_statements(review.text) & KEPT_OUT for review in reviews("validation", 300))


def test_every_adjective_is_trained_with_and_without_denial() -> None:
    trained = Counter[tuple[str, bool]]()
    for review in reviews("train", 3000):
        trained.update((m[2].lower(), bool(m[1])) for m in STATEMENT.finditer(review.text))
    assert len(trained) == 2 * len(SIDE)


def test_the_seed_decides_and_more_reviews_begin_alike() -> None:
    assert reviews("train", 5, seed=1) == reviews("train", 9, seed=1)[:5]
    assert reviews("train", 5, seed=1) != reviews("train", 5, seed=2)


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="no split 'tests' of reviews; expected one of train"):
        reviews("tests", 1)
    with pytest.raises(UsageError, match="-1 reviews"):
        reviews("train", -1)
