"""Options that take a share or one of a closed set: how they are read, and what a shell completes
them with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.errors import UsageError
from edgernn.wording import share


def read_share(value: str | float) -> float:
    """Read an option that is a share of a whole; the option parser adds its name to what was
    wrong.
    """
    try:
        return share(value)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


read_share.__name__ = "share"  # what --help shows that the option takes


def completing(find: Callable[[], Iterable[str]]) -> dict[str, Any]:
    """Return what lets a shell complete an option with one of the names that ``find`` returns, or
    with a list of them.
    """

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [before + comma + name for name in find() if name.startswith(last)]

    return {"autocompletion": complete}


def one_of(names: Iterable[str]) -> str:
    """Return the names as a help text lists them: ``a, b or c.``"""
    *first, last = names
    return f"{', '.join(first)} or {last}." if first else f"{last}."


def format_names() -> list[str]:
    """Return what ``--to`` takes."""
    from edgernn.formats import FORMATS

    return list(dict.fromkeys([*FORMATS, *(row.family for row in FORMATS.values())]))


def precision_names() -> list[str]:
    """Return what ``--precision`` takes."""
    from edgernn.formats import PRECISIONS

    return list(PRECISIONS)


def cell_names() -> list[str]:
    """Return the recurrent cells."""
    from edgernn.models.cells.table import CELLS

    return list(CELLS)


def importer_names() -> list[str]:
    """Return what ``--family`` takes."""
    from edgernn.importers.table import IMPORTERS

    return ["auto", *IMPORTERS]


def text_names() -> list[str]:
    """Return the texts that are built in."""
    from edgernn.data.text.source import BUILT_IN

    return list(BUILT_IN)


def token_names() -> list[str]:
    """Return what ``--tokens`` takes."""
    return ["char", "byte", "word", "bpe"]


def stack_names() -> list[str]:
    """Return what ``--cell`` takes: cells, and what stands in their place."""
    from edgernn.models.layered.table import OVER_MAPS, OVER_TIME

    return [*cell_names(), *OVER_TIME, *OVER_MAPS]


def way_names() -> list[str]:
    """Return what ``--between`` takes."""
    from edgernn.models.between import BETWEEN

    return list(BETWEEN)


def pair_names() -> list[str]:
    """Return the pairs of texts that are built in."""
    from edgernn.data.pairs.pairs import PAIRS

    return list(PAIRS)


def weight_names() -> list[str]:
    """Return what ``--weights`` takes."""
    return ["float", "binary", "ternary"]


def conditioning_names() -> list[str]:
    """Return what ``--conditioning`` takes."""
    from edgernn.families.captioner import CONDITIONINGS

    return list(CONDITIONINGS)


TrustOption = Annotated[
    bool,
    typer.Option("--trust", help="Run C as it lies in the bundle, not generated afresh."),
]

SignedByOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Whose signature it must have: a public key, or certificates (PEM)."
    ),
]
SignerOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The name that the signer's certificate has.")
]


def device_names() -> list[str]:
    """Return what ``--device`` takes."""
    return ["auto", "cuda", "mps", "cpu"]


def target_names() -> list[str]:
    """Return what ``--target`` takes."""
    from edgernn.export.to_c.targets.table import TARGETS

    return list(TARGETS)
