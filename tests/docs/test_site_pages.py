"""Which pages there are, where each stands in the navigation, and what its links lead to."""

from __future__ import annotations

from pathlib import Path

import pytest
import site_pages


def _in_navigation() -> list[str]:
    return [
        path
        for section in site_pages.navigation()
        for pages in section.values()
        for page in pages
        for path in page.values()
    ]


def test_every_page_stands_in_the_navigation_once() -> None:
    pages = [page.relative_to(site_pages.ROOT).as_posix() for page in site_pages.every_page()]
    assert sorted(_in_navigation()) == pages


def test_a_new_page_of_any_folder_is_found(tmp_path: Path) -> None:
    for name in ("README.md", "edgernn/batch/README.md", "runtime_examples/go/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# One `thing`: and another\n")
    assert site_pages.navigation(tmp_path) == [
        {"Start": [{"One thing": "README.md"}]},
        {"On the device": [{"One thing": "runtime_examples/go/README.md"}]},
        {"From Python": [{"One thing": "edgernn/batch/README.md"}]},
    ]


def test_a_page_without_a_heading_is_told(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("text\n")
    with pytest.raises(ValueError, match="begin the page with '# TITLE'"):
        site_pages.navigation(tmp_path)


def test_links_lead_to_what_shows_their_target(tmp_path: Path) -> None:
    for name in ("a/README.md", "b/main.py", "b/picture.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    page = tmp_path / "a/README.md"
    targets = {
        "../a": "a/README.md",
        "../b": "b/index.md",
        "../b/main.py#L3": "b/main.py.md",
        "../b/picture.png": "b/picture.png",
    }
    for link, place in targets.items():
        found = site_pages.inside(page, link, tmp_path)
        assert found is not None
        assert site_pages.stands_at(found, tmp_path) == place
    for link in ("https://example.org/a", "#anchor", "../../outside", "nothing.md"):
        assert site_pages.inside(page, link, tmp_path) is None


def test_links_are_rewritten_outside_of_code() -> None:
    text = "[a](x) `[b](x)`\n```\n[c](x)\n```\n[d\ne]( x )\n"
    changed = site_pages.rewritten(text, lambda link: link + "y")
    assert changed == "[a](xy) `[b](xy)`\n```\n[c](x)\n```\n[d\ne]( xy )\n"


def test_a_source_is_shown_whole(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""\n````\n"""\n')
    shown = site_pages.shown_source(tmp_path / "a.py", tmp_path)
    assert shown == '# `a.py`\n\n`````py\n"""\n````\n"""\n`````\n'


def test_what_a_folder_holds_is_linked(tmp_path: Path) -> None:
    for name in ("a/main.c", "a/inner/CMakeLists.txt", "a/_cache/x", "a/own/README.md", "a/own/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    folder = tmp_path / "a"
    assert site_pages.shown_source(folder, tmp_path) == (
        "# `a/`\n\n- [`inner`](inner/index.md)\n- [`main.c`](main.c.md)\n- [`own`](own/README.md)\n"
    )
    found = [path.relative_to(folder).as_posix() for path in site_pages.within(folder)]
    assert found == ["inner", "inner/CMakeLists.txt", "main.c", "own"]
