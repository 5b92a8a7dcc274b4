"""The pages in Markdown: their sizes, the links between them, the files and fields they name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import site_pages

from edgernn.bundle.manifest import Manifest
from edgernn.bundle.records import Artifact, TokenizerEntry
from edgernn.contract import Contract, TensorSpec
from edgernn.formats import FORMATS

ROOT, PAGES = site_pages.ROOT, site_pages.every_page()
MOST_BYTES, MOST_COLUMNS = 10_240, 120
EVERY_PAGE = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


@cache
def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```", "", _text(page), flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors of its headings, as hosts of repositories make them."""
    titles = re.findall(r"^#+ (.+)$", _prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _one_word(line: str) -> bool:
    """Whether nothing of a line can go to the next one: a link or a path."""
    return len(line.split()) <= 1 + line.lstrip().startswith(("-", "*"))


def test_the_landing_page_is_small() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= MOST_BYTES


@EVERY_PAGE
def test_lines_are_short_but_for_tables_and_links(page: Path) -> None:
    long = [
        f"{number}: {line}"
        for number, line in enumerate(_text(page).splitlines(), 1)
        if len(line) > MOST_COLUMNS and not line.startswith("|") and not _one_word(line)
    ]
    assert not long, "\n".join(long)


@EVERY_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(\s*([^)\s]+)\s*\)", _prose(page))
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in _anchors(target), link


@EVERY_PAGE
def test_files_that_a_page_names_are_there(page: Path) -> None:
    rooms = r"(?:docs|edgernn|export|benchmarks|runtime_examples|tests|\.ci)"
    for path in re.findall(rf"`({rooms}/[\w./-]*)`", _prose(page)):
        assert (ROOT / path).exists() or (page.parent / path).exists(), path
    if page == ROOT / "benchmarks/README.md":
        for script in re.findall(r"`(\w+\.py)\b", _prose(page)):
            assert (page.parent / script).exists(), script


def test_every_page_is_reached_from_the_landing_page() -> None:
    reached, pending = set(), [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        reached.add(page)
        links = re.findall(r"\]\(\s*([^)\s#]+)", _prose(page))
        targets = {(page.parent / link).resolve() for link in links if "://" not in link}
        found = {target / "README.md" if target.is_dir() else target for target in targets}
        pending += [link for link in found - reached if link.suffix == ".md" and link.exists()]
    assert set(PAGES) <= reached, set(PAGES) - reached


def test_every_format_is_told() -> None:
    table = _text(ROOT / "README.md")
    for row in FORMATS.values():
        assert f"`{row.path(row.precisions[0])}`" in table


def test_every_field_of_the_manifest_is_told() -> None:
    quoted = re.findall(r"`([^`]+)`", _prose(ROOT / "edgernn/bundle/README.md"))
    told = {word for words in quoted for word in re.findall(r"\w+", words)}
    for part in (Manifest, Artifact, TokenizerEntry, Contract, TensorSpec):
        assert set(part.model_fields) <= told, (part, set(part.model_fields) - told)
