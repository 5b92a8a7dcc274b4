"""The hook of MkDocs that gathers the site from the whole project: `mkdocs build --strict`."""

from __future__ import annotations

import posixpath
import sys
from functools import partial
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).resolve().parent))
import site_pages

_NOT_THERE = """<h1>There is no such page</h1>
<p>It may have moved. The search above finds it by a word of it; or begin at</p>
<ul>
<li><a href="/index.html">the first page</a></li>
<li><a href="/docs/START.html">start in five minutes</a></li>
<li><a href="/docs/MESSAGES.html">troubleshooting by message</a></li>
</ul>"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put every page, and what the pages link to, at its path in the project."""
    pages = site_pages.every_page()
    for file in list(files):
        if file.src_uri.endswith((".md", ".py")):  # they come again, with their path from the top
            files.remove(file)
    add = partial(_add, files, config)
    for page in pages:
        add(page)
    targets = {site_pages.inside(page, link) for page in pages for link in site_pages.linked(page)}
    shown = {target for target in targets if target is not None}
    for target in sorted(shown.union(*map(site_pages.within, shown))):
        add(target)
    config.nav = site_pages.navigation()
    return files


def _add(files: Files, config: MkDocsConfig, target: Path) -> None:
    place = site_pages.stands_at(target)
    if files.get_file_from_path(place) is not None:
        return
    if target.is_file() and place == target.relative_to(site_pages.ROOT).as_posix():
        file = File.generated(config, place, abs_src_path=str(target))
    else:
        file = File.generated(config, place, content=site_pages.shown_source(target))
        file.inclusion = InclusionLevel.NOT_IN_NAV
    files.append(file)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to folders and sources to the pages that show them."""
    if page.file.inclusion is InclusionLevel.NOT_IN_NAV:
        page.meta["search"] = {"exclude": True}
        return markdown
    if page.file.src_uri == site_pages.MESSAGES:
        page.meta["search"] = {"boost": 4}  # who searches for a message means this page
    source = site_pages.ROOT / page.file.src_uri

    def rewrite(link: str) -> str:
        target = site_pages.inside(source, link)
        if target is None:
            return link
        _, sharp, anchor = link.partition("#")
        place = posixpath.relpath(
            site_pages.stands_at(target), posixpath.dirname(page.file.src_uri)
        )
        return place + sharp + anchor

    return site_pages.rewritten(markdown, rewrite)


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """Say on the page of what is not there where to go on."""
    if template_name != "404.html":
        return output
    bare = "<h1>404 - Not found</h1>"
    if bare not in output:
        raise ValueError(f"404.html of the theme holds no {bare}; correct docs/hook.py")
    return output.replace(bare, _NOT_THERE)
