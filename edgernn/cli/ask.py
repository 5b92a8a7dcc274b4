"""``edgernn ask``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn import plots
from edgernn.cli.choices import TrustOption
from edgernn.cli.output import say_json, stream, tell
from edgernn.cli.shown import visible
from edgernn.cli.streams import reader_gone
from edgernn.errors import DataError, UsageError

if TYPE_CHECKING:
    from edgernn.writing.answers import Answer, Answerer

_STDIN = "-"


def ask(
    bundle: Annotated[
        Path, typer.Argument(help="A bundle that answers questions: a folder or a .edgernn file.")
    ],
    picture: Annotated[Path, typer.Argument(help="A picture of any common format.")],
    question: Annotated[
        str, typer.Argument(help="A question about it; - reads one a line from standard input.")
    ],
    top: Annotated[int, typer.Option(min=1, help="How many answers, the likeliest first.")] = 1,
    attention_map: Annotated[
        Path | None,
        typer.Option(help="Draw where the model looked at each word: .png, .pdf or .svg."),
    ] = None,
    artifact: Annotated[
        str | None, typer.Option(help="A step file or format in the bundle; default ONNX.")
    ] = None,
    trust: TrustOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON per question.")
    ] = False,
) -> None:
    """Answer a question about a picture. A word that the model does not know is told."""
    from edgernn.writing.answers import Answerer

    with Answerer(bundle, artifact=artifact, trust=trust) as answerer:
        if attention_map is not None:
            _check_map(attention_map, picture, question, answerer, bundle)
        seen = answerer.look(picture)
        for asked in _lines() if question == _STDIN else [question]:
            found = answerer.ask(seen, asked)
            if found.unknown:
                tell(f"the model does not know {', '.join(map(repr, found.unknown))}")
            _print(found, top, answerer.artifact.path, as_json=as_json, alone=question != _STDIN)
            if attention_map is not None and found.attention is not None:
                plots.attention_map(seen.picture, found.words, found.attention, attention_map)
            if reader_gone():
                break


def _lines() -> Iterator[str]:
    """Yield the questions on standard input, a line each; blank lines are passed over."""
    try:
        for line in sys.stdin:
            if line.strip():
                yield line.strip()
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8 ({error.reason}); give a text") from error


def _print(found: Answer, top: int, artifact: str, *, as_json: bool, alone: bool) -> None:
    if as_json:
        say_json({**found.to_record(top), "artifact": artifact}, indent=None)
        return
    for name, share in found.best(top):
        before = "" if alone else f"{visible(found.question)}\t"
        stream(f"{before}{visible(name)}\t{share:.1%}\n")


def _check_map(
    target: Path, picture: Path, question: str, answerer: Answerer, bundle: Path
) -> None:
    """Raise before anything is asked where the map could not be drawn."""
    if question == _STDIN:
        raise UsageError("--attention-map draws one question; give it in place of -")
    if target.resolve() == picture.resolve():
        raise UsageError(
            f"--attention-map {target} is the picture itself; give the name of another file"
        )
    plots.check_available(target)
    if not answerer.has_attention:
        raise UsageError(
            f"{bundle} has no attention, so there is no map of it; leave --attention-map out"
        )
