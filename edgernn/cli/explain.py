"""``edgernn explain``: what was found in a network of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn.cli.hoisting import (
    FORWARD,
    OF_ONNX,
    OF_PYTHON,
    ContextOption,
    InputsOption,
    KeepRestartsOption,
    LeftContextOption,
    MethodOption,
    RenameOption,
    Said,
    SetOption,
    StartOption,
    StateOption,
    WeightsOption,
    hoisted_of,
    is_onnx,
    is_python,
    prints_aside,
    wishes_of,
)
from edgernn.cli.output import say, say_json, say_sheet
from edgernn.cli.sheets import Sheet
from edgernn.errors import UsageError
from edgernn.storage.identify import identify, sentence

if TYPE_CHECKING:
    from edgernn.hoisting.explain import Found

OWN_KINDS = frozenset({"run", "bundle", "packed-bundle", "onnx-ours"})


def explain(
    path: Annotated[
        Path | None,
        typer.Argument(help="An ONNX file, FILE.py:NAME, which is run, a run, or a bundle."),
    ] = None,
    inputs: InputsOption = None,
    state: StateOption = None,
    settings: SetOption = None,
    left_context: LeftContextOption = None,
    keep_restarts: KeepRestartsOption = False,
    rename: RenameOption = None,
    weights: WeightsOption = None,
    method: MethodOption = FORWARD,
    context: ContextOption = None,
    start: StartOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    formats: Annotated[
        bool, typer.Option("--formats", help="Show what each format carries, feature by feature.")
    ] = False,
) -> None:
    """Show what was found in a network: its states and their first values, what a step takes, what
    each format can carry, and why not; and in which other runtimes its ONNX file runs, of a run or
    a bundle that alone.
    """
    if formats or path is None:
        _show_formats(path, formats, as_json)
        return
    if identify(path).key in OWN_KINDS:
        from edgernn.cli.elsewhere import explain_elsewhere

        explain_elsewhere(path, as_json=as_json)
        return
    from edgernn.hoisting.explain import explain_text

    found = _found(
        path,
        Said(
            inputs, state, settings, left_context, keep_restarts, rename,
            weights, method, context, start,
        ),
    )  # fmt: skip
    if as_json:
        say_json(found.to_dict())
    else:
        for line in explain_text(found).splitlines():
            say(line)


def _show_formats(path: Path | None, formats: bool, as_json: bool) -> None:
    from edgernn.formats.compatibility import columns, summary
    from edgernn.formats.coverage import coverage, plain

    if not formats or path is not None:
        raise UsageError("explain takes a network, or --formats alone, which is of every network")
    if as_json:
        say_json(coverage() | {"elsewhere": summary()})
        return
    for line in plain(coverage()).splitlines():
        say(line)
    say()
    say("elsewhere, the ONNX files of every cell:")
    rows = [[name, *cells.values()] for name, cells in summary().items()]
    say_sheet(Sheet(["", *columns()], rows))


def _found(path: Path, said: Said) -> Found:
    if is_onnx(path):
        from edgernn.hoisting.onnx.found import explain_onnx

        said.only(*OF_ONNX, what="an ONNX file")
        return explain_onnx(path, wishes_of(said))
    if is_python(path):
        from edgernn.export.found import explain_hoisted

        said.only(*OF_PYTHON, what="a network in Python")
        with prints_aside():
            return explain_hoisted(hoisted_of(path, said), str(path))
    raise UsageError(
        f"{sentence(path)}; explain takes an ONNX file, FILE.py:NAME, a run or a bundle"
    )
