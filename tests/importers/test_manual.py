"""The manual's table of families: one row for each importer, each with a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgernn.importers.base import Importer
from edgernn.importers.table import IMPORTERS, importers

TESTS = Path(__file__).resolve().parent
MANUAL = (TESTS.parent.parent / "edgernn/importers/README.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([a-z0-9-]+)` \|(?:[^|\n]*\|){2} `([\w/]+\.py)` \|$", MANUAL, re.M))


def test_every_importer_has_a_row_and_every_row_an_importer() -> None:
    assert ROWS.keys() == IMPORTERS.keys()


@pytest.mark.parametrize("name", sorted(set(ROWS.values())))
def test_the_tests_that_it_names_are_there(name: str) -> None:
    assert "def test_" in (TESTS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("importer", importers(), ids=lambda importer: importer.word)
def test_an_importer_is_called_as_its_row_and_says_what_it_is(importer: Importer) -> None:
    assert IMPORTERS[importer.word].endswith(f":{type(importer).__name__}")
    assert importer.about
    assert "\n" not in importer.about + importer.options
    assert all(sentence[:1].islower() for sentence in importer.differs)
