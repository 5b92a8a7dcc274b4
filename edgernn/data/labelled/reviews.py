"""Generated reviews, positive or negative, whose words alone say nothing.

Each review has one verdict, and the verdict is an adjective turned round or not by denial ("not at
all bad"), contrast ("I expected the story to be great, but it was not") or hearsay. Whether a form
denies, and which of two ends a sentence has, is drawn by a coin of its own. So for each word, given
that it occurs, both labels are equally likely, and what counts is which words belong together and
in what order.

A form with an adjective is a combination: of those, each adjective's with one plain and one denying
form are kept out of training (``is_unseen``). Every review for validation has such a combination as
its verdict.
"""

from __future__ import annotations

import numpy as np

from edgernn.data.labelled.review_words import ADJECTIVES, ASPECTS, FILLERS, FORMS, VERDICTS
from edgernn.data.labelled.texts import LabelledText
from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

LABELS = ("negative", "positive")
SPLITS = {"train": 8000, "validation": 1000}
_SHARE_OF_FILLERS = 0.4  # before the verdict, and again after it


def reviews(split: str, count: int, *, seed: int = 0) -> list[LabelledText]:
    """Return the first ``count`` reviews of a split; the same arguments give the same reviews.

    Args:
        split: a key of ``SPLITS``.
        count: it may go beyond the split's default.
        seed: of the whole corpus, 0 or more.

    Raises:
        UsageError: there is no such split, or a number is negative.
    """
    if split not in SPLITS:
        raise UsageError(
            f"there is no split {split!r} of reviews; {expected_one_of(split, SPLITS)}"
        )
    if count < 0 or seed < 0:
        raise UsageError(f"{count} reviews of seed {seed}; give numbers of 0 or more")
    place = list(SPLITS).index(split)
    drawn = (np.random.default_rng([seed, place, index]) for index in range(count))
    return [_review(rng, unseen=split != "train") for rng in drawn]


def is_unseen(form: int, adjective: int) -> bool:
    """Return whether the combination of two places in their tables is kept out of training."""
    return (form + adjective) % len(FORMS[True]) == 0


def _review(rng: np.random.Generator, *, unseen: bool) -> LabelledText:
    positive = bool(rng.integers(2))
    pattern, ends = VERDICTS[rng.integers(len(VERDICTS))]
    turned = bool(ends) and bool(rng.integers(2))
    thing, other = rng.permutation(len(ASPECTS))[:2]
    praises = positive != turned
    verdict = pattern.format(
        thing=ASPECTS[thing],
        other=ASPECTS[other],
        said=_statement(rng, praises, denies=bool(rng.integers(2)), unseen=unseen),
        plain=_statement(rng, praises, denies=False, unseen=unseen),
        opposite=_statement(rng, not praises, denies=bool(rng.integers(2)), unseen=False),
        end=ends[turned] if ends else "",
    )
    sentences = [*_filler(rng), verdict, *_filler(rng)]
    text = " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
    return LabelledText(text, LABELS[positive])


def _statement(rng: np.random.Generator, praises: bool, *, denies: bool, unseen: bool) -> str:
    """Return a form with its adjective that praises or does not, a combination of those kept out of
    training or of the others.
    """
    forms, adjectives = FORMS[denies], ADJECTIVES[praises != denies]
    form = int(rng.integers(len(forms)))
    fitting = [word for place, word in enumerate(adjectives) if is_unseen(form, place) == unseen]
    return forms[form].format(fitting[rng.integers(len(fitting))])


def _filler(rng: np.random.Generator) -> list[str]:
    """Return no sentence, or one that says nothing of what it was like."""
    if rng.random() >= _SHARE_OF_FILLERS:
        return []
    return [FILLERS[rng.integers(len(FILLERS))]]
