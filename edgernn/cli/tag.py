"""``edgernn tag``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn.cli.choices import TrustOption
from edgernn.cli.output import say_json, stream
from edgernn.cli.streams import reader_gone
from edgernn.errors import UsageError

if TYPE_CHECKING:
    from edgernn.writing.tags import Sequence, TagWriter

_STANDARD_INPUT = "-"


def tag(
    bundle: Annotated[Path, typer.Argument(help="A tagger's bundle: a folder or a .edgernn file.")],
    file: Annotated[
        str,
        typer.Argument(
            help="Of frames: an npz, a folder of pictures, or a picture. Of words: a text, a "
            "sentence a line, or - for standard input."
        ),
    ],
    artifact: Annotated[
        str | None, typer.Option(help="A step file or format in the bundle; default ONNX.")
    ] = None,
    trust: TrustOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON per sequence.")
    ] = False,
) -> None:
    """Give each frame or word its label, with its probability; a blank line between sequences."""
    from edgernn.writing.tags import TagWriter, record_of

    with TagWriter(bundle, artifact=artifact, trust=trust) as writer:
        for place, sequence in enumerate(_sequences(writer, file)):
            steps = writer.tag(sequence)
            if as_json:
                say_json(record_of(sequence, steps, artifact=writer.artifact.path), indent=None)
            else:
                lines = [f"{s.name}\t{s.label}\t{s.probability:.3f}\n" for s in steps]
                stream("".join(["\n" if place else "", *lines]))
            if reader_gone():
                break


def _sequences(writer: TagWriter, file: str) -> Iterator[Sequence]:
    """Yield what is to be tagged; lines of standard input as they come."""
    if file != _STANDARD_INPUT:
        yield from writer.sequences(Path(file))
    elif writer.reads_words:
        for line in sys.stdin:
            if line.strip():
                yield writer.sentence(line.strip())
    else:
        raise UsageError(
            "the tagger reads frames, which do not come on standard input; give a file"
        )
