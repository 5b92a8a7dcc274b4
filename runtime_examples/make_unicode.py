"""Write the tables of Unicode classes that the C and C++ examples read: python
runtime_examples/make_unicode.py

The classes are asked of the tokenizers library itself, character by character, so that the examples
cut a text where the library cuts it. ``--check`` writes nothing and fails where a table is not what
this library gives.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache
from pathlib import Path

from tokenizers import Regex, normalizers

HERE = Path(__file__).resolve().parent
TARGETS = (HERE / "c" / "unicode.h", HERE / "cpp" / "unicode.hpp")
CLASSES = {"LETTERS": r"\p{L}", "MARKS": r"\p{M}", "NUMBERS": r"\p{N}", "SPACES": r"\s"}
FIRST_OF = {
    0x1C89: "16.0",
    0x2EBF0: "15.1",
    0x31350: "15.0",
    0x1DF00: "14.0",
}  # letters that came with a version
CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
PER_LINE = 5


def main() -> None:
    """Write or check both files."""
    for path in TARGETS:
        text = table_text(path)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            raise SystemExit(
                f"{path} is not what this tokenizers library gives; run python "
                f"{Path(__file__).name}"
            )


def table_text(path: Path) -> str:
    """Return the content of one file."""
    guard = f"UNICODE_{path.suffix[1:].upper()}"
    head = (
        f"/* Classes of Unicode {unicode_version()} as ranges of code points, made by "
        "make_unicode.py: expressions in a\n"
        " * tokenizer.json need them. CHANGED are the characters that NFKC and lower case "
        "change or join to others. */\n"
        f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\nstruct code_range {{\n    "
        f"uint32_t first, last;\n}};\n"
    )
    return head + tables() + "\n#endif\n"


@cache
def tables() -> str:
    """Return every table, which both files have alike."""
    found = {name: members(pattern) for name, pattern in CLASSES.items()}
    return "".join(table(name, each) for name, each in {**found, "CHANGED": changed()}.items())


@cache
def unicode_version() -> str:
    """Return the version of Unicode that the library knows."""
    letters = members(r"\p{L}")
    return next(
        (name for code, name in FIRST_OF.items() if chr(code) in letters), "older than 14.0"
    )


def members(pattern: str) -> set[str]:
    """Return the characters that a class of the library's regular expressions holds."""
    inverse = pattern.upper() if pattern == r"\s" else f"[^{pattern}]"
    return set(normalizers.Replace(Regex(inverse), "").normalize_str("".join(CHARACTERS)))


def changed() -> set[str]:
    """Return the characters that do not stay what they are when a caption is normalised."""
    normal = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    alone = {character for character in CHARACTERS if normal.normalize_str(character) != character}
    marks = {mark for mark in members(r"\p{M}") if not _stands_alone(mark)}
    return alone | marks | set(map(chr, range(0x1161, 0x11C3)))  # and the vowels and ends of Hangul


def _stands_alone(mark: str) -> bool:
    """Tell whether a mark neither changes place nor melts into what is before it; by a Unicode
    that every Python has.
    """
    known = unicodedata.ucd_3_2_0
    return (
        known.category(mark) != "Cn" and known.combining(mark) == 0 and mark not in _second_halves()
    )


@cache
def _second_halves() -> frozenset[str]:
    parts = (unicodedata.ucd_3_2_0.decomposition(character).split() for character in CHARACTERS)
    return frozenset(
        chr(int(pair[1], 16)) for pair in parts if len(pair) == 2 and not pair[0].startswith("<")
    )


def table(name: str, characters: set[str]) -> str:
    """Return a C array of the ranges of a set of characters."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    cells = [f"{{0x{first:x}, 0x{last:x}}}," for first, last in ranges]
    lines = (" ".join(cells[at : at + PER_LINE]) for at in range(0, len(cells), PER_LINE))
    return (
        f"\nstatic const struct code_range {name}[] = {{\n"
        + "".join(f"    {line}\n" for line in lines)
        + "};\n"
    )


if __name__ == "__main__":
    main()
