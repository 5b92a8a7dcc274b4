"""The pages of the site: the Markdown beside the code, where each stands in the navigation, its
links.

A page keeps its path in the site, so that the links that a code host follows work there as they
are. What a host shows for a folder or a file of the sources gets a page of its own, made from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("docs", "edgernn", "export", "benchmarks", "findings", "runtime_examples")
MESSAGES = "docs/MESSAGES.md"
PICTURES = (".png", ".svg")
_FENCED = re.compile(r"(^ *```.*?^ *```)", flags=re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(\s*)([^)\s]+)(\s*)(?=\))")

# Section → patterns of pages, in their order; a page stands where it is matched first.
SECTIONS = {
    "Start": ("README.md", "docs/START.md", "edgernn/cli/README.md", MESSAGES),
    "Your own network": (
        "edgernn/hoisting/*",
        "export/WHOLE_NETWORK.md",
        "edgernn/importers/*",
        "edgernn/models/layered/*",
        "edgernn/models/cells/*",
        "edgernn/models/*",
        "edgernn/decoding/HELLO.md",
        "edgernn/training/*",
    ),
    "Families": ("edgernn/families/README.md", "edgernn/families/*", "edgernn/reading/*"),
    "Targets": ("docs/TARGETS.md", "export/*", "benchmarks/COMPATIBILITY.md"),
    "On the device": (
        "runtime_examples/README.md",
        "runtime_examples/CONTRACT.md",
        "runtime_examples/*",
    ),
    "The bundle": (
        "edgernn/bundle/*",
        "edgernn/signing/*",
        "edgernn/hub/*",
        "edgernn/containers/*",
    ),
    "What is proved": ("edgernn/parity/*", "edgernn/testing/*", "benchmarks/FAULTS.md"),
    "From Python": ("edgernn/sessions/*", "edgernn/*"),
    "Figures": ("benchmarks/README.md", "benchmarks/*", "findings/*"),
    "Change edgernn": ("ARCHITECTURE.md", "docs/README.md", "*"),
}


def every_page(root: Path = ROOT) -> list[Path]:
    """Return each page of the project, sorted; what was installed beside them is none."""
    found = [*root.glob("*.md"), *(page for room in ROOMS for page in (root / room).rglob("*.md"))]
    return sorted(page for page in found if "node_modules" not in page.parts)


def title(page: Path) -> str:
    """Return the first heading of a page up to its colon, without marks of code.

    Raises:
        ValueError: The page does not begin with a heading.
    """
    first, _, _ = page.read_text(encoding="utf-8").partition("\n")
    if not first.startswith("# "):
        raise ValueError(f"{page}: the first line is {first!r}; begin the page with '# TITLE'")
    return first[2:].partition(":")[0].replace("`", "")


def navigation(root: Path = ROOT) -> list[dict[str, list[dict[str, str]]]]:
    """Return the sections with their pages, as MkDocs takes them: every page stands in one."""
    left = [page.relative_to(root).as_posix() for page in every_page(root)]
    sections = []
    for name, patterns in SECTIONS.items():
        found = list(dict.fromkeys(path for one in patterns for path in left if fnmatch(path, one)))
        left = [path for path in left if path not in found]
        sections.append({name: [{title(root / path): path} for path in found]})
    return [section for section in sections if all(section.values())]


def linked(page: Path) -> list[str]:
    """Return the targets of a page's links, as they are written, without those in code blocks."""
    return [link[1] for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))]


def inside(page: Path, link: str, root: Path = ROOT) -> Path | None:
    """Return the file or folder of the project that a link of a page means; None of others."""
    path = link.partition("#")[0]
    if not path or "://" in path:
        return None
    target = (page.parent / path).resolve()
    return target if target.exists() and target.is_relative_to(root) else None


def stands_at(target: Path, root: Path = ROOT) -> str:
    """Return the path in the site of what a file or folder is shown by."""
    path = target.relative_to(root).as_posix()
    if target.is_dir():
        return f"{path}/README.md" if (target / "README.md").exists() else f"{path}/index.md"
    return path if target.suffix in (".md", *PICTURES) else f"{path}.md"


def within(target: Path) -> list[Path]:
    """Return what is shown in a folder that has no page of its own, and in its folders."""
    if not target.is_dir() or (target / "README.md").exists():
        return []
    inner = sorted(entry for entry in target.iterdir() if not entry.name.startswith((".", "_")))
    return [each for entry in inner for each in (entry, *within(entry))]


def rewritten(text: str, rewrite: Callable[[str], str]) -> str:
    """Return Markdown with each link's target changed, and its code blocks as they were."""
    parts = _FENCED.split(text)
    return "".join(
        part if number % 2 else _LINK.sub(lambda link: link[1] + rewrite(link[2]) + link[3], part)
        for number, part in enumerate(parts)
    )


def shown_source(target: Path, root: Path = ROOT) -> str:
    """Return the page that shows a file of the sources, or the files of a folder."""
    name = target.relative_to(root).as_posix()
    if target.is_dir():
        inner = [entry for entry in within(target) if entry.parent == target]
        links = (stands_at(entry, root).removeprefix(f"{name}/") for entry in inner)
        shown = zip(inner, links, strict=True)
        return f"# `{name}/`\n\n" + "".join(f"- [`{e.name}`]({link})\n" for e, link in shown)
    text = target.read_text(encoding="utf-8")
    runs = [len(run) for run in re.findall(r"^`{3,}", text, flags=re.MULTILINE)]
    fence = "`" * (1 + max(runs, default=2))
    return f"# `{name}`\n\n{fence}{target.suffix.lstrip('.')}\n{text.rstrip()}\n{fence}\n"
