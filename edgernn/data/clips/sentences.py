"""The built-in sentences of a tagger: orders to a household, whose words say by what stood before
them what they are.

``lamp`` is ``on`` after "turn on", ``off`` after "turn off", however many things were named in
between, and ``kept`` after "but not"; a place is an ``origin``, a ``target`` or on the way
(``via``), a name gives or receives. No word with such a tag has it by itself, so that a table of
words fails. A sentence depends on its split, its number and the seed alone.
"""

from __future__ import annotations

import numpy as np

from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

TAGS = ("other", "on", "off", "kept", "origin", "target", "via", "giver", "receiver")
SPLITS = {"train": 4000, "validation": 500}  # how many sentences each has unless told otherwise
_SWITCHES = {
    "on": ("turn on", "switch on", "start", "light"),
    "off": ("turn off", "switch off", "stop", "dim"),
}
_THINGS = ("lamp", "fan", "radio", "heater", "oven", "pump", "screen", "clock", "alarm", "kettle")
_GOODS = ("book", "ball", "key", "letter", "box", "cup", "coat", "map")
_KINDS = ("red", "old", "small", "new", "big", "blue", "heavy", "other")
_PLACES = ("kitchen", "garden", "cellar", "hall", "attic", "garage", "study", "porch", "yard")
_NAMES = ("anna", "ben", "clara", "david", "emma", "felix", "greta", "hugo")
_Words = list[tuple[str, str]]  # with their tags
_MOST_THINGS, _MOST_ORDERS = 4, 3


def make_sentence(split: str, index: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """Make one sentence of a split, word by word with its tag of ``TAGS``; the same arguments give
    the same sentence, whatever was made before.

    Args:
        split: a key of ``SPLITS``.
        index: which sentence, 0 or more; it may go beyond the split's default count.
        seed: of all sentences, 0 or more.

    Raises:
        UsageError: there is no such split, or a number is negative.
    """
    if split not in SPLITS:
        raise UsageError(
            f"there is no split {split!r} of sentences; {expected_one_of(split, SPLITS)}"
        )
    if index < 0 or seed < 0:
        raise UsageError(f"there is no sentence {index} of seed {seed}; give numbers of 0 or more")
    rng = np.random.default_rng([seed, list(SPLITS).index(split), index])
    words: _Words = []
    for order in range(rng.integers(1, _MOST_ORDERS + 1)):
        words += _plain(_pick(rng, ("then", ", and", "; now")) if order else "")
        words += (_switch, _carry, _give)[rng.integers(3)](rng)
    return words


def make_sentences(split: str, count: int, *, seed: int = 0) -> list[list[tuple[str, str]]]:
    """Return the first ``count`` sentences of a split; see ``make_sentence``."""
    return [make_sentence(split, index, seed=seed) for index in range(count)]


def _switch(rng: np.random.Generator) -> _Words:
    state = _pick(rng, tuple(_SWITCHES))
    words = _plain(_pick(rng, _SWITCHES[state])) + _things(rng, state)
    if rng.random() < 0.4:
        words += _plain("but not") + _things(rng, "kept")
    return words


def _things(rng: np.random.Generator, tag: str) -> _Words:
    """Return one thing or several, each with ``tag``, perhaps with where it is."""
    words: _Words = []
    for place in range(rng.integers(1, _MOST_THINGS + 1)):
        words += _plain("and" if place else "") + _noun(rng, _pick(rng, _THINGS), tag)
        if rng.random() < 0.2:
            words += [*_plain("in the"), (_pick(rng, _PLACES), "other")]
    return words


def _carry(rng: np.random.Generator) -> _Words:
    words = _plain(_pick(rng, ("carry", "move", "bring"))) + _noun(rng, _pick(rng, _GOODS), "other")
    ends = [("from", "origin"), ("to", "target"), ("through", "via")]
    for at in rng.permutation(3)[: rng.integers(1, 4)]:
        word, tag = ends[at]
        words += _plain(word) + _noun(rng, _pick(rng, _PLACES), tag)
    return words


def _give(rng: np.random.Generator) -> _Words:
    goods = _noun(rng, _pick(rng, _GOODS), "other")
    if rng.random() < 0.5:
        return _plain(_pick(rng, ("give", "hand", "lend"))) + _names(rng, "receiver") + goods
    return (
        _plain(_pick(rng, ("take", "get", "fetch"))) + goods + _plain("from") + _names(rng, "giver")
    )


def _names(rng: np.random.Generator, tag: str) -> _Words:
    first, second = (str(name) for name in rng.choice(_NAMES, 2, replace=False))
    words: _Words = [(first, tag)]
    return [*words, *_plain("and"), (second, tag)] if rng.random() < 0.4 else words


def _noun(rng: np.random.Generator, noun: str, tag: str) -> _Words:
    kind = _pick(rng, _KINDS) if rng.random() < 0.4 else ""
    return [*_plain("the", kind), (noun, tag)]


def _plain(*texts: str) -> _Words:
    return [(word, "other") for text in texts for word in text.split()]


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[rng.integers(len(words))]
