"""What every runtime in ``compatibility.py`` is: a row with a name, what is installed, and what to
do where it refuses. Read by the parent and, in the runtime's own environment, by the child: nothing
but the standard library is imported here.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROWS = Path(__file__).resolve().parent / "elsewhere"


@dataclass(frozen=True)
class Advice:
    """What to do about one kind of result.

    Attributes:
        pattern: a regular expression that is found in its column, a colon and its line; the line
            of a result in figures is ``wrong``, or ``inexact`` where it is of fewer bits.
        do: what a user does, in a few words.
        where: the columns in which the same cell must run for that to help.
    """

    pattern: str
    do: str
    where: tuple[str, ...] = ()


IN_THE_HOST = Advice("^generate:", "decode in the host, one step a call")
PORTABLE = (
    Advice("^int", "`--portable`, in int8 too", ("portable", "portable int8")),
    Advice("^int", "`--portable`, in float32", ("portable",)),
    Advice("^float", "`--portable`", ("portable",)),
    Advice(
        "^float|^portable: ", "`--portable --precision int8`, a step of gates", ("portable int8",)
    ),
)


@dataclass(frozen=True)
class Runtime:
    """One runtime, set up in one way.

    A row file in ``elsewhere/`` holds ``RUNTIMES`` and either ``prepare(name, path, case)``, which
    returns a function from arrays by name to arrays by name, or a file beside it that node runs;
    ``line(error)`` where the runtime's errors want reading.

    Attributes:
        name: what ``--only`` takes.
        title: the runtime in words, without its version.
        packages: what pip installs into an environment of its own, pinned; of npm where ``npm``.
        bare: what pip installs without what that asks for, as it would be gigabytes.
        about: how it is set up, in words; empty where it is left as it comes.
        advice: what to do, the first that fits.
        python: the version of Python that it needs, as ``3.12``; any where empty.
        npm: whether ``packages`` are of npm.
        fixes: whether a file that is refused is tried once more with every size fixed.
        columns: the kinds of files that it is given; all where empty.
        seconds: how long one file may take.
        megabytes: how much memory the process may take.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    bare: tuple[str, ...] = ()
    about: str = ""
    advice: tuple[Advice, ...] = ()
    python: str = ""
    npm: bool = False
    fixes: bool = True
    columns: tuple[str, ...] = ()
    seconds: int = 60
    megabytes: int = 4000


def row_module(path: Path) -> ModuleType:
    """Load a row file by its place: its name is no module's, so that it hides no package."""
    spec = importlib.util.spec_from_file_location(f"row_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runtimes() -> dict[Runtime, Path]:
    """Return every runtime and the file of its row, in the order of the files' ``ORDER``."""
    modules = [(row_module(path), path) for path in sorted(ROWS.glob("*.py"))]
    modules.sort(key=lambda pair: pair[0].ORDER)
    return {runtime: path for module, path in modules for runtime in module.RUNTIMES}
