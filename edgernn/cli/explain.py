"""``edgernn explain``: what was found in a network of another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgernn.cli.hoisting import (
    InputsOption,
    KeepRestartsOption,
    LeftContextOption,
    RenameOption,
    SetOption,
    StateOption,
    is_onnx,
    wishes_of,
)
from edgernn.cli.output import say, say_json
from edgernn.errors import UsageError


def explain(
    path: Annotated[Path, typer.Argument(help="An ONNX file of another program.")],
    inputs: InputsOption = None,
    state: StateOption = None,
    settings: SetOption = None,
    left_context: LeftContextOption = None,
    keep_restarts: KeepRestartsOption = False,
    rename: RenameOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what was found in a network: its states and their first values, what a step takes, what
    each format can carry, and why not.
    """
    from edgernn.hoisting.explain import explain_text
    from edgernn.storage.identify import sentence

    if not is_onnx(path):
        raise UsageError(f"{sentence(path)}; explain takes an ONNX file")
    from edgernn.hoisting.onnx.found import explain_onnx

    wishes = wishes_of(
        inputs, settings, state, left_context, keep_restarts=keep_restarts, renamed=rename
    )
    found = explain_onnx(path, wishes)
    if as_json:
        say_json(found.to_dict())
    else:
        for line in explain_text(found).splitlines():
            say(line)
