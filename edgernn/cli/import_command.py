"""``edgernn import``: a checkpoint of another program becomes a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn.cli.choices import completing, importer_names
from edgernn.cli.config import Config
from edgernn.cli.hoisting import pairs
from edgernn.cli.output import say, say_json, tell
from edgernn.errors import UsageError
from edgernn.wording import argument

if TYPE_CHECKING:
    from edgernn.importers.base import Wishes
    from edgernn.importers.importing import Taken

_beside, _proof = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in ("What lies beside the file", "The proof")
)


def import_checkpoint(
    file: Annotated[
        Path, typer.Argument(help="A checkpoint of another program; nothing in it is run.")
    ],
    out: Annotated[Path, typer.Option(help="The run's folder, as edgernn train writes it.")],
    family: Annotated[
        str,
        typer.Option(
            help="Whose checkpoint it is; edgernn inspect FILE says it.",
            **completing(importer_names),
        ),
    ] = "auto",
    vocabulary: Annotated[
        Path | None,
        _beside(help="The corpus, a word map, a pickled vocabulary or a tokenizer.json."),
    ] = None,
    word_map: Annotated[
        Path | None, _beside(metavar="FILE", help="The same, of captioners' WORDMAP files.")
    ] = None,
    companions: Annotated[
        list[Path] | None,
        _beside("--with", metavar="FILE", help="Another file of the checkpoint, as its options'."),
    ] = None,
    names: Annotated[
        Path | None,
        _beside("--map", metavar="FILE", help="Lines THEIR.NAME = OUR.NAME, {l} a layer's number."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        _beside("--set", metavar="NAME=VALUE", help="What the file does not say, as heads=2."),
    ] = None,
    sample: Annotated[
        Path | None,
        _beside(metavar="FILE", help="Recorded inputs, or a text, to calibrate and measure on."),
    ] = None,
    check: Annotated[
        str | None,
        _proof(metavar="RUN.npz", help="A recorded run that must come out; RUN.npz:PART of it."),
    ] = None,
    tolerance: Annotated[float, _proof(help="The largest scaled difference from it.")] = 1e-4,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Take in a checkpoint that another program trained, without running its code; then export it
    as a run of edgernn train. Exit code 1: the recorded run did not come out.
    """
    from edgernn.importers.importing import import_checkpoint as take

    if not 0 < tolerance < 1:
        raise UsageError(f"--tolerance is {tolerance:g}, expected above 0 and below 1")
    wishes = _wishes(vocabulary, word_map, companions, names, settings)
    taken = take(
        file,
        out,
        family=family,
        wishes=wishes,
        sample=sample,
        check=check,
        tolerance=tolerance,
        tell=tell,
    )
    _show(taken, as_json=as_json)


def _wishes(
    vocabulary: Path | None,
    word_map: Path | None,
    companions: list[Path] | None,
    names: Path | None,
    settings: list[str] | None,
) -> Wishes:
    from edgernn.importers.base import Wishes
    from edgernn.importers.name_map import read_map

    if vocabulary is not None and word_map is not None:
        raise UsageError("--vocabulary and --word-map say the same; give one of them")
    return Wishes(
        vocabulary=vocabulary or word_map,
        companions=tuple(companions or ()),
        names={} if names is None else read_map(names),
        settings=pairs(settings, "--set", "heads=2"),
    )


def _show(taken: Taken, *, as_json: bool) -> None:
    from edgernn.importers.importing import sizes_in_words

    bundle = argument(f"{taken.folder}.edgernn")
    following = f"edgernn export {argument(taken.folder)} --out {bundle}"
    if as_json:
        compared = [
            {"tensor": c.name, "worst": c.worst, "step": c.step, "row": c.row}
            for c in taken.compared
        ]
        say_json(
            {
                "run": str(taken.folder),
                "family": taken.family,
                "kind": taken.kind,
                "model": taken.config.model_dump(),
                "parameters": taken.parameters,
                "told": list(taken.told),
                "checked": taken.proof,
                "compared": compared,
            }
        )
        return
    for each in taken.compared:
        say(f"  {each.name:<20} worst {each.worst:.1e} at step {each.step}, row {each.row}")
    say(f"{taken.folder}: {taken.family}, {sizes_in_words(taken)}")
    say(f"next: {following}")
