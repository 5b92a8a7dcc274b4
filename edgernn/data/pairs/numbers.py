"""Numbers below a hundred thousand in words, as American English spells them: 342 is "three hundred
forty-two".
"""

from __future__ import annotations

_BELOW_TWENTY = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
MOST = 99_999


def spelled(number: int) -> str:
    """Return a number from 0 to ``MOST`` in words."""
    if not 0 <= number <= MOST:
        raise ValueError(f"{number} is not from 0 to {MOST}")
    thousands, below = divmod(number, 1000)
    words = [f"{_group(thousands)} thousand"] if thousands else []
    if below or not thousands:
        words.append(_group(below))
    return " ".join(words)


def groups(number: int) -> tuple[int, ...]:
    """Return the groups of three digits of a number that are not 0, each 1 to 999."""
    return tuple(group for group in divmod(number, 1000) if group)


def _group(number: int) -> str:
    hundreds, below = divmod(number, 100)
    words = [f"{_BELOW_TWENTY[hundreds]} hundred"] if hundreds else []
    if below or not hundreds:
        words.append(_pair(below))
    return " ".join(words)


def _pair(number: int) -> str:
    if number < len(_BELOW_TWENTY):
        return _BELOW_TWENTY[number]
    tens, units = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{_BELOW_TWENTY[units]}" if units else "")
