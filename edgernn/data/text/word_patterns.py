"""The regular expressions by which text is cut into words, as they stand in a
``tokenizer.json``.
"""

from __future__ import annotations

from typing import Any

from edgernn.data.text.unspaced import UNSPACED_WORD, spaced

# Words and runs of punctuation take one space before them; newlines stand alone. Spelled with \p
# classes because \w means ASCII only in JavaScript, where web hosts read the same file. Byte pairs
# are learned within such words.
RUN_PATTERN = r" ?[\p{L}\p{M}\p{N}_]+| ?[^\s\p{L}\p{M}\p{N}_]+|\n|[^\S\n]+"
# The same, but of scripts without spaces a character is a word.
WORD_PATTERN = (
    rf" ?{UNSPACED_WORD}| ?(?:{spaced('L', 'M', 'N')}|_)+| "
    rf"?[^\s\p{{L}}\p{{M}}\p{{N}}_]+|\n|[^\S\n]+"
)
# A word of a caption: "don't" and "t-shirt" are one word each; what stands between two words is
# dropped. Its apostrophes are ' and U+2019, its hyphens - and U+2010, which NFKC makes of U+2011.
_JOINED = "['\u2019\u2010-]"
_LETTERS = f"(?:{spaced('L', 'M', 'N')})+"
CAPTION_PATTERN = f"{UNSPACED_WORD}|{_LETTERS}(?:{_JOINED}{_LETTERS})*"
# What stood in their place before scripts without spaces were cut; files and runs of then go on
# working.
_FORMER_WORDS = {
    WORD_PATTERN: RUN_PATTERN,
    CAPTION_PATTERN: r"[\p{L}\p{M}\p{N}]+(?:[" "'\u2019\u2010-" r"][\p{L}\p{M}\p{N}]+)*",
}


def as_it_was(structure: dict[str, Any]) -> dict[str, Any]:
    """Return a structure with the pattern that stood in it before."""
    pattern = (structure["pre_tokenizer"] or {}).get("pattern", {})
    if pattern.get("Regex") not in _FORMER_WORDS:
        return structure
    former = {"Regex": _FORMER_WORDS[pattern["Regex"]]}
    return {**structure, "pre_tokenizer": {**structure["pre_tokenizer"], "pattern": former}}
