"""What a user may say of a network whose state is to be found: the options of ``export`` and
``explain``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from edgernn.errors import UsageError

if TYPE_CHECKING:
    from edgernn.hoisting.hoisted import Hoisted
    from edgernn.hoisting.onnx.step import Wishes

FORWARD = "forward"
_PYTHON = re.compile(r"\.py(:\w*)?$")
_PANEL = "A network of another program"
InputsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--inputs",
        metavar="NAME: DTYPE[AXES]",
        help="Each input, its dtype and its axes in brackets; or a file of examples.",
        rich_help_panel=_PANEL,
    ),
]
StateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="IN=OUT",
        help="An input that goes on as an output; for each state, as hx=hx_out.",
        rich_help_panel=_PANEL,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Bind an input, or an argument, to a value, as sr=16000.",
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
        help="Recorded inputs (npz, npy, safetensors, csv), to calibrate and measure on.",
        rich_help_panel=_PANEL,
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Tensors by name (.safetensors, .pt) for the network of FILE.py.",
        rich_help_panel=_PANEL,
    ),
]
MethodOption = Annotated[
    str,
    typer.Option(
        "--method", help="The method of the network that is the step.", rich_help_panel=_PANEL
    ),
]
ContextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="An input that is constant over a run: encode takes it once.",
        rich_help_panel=_PANEL,
    ),
]
StartOption = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="METHOD",
        help="The method of the network that makes the first state.",
        rich_help_panel=_PANEL,
    ),
]
OF_ONNX = ("inputs", "state", "settings", "left_context", "keep_restarts", "rename", "sample")
OF_PYTHON = ("inputs", "state", "settings", "weights", "method", "context", "start", "sample")
ONNX_KINDS = ("onnx", "onnx-ours")


def is_onnx(path: Path) -> bool:
    """Return whether ``path`` is an ONNX file: by its content, or where it has none by its name."""
    from edgernn.storage.identify import identify

    kind = identify(path).key
    return kind in ONNX_KINDS or (path.suffix == ".onnx" and kind in {"missing", "unknown"})


def is_python(path: Path) -> bool:
    """Return whether ``path`` is ``FILE.py:NAME``, or a Python file without a name."""
    return _PYTHON.search(str(path)) is not None


@dataclass(frozen=True)
class Said:
    """What a user said of a network of another program, as the options have it."""

    inputs: list[str] | None = None
    state: list[str] | None = None
    settings: list[str] | None = None
    left_context: list[str] | None = None
    keep_restarts: bool = False
    rename: list[str] | None = None
    weights: Path | None = None
    method: str = FORWARD
    context: list[str] | None = None
    start: str | None = None
    sample: Path | None = None

    def only(self, *names: str, what: str) -> None:
        """Raise UsageError for an option that says nothing of ``what``."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value and value != field.default and field.name not in names:
                option = {"settings": "set"}.get(field.name, field.name).replace("_", "-")
                raise UsageError(f"--{option} says nothing of {what}; leave it out")


def hoisted_of(path: Path, said: Said) -> Hoisted:
    """Return the step of the network ``FILE.py:NAME``."""
    from edgernn.hoisting.from_file import hoist_file

    return hoist_file(
        str(path),
        weights=said.weights,
        inputs=said.inputs or (),
        method=said.method,
        context=said.context or (),
        pairs=pairs(said.state, "--state", "hx=hx_out", "ARGUMENT=RESULT"),
        settings=pairs(said.settings, "--set", "sr=16000"),
        start=said.start,
    )


def prints_aside() -> redirect_stdout[TextIO]:
    """Let what a user's own code prints go to stderr: stdout is for results."""
    return redirect_stdout(sys.stderr)


def wishes_of(said: Said) -> Wishes:
    """Return what was said of an ONNX file.

    Raises:
        UsageError: an option has not its form.
    """
    from edgernn.hoisting.onnx.step import Wishes

    frames = {}
    for name, text in pairs(said.left_context, "--left-context", "x=64").items():
        if not text.isdecimal():
            raise UsageError(f"--left-context {name} is {text!r}, expected a number of frames")
        frames[name] = int(text)
    return Wishes(
        inputs=tuple(said.inputs or ()),
        settings=pairs(said.settings, "--set", "sr=16000"),
        states=tuple(said.state or ()),
        left_context=frames,
        keep_restarts=said.keep_restarts,
        renamed=pairs(said.rename, "--rename", "state=h", "OLD=NEW"),
    )


def pairs(
    texts: Iterable[str] | None, option: str, example: str, form: str = "NAME=VALUE"
) -> dict[str, str]:
    """Return what an option said of each name; raise UsageError where it has not its form."""
    found = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise UsageError(f"{option} is {text!r}, expected {form}, as {example}")
        found[name] = value
    return found
