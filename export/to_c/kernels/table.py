"""The rows: a node's function in C, the file that it stands in, and what that file calls."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

_FILES = {  # name → the files that it needs, itself the last; in the order in which a text has them
    "quantise_16": ("quantise.c", "round_16.c"),
    "quantise_8": ("quantise.c", "round_8.c"),
    "product_8_16": ("product_8_16.c",),
    "product_8_8": ("product_8_8.c",),
    "product_8_7": ("product_8_7.c",),
    "product_4_16": ("product_4_16.c",),
    "product_4_8": ("product_4_8.c",),
}


def texts(names: Iterable[str]) -> list[str]:
    """Return the texts of the kernels ``names``, and of what they need, each once."""
    wanted = set(names)
    files = dict.fromkeys(
        file for name, needed in _FILES.items() if name in wanted for file in needed
    )
    return [_text(file) for file in files]


@cache
def _text(file: str) -> str:
    return "\n" + (resources.files(__package__) / file).read_text(encoding="ascii")
