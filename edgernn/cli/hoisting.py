"""What a user may say of a network whose state is to be found: the options of ``export`` and
``explain``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from edgernn.hoisting.onnx.step import Wishes

_PANEL = "A network of another program"
InputsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--inputs",
        metavar="NAME: DTYPE[AXES]",
        help='Axes of an input, as "x: float32[batch, time, 40]"; for each input.',
        rich_help_panel=_PANEL,
    ),
]
StateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="IN=OUT",
        help="An input that goes on as an output; for each state.",
        rich_help_panel=_PANEL,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Bind an input to a value, as sr=16000.",
        rich_help_panel=_PANEL,
    ),
]
LeftContextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--left-context",
        metavar="NAME=FRAMES",
        help="Past frames in front of each call, as x=64.",
        rich_help_panel=_PANEL,
    ),
]
KeepRestartsOption = Annotated[
    bool,
    typer.Option(
        "--keep-restarts",
        help="Leave recurrent layers that begin anew at every call.",
        rich_help_panel=_PANEL,
    ),
]
RenameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rename",
        metavar="OLD=NEW",
        help="Call a tensor otherwise, as state=h.",
        rich_help_panel=_PANEL,
    ),
]
SampleOption = Annotated[
    Path | None,
    typer.Option(
        "--sample",
        metavar="FILE",
        help="Recorded inputs (npz), one array an input, one row.",
        rich_help_panel=_PANEL,
    ),
]
ONNX_KINDS = ("onnx", "onnx-ours")


def is_onnx(path: Path) -> bool:
    """Return whether ``path`` is an ONNX file: by its content, or where it has none by its name."""
    from edgernn.storage.identify import identify

    kind = identify(path).key
    return kind in ONNX_KINDS or (path.suffix == ".onnx" and kind in {"missing", "unknown"})


def wishes_of(
    inputs: Iterable[str] | None,
    settings: Iterable[str] | None,
    states: Iterable[str] | None,
    left_context: Iterable[str] | None,
    *,
    renamed: Iterable[str] | None,
    keep_restarts: bool,
) -> Wishes:
    """Return what was said of an ONNX file.

    Raises:
        UsageError: an option has not its form.
    """
    from edgernn.hoisting.onnx.step import Wishes

    frames = {}
    for name, text in _pairs(left_context, "--left-context", "x=64").items():
        if not text.isdecimal():
            raise UsageError(f"--left-context {name} is {text!r}, expected a number of frames")
        frames[name] = int(text)
    return Wishes(
        inputs=tuple(inputs or ()),
        settings=_pairs(settings, "--set", "sr=16000"),
        states=tuple(states or ()),
        left_context=frames,
        keep_restarts=keep_restarts,
        renamed=_pairs(renamed, "--rename", "state=h", "OLD=NEW"),
    )


def _pairs(
    texts: Iterable[str] | None, option: str, example: str, form: str = "NAME=VALUE"
) -> dict[str, str]:
    found = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise UsageError(f"{option} is {text!r}, expected {form}, as {example}")
        found[name] = value
    return found


def read_recorded(path: Path | None) -> Mapping[str, np.ndarray] | None:
    """Return the arrays of an npz file by name; raise UsageError where it holds none."""
    from edgernn.storage.array_files import read_npz

    return None if path is None else read_npz(path)


def refuse_given(given: Mapping[str, object], *, what: str) -> None:
    """Raise UsageError for an option that is of no use for ``what``."""
    used = [name for name, value in given.items() if value]
    if used:
        raise UsageError(f"{used[0]} says nothing of {what}; leave it out")
