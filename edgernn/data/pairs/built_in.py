"""The built-in pairs: numbers in words ↔ digits, and written dates ↔ ISO dates, made by a seed.

Both directions are one task: what is read says what is to be written. Some combinations are held
out whole: one in ten of the groups of three digits that have a hundred and something more ("three
hundred forty-two"), and one in ten of the pairs of a day and a month. No pair to train on has one,
in either direction; every pair to measure with has one.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

import numpy as np

from edgernn.data.pairs.dates import FIRST, LAST, written
from edgernn.data.pairs.numbers import MOST, groups, spelled
from edgernn.data.pairs.pairs import BOTH, DATES, NUMBERS, PAIRS, Pair, Pairs
from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

_HELD_OUT = 10  # one of so many combinations
_DAYS = (LAST - FIRST).days
_Random = np.random.Generator


def built_in_pairs(
    kind: str = BOTH, *, count: int = 60_000, validation: int = 1000, seed: int = 0
) -> Pairs:
    """Return ``count`` pairs to train on and ``validation`` pairs of held-out combinations.

    Args:
        kind: ``numbers``, ``dates`` or ``both``.
        seed: of the combinations that are held out and of the draw.

    Raises:
        UsageError: another kind.
    """
    if kind not in PAIRS:
        raise UsageError(f"there are no built-in pairs {kind!r}; {expected_one_of(kind, PAIRS)}")
    makers = [make(seed) for name, make in _KINDS.items() if kind in (name, BOTH)]
    train, held = (
        _drawn(makers, size, np.random.default_rng((seed, place)), held=bool(place))
        for place, size in enumerate((count, validation))
    )
    return Pairs(train, held, f"built-in {'numbers and dates' if kind == BOTH else kind}")


_Maker = Callable[[_Random], tuple[Pair, bool]]  # a pair, and whether it has a held-out combination


def _drawn(makers: list[_Maker], count: int, random: _Random, *, held: bool) -> tuple[Pair, ...]:
    made: list[Pair] = []
    while len(made) < count:
        pair, has_held = makers[len(made) % len(makers)](random)
        if has_held == held:
            made.append(pair)
    return tuple(made)


def _numbers(seed: int) -> _Maker:
    random = np.random.default_rng((seed, 2))
    composed = [group for group in range(101, 1000) if group % 100]
    out = {composed[at] for at in random.permutation(len(composed))[: len(composed) // _HELD_OUT]}

    def make(random: _Random) -> tuple[Pair, bool]:
        digits = int(random.integers(1, len(str(MOST)) + 1))
        number = int(random.integers(0, 10**digits))
        pair = (str(number), spelled(number))
        turned = bool(random.integers(2))
        return (pair[::-1] if turned else pair), not out.isdisjoint(groups(number))

    return make


def _dates(seed: int) -> _Maker:
    random = np.random.default_rng((seed, 3))
    leap = [datetime.date(2000, 1, 1) + datetime.timedelta(days) for days in range(366)]
    chosen = random.permutation(len(leap))[: len(leap) // _HELD_OUT]
    out = {(leap[at].month, leap[at].day) for at in chosen}

    def make(random: _Random) -> tuple[Pair, bool]:
        date = FIRST + datetime.timedelta(int(random.integers(_DAYS + 1)))
        forms, iso = written(date), date.isoformat()
        pair = (iso, forms[0])
        if random.integers(4):  # there are many forms to read, and one to write
            pair = (forms[int(random.integers(len(forms)))], iso)
        return pair, (date.month, date.day) in out

    return make


_KINDS: dict[str, Callable[[int], _Maker]] = {NUMBERS: _numbers, DATES: _dates}
