"""Scripts that put no spaces between words: Han, Kana, Thai, Lao, Khmer and Burmese.

Where words are what stands between spaces, a whole sentence of these would be one word. So each of
their characters is a word of its own, with the marks that stand over and under it, as in Chinese
captions cut for scoring.
"""

from __future__ import annotations

# First and last code point of each run of letters, marks and digits; punctuation lies between the
# runs.
_RUNS = (
    (0x0E01, 0x0E3A),  # Thai
    (0x0E40, 0x0E4E),
    (0x0E50, 0x0E59),
    (0x0E81, 0x0EDF),  # Lao
    (0x1000, 0x1049),  # Burmese
    (0x1050, 0x109D),
    (0xA9E0, 0xA9FE),
    (0xAA60, 0xAA76),
    (0xAA7A, 0xAA7F),
    (0x1780, 0x17D3),  # Khmer
    (0x17D7, 0x17D7),
    (0x17DC, 0x17DD),
    (0x17E0, 0x17E9),
    (0x3005, 0x3007),  # Han: signs of repetition and zero
    (0x3041, 0x3096),  # Hiragana
    (0x3099, 0x309A),
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),  # Katakana
    (0x30FC, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAD9),
    (0xFF66, 0xFF9F),  # Katakana of half width
    (0x1B000, 0x1B122),  # Kana, historic
    (0x20000, 0x3FFFD),  # Han, rare
)
# To be put between the [ and ] of a pattern. The characters stand for themselves, which every host
# reads alike.
CHARACTERS = "".join(f"{chr(first)}-{chr(last)}" for first, last in _RUNS)
# One character and its marks.
UNSPACED_WORD = rf"[{CHARACTERS}]\p{{M}}*"


def spaced(*categories: str) -> str:
    """Return a pattern for one character of the Unicode ``categories``, such as ``L``, in any other
    script.

    It needs neither the difference of two classes nor a look ahead, which not every host's patterns
    have.
    """
    return "|".join(rf"[^\P{{{category}}}{CHARACTERS}]" for category in categories)
