"""Every command of the pages, read: what it runs is there, and takes the options that it is given.

Those of ``console`` blocks are run by ``tests/test_readme.py``, but for those that ``NOT_RUN``
names. What programs of others take, such as compilers, is not read here: the tests of the folders
that such a page belongs to run them.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
from collections.abc import Callable
from functools import cache

import commands_of_pages
import pytest
import site_pages
import typer
from commands_of_pages import Shown

from edgernn.cli import choices
from edgernn.cli.app import app

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = site_pages.ROOT
REFUSED = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
COMMANDS = list(
    dict.fromkeys(
        each for page in site_pages.every_page() for each in commands_of_pages.shown(page)
    )
)
NAMES = {  # an option of edgernn → the names that it takes, several with commas between
    "--to": choices.format_names,
    "--precision": choices.precision_names,
    "--between": choices.way_names,
}
if importlib.util.find_spec("torch"):  # by which these tables are made
    NAMES |= {"--cell": choices.stack_names, "--target": choices.target_names}


@cache
def _command(*names: str) -> typer.core.TyperCommand:
    found = typer.main.get_command(app)
    for name in names:
        found = found.commands[name]
    return found


def _edgernn(shown: Shown) -> None:
    names, words = [], [word for word in shown.words[1:] if word not in ("…", "...")]
    while words and words[0] in getattr(_command(*names), "commands", {}):
        names.append(words.pop(0))
    if not names:
        assert words[0].startswith("--") or words[0] == "COMMAND", f"edgernn has no {words[0]}"
        assert words[0] in {"COMMAND", "--help", *_takes()}
        return
    takes = _takes(*names)
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert set(given) <= {*takes, "--help", "-h", "--"}, f"{names} has no {set(given) - takes}"
    for option, value in itertools.pairwise(words):
        if option in NAMES and not value.isupper():
            assert set(value.split(",")) <= set(NAMES[option]()), (option, value)
    if shown.line and "--config" not in words:  # what is required is there, and numbers are some
        try:
            _command(*names).make_context(names[-1], words)
        except REFUSED as error:
            raise AssertionError(str(error)) from error


def _takes(*names: str) -> set[str]:
    """The options of a command, of a group those of each command in it."""
    command = _command(*names)
    inner = getattr(command, "commands", {})
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return options.union(*(_takes(*names, name) for name in inner if names))


def _make(shown: Shown) -> None:
    place = (ROOT / shown.page).parent
    rules = "\n".join(
        file.read_text() for file in (place / "Makefile", ROOT / "Makefile") if file.exists()
    )
    targets = set(re.findall(r"^([\w-]+)(?: [\w-]+)*:", rules, flags=re.MULTILINE))
    for word in shown.words[1:]:
        name, equals, _ = word.partition("=")
        known = re.search(rf"\b{re.escape(name)}\b", rules) if equals else name in targets
        assert known, f"no Makefile has {word}"


def _pip(shown: Shown) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for word in shown.words:
        for found in re.findall(r"^(?:edgernn|\.)\[([\w,]+)\]$", word):
            assert set(found.split(",")) <= set(extras), word


def _npm(shown: Shown) -> None:
    package = (ROOT / shown.page).parent / "package.json"
    if package.exists() and shown.words[1] == "run":
        assert shown.words[2] in json.loads(package.read_text())["scripts"]
    if package.exists() and shown.words[1] == "ci":
        assert (package.parent / "package-lock.json").exists()


def _script(shown: Shown) -> None:
    """A program of the project: its file is there, and the sources beside it have its flags."""
    path = next((word for word in shown.words[1:] if re.search(r"\.(py|mjs)$", word)), None)
    if path in (None, "FILE.py"):
        return
    places = (ROOT, (ROOT / shown.page).parent)
    file = next((place / path for place in places if (place / path).exists()), None)
    assert file is not None, f"there is no {path}"
    rooms = {file.parent, ROOT / "runtime_examples/python"}  # whose files the example litert uses
    sources = "".join(one.read_text("utf-8") for room in rooms for one in room.glob("*.[pm]*"))
    for flag in (word for word in shown.words if word.startswith("--")):
        assert re.search(rf"{flag}\b|\b{re.escape(flag[2:])}: {{", sources), f"{path} has no {flag}"


def _pytest(shown: Shown) -> None:
    for word in shown.words[1:]:
        assert not word.startswith("tests/") or (ROOT / word).exists(), word


def _gate(shown: Shown) -> None:
    assert (ROOT / shown.words[0]).exists()


def _torchrun(shown: Shown) -> None:
    start = shown.words.index("edgernn")
    _edgernn(Shown(shown.page, shown.words[start:], line=False))


READERS: dict[str, Callable[[Shown], None]] = {
    "edgernn": _edgernn,
    "make": _make,
    "pip": _pip,
    "npm": _npm,
    **dict.fromkeys(("python", "python3", "node"), _script),
    "pytest": _pytest,
    ".ci": _gate,
    "torchrun": _torchrun,
}


@pytest.mark.parametrize("shown", [each for each in COMMANDS if each.program in READERS], ids=str)
def test_a_command_can_be_typed(shown: Shown) -> None:
    READERS[shown.program](shown)


def test_a_block_with_a_prompt_says_that_it_is_run() -> None:
    for page in site_pages.every_page():
        loose = [block for block in commands_of_pages.blocks(page, "") if "$ " in block[:2]]
        assert not loose, f"{page}: write ```console in place of ```, so that the tests run it"


@pytest.mark.parametrize(
    "line",
    [
        "edgernn export RUN --out B --too onnx",
        "edgernn export RUN --out B --to onyx",
        "edgernn export RUN --to onnx",
        "edgernn exprot RUN --out B",
        "make nothing",
        "pip install '.[nothing]'",
        "python benchmarks/nothing.py",
        "python benchmarks/families.py --nothing",
        ".ci/nothing",
    ],
)
def test_a_command_that_cannot_be_typed_is_found_out(line: str) -> None:
    (words,) = commands_of_pages.split(line)
    shown = Shown("README.md", words, line=True)
    with pytest.raises(AssertionError):
        READERS[shown.program](shown)
