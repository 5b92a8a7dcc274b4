"""``edgernn translate``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn import plots
from edgernn.cli.choices import TrustOption
from edgernn.cli.output import say_json, stream, tell_error
from edgernn.cli.shown import visible
from edgernn.cli.streams import reader_gone
from edgernn.errors import DataError, UsageError

if TYPE_CHECKING:
    from edgernn.writing.translations import Translation, TranslationWriter

_STDIN, _UNREADABLE = "-", 2


def translate(
    bundle: Annotated[
        Path, typer.Argument(help="A translator's bundle: a folder or a .edgernn file.")
    ],
    text: Annotated[
        str, typer.Argument(help="A text; or a file of texts, one a line; - reads standard input.")
    ],
    beam: Annotated[int, typer.Option(min=1, help="Beams of the search; 1 is greedy.")] = 1,
    attention_map: Annotated[
        Path | None,
        typer.Option(help="Draw where the model looked for each character: .png, .pdf or .svg."),
    ] = None,
    on_unknown: Annotated[
        str, typer.Option(help="A character that the model lacks: error or skip.")
    ] = "error",
    artifact: Annotated[
        str | None, typer.Option(help="A step file or format in the bundle; default ONNX.")
    ] = None,
    trust: TrustOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON per text.")] = False,
) -> None:
    """Write what a text is in other words, as the model learned it. A line that cannot be read is
    told, the others are translated, and the exit code is 2.
    """
    from edgernn.writing.translations import TranslationWriter

    with TranslationWriter(bundle, artifact=artifact, trust=trust) as writer:
        alone = text != _STDIN and not _is_file(text)
        if attention_map is not None:
            _check_map(attention_map, writer, bundle, alone=alone)
        failed = False
        for line in [text] if alone else _lines(text):
            try:
                found = writer.write(line, beam=beam, on_unknown=on_unknown)  # type: ignore[arg-type]  # the tokenizer refuses what is neither
            except (DataError, UsageError) as error:
                if alone:
                    raise
                failed = True
                tell_error(f"{visible(line)}: {error}")
                continue
            _print(found, writer.artifact.path, as_json=as_json, alone=alone)
            if attention_map is not None and found.attention is not None:
                plots.text_attention(found.source, found.text, found.attention, attention_map)
            if reader_gone():
                break
    if failed:
        raise typer.Exit(_UNREADABLE)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a name that no disk takes is a text
        return False


def _lines(text: str) -> Iterator[str]:
    """Yield the texts of a file, or of standard input, a line each; blank ones are passed over."""
    try:
        if text == _STDIN:
            yield from (line.strip() for line in sys.stdin if line.strip())
            return
        with Path(text).open(encoding="utf-8-sig") as lines:
            yield from (line.strip() for line in lines if line.strip())
    except UnicodeDecodeError as error:
        what = "standard input" if text == _STDIN else text
        raise DataError(f"{what} is no UTF-8 text ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"cannot read {text}: {error.strerror}; give a file of texts") from error


def _print(found: Translation, artifact: str, *, as_json: bool, alone: bool) -> None:
    if as_json:
        say_json({**found.to_record(), "artifact": artifact}, indent=None)
        return
    before = "" if alone else f"{visible(found.source)}\t"
    stream(f"{before}{visible(found.text)}\n")


def _check_map(target: Path, writer: TranslationWriter, bundle: Path, *, alone: bool) -> None:
    """Raise before anything is translated where the map could not be drawn."""
    if not alone:
        raise UsageError("--attention-map draws one text; give it in place of a file")
    plots.check_available(target)
    if not writer.has_attention:
        raise UsageError(
            f"{bundle} has no attention, so there is no map of it; leave --attention-map out"
        )
