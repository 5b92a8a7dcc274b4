"""The site: built without a warning, every page as a code host shows it, nothing fetched."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import site_pages

ROOT = site_pages.ROOT
_TAGS = re.compile(r"<(ul|ol|li|table|tr|th|td|pre|h[1-6]|blockquote|img|em|strong|code)[ >]")
_CODE = re.compile(r'<pre.*?</pre>|<div class="highlight.*?</div>', flags=re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="MkDocs is not installed; .ci/docs builds the site")
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return place


def test_every_page_is_in_the_site_and_found_by_its_search(site: Path) -> None:
    found = json.loads((site / "search/search_index.json").read_text())["docs"]
    places = {entry["location"].partition("#")[0] for entry in found}
    for page in site_pages.every_page():
        name = page.relative_to(ROOT).with_suffix(".html").as_posix()
        place = re.sub(r"\bREADME\.html$", "index.html", name)
        assert (site / place).exists(), place
        assert place in places, f"the search does not find {place}"
    boosted = {entry["location"].partition("#")[0] for entry in found if entry.get("boost", 1) > 1}
    assert boosted == {"docs/MESSAGES.html"}


def test_a_page_that_is_not_there_leads_on(site: Path) -> None:
    text = (site / "404.html").read_text()
    for link in ("index.html", "docs/START.html", "docs/MESSAGES.html"):
        assert f'<li><a href="/{link}">' in text
        assert (site / link).exists()


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(
            r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(?:https?:)?//', text
        )
        assert not fetched, page
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet


def test_pages_have_the_parts_that_a_code_host_shows() -> None:
    pytest.importorskip("material", reason="MkDocs is not installed; .ci/docs builds the site")
    import markdown
    from markdown_it import MarkdownIt
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"))
    host = MarkdownIt("commonmark").enable("table")
    for page in site_pages.every_page():
        text = page.read_text(encoding="utf-8")
        made = markdown.markdown(
            text,
            extensions=config["markdown_extensions"],
            extension_configs=config["mdx_configs"],
        )
        here, there = (
            Counter(_TAGS.findall(_CODE.sub("<pre >", html))) for html in (made, host.render(text))
        )
        assert here == there, page
