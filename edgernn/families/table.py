"""The table of families: a new kind of model is one file and one row."""

from __future__ import annotations

import importlib
from functools import cache

from edgernn.families.base import Family

DEFAULT = "module"  # needs the contract alone; what an unknown word means
TABLE = {
    "language": "edgernn.families.language:LanguageFamily",
    "captioner": "edgernn.families.captioner:CaptionerFamily",
    "translator": "edgernn.families.translator:TranslatorFamily",
    "classifier": "edgernn.families.classifier:ClassifierFamily",
    "answerer": "edgernn.families.answerer:AnswererFamily",
    "tagger": "edgernn.families.tagger:TaggerFamily",
    "glimpses": "edgernn.families.glimpses:GlimpsesFamily",
    "painter": "edgernn.families.painter:PainterFamily",
    DEFAULT: "edgernn.families.module:ModuleFamily",
}


def families() -> tuple[Family, ...]:
    """Return every family of the table."""
    return tuple(map(family_of, TABLE))


@cache
def family_of(word: str) -> Family:
    """Return the family of a manifest's word; the default one where the word is not known."""
    module, _, name = TABLE.get(word, TABLE[DEFAULT]).partition(":")
    found: Family = getattr(importlib.import_module(module), name)()
    return found
