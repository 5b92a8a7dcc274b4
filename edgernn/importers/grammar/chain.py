"""Blocks that follow one another: a table of vectors or none, recurrent layers, linear layers, and
functions between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgernn.errors import CheckpointError, UsageError
from edgernn.importers.grammar.blocks import Layer, Matrix, Stack
from edgernn.wording import expected_one_of

Link = Matrix | Stack | str  # str: the name of a function
CELL, CELL_SAYS = "cell", "rnn or rnn_relu: the function of cells of one gate"
_ONE_GATE = ("rnn", "rnn_relu")


@dataclass(frozen=True, eq=False)
class Chain:
    """A network whose every block takes what the one before gives.

    Attributes:
        embedding: the table of vectors that ids are looked up in; None where floats go in.
        links: what follows, in order.
        told: what was guessed, a sentence each.
    """

    embedding: Matrix | None
    links: tuple[Link, ...]
    told: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All recurrent layers, from the input up."""
        return tuple(
            layer for link in self.links if isinstance(link, Stack) for layer in link.layers
        )

    @property
    def takes(self) -> int:
        """How many ids go in, or how many numbers a time step."""
        if self.embedding is not None:
            return self.embedding.rows
        return next(widths(link)[0] for link in self.links if not isinstance(link, str))

    def uniform(self) -> bool:
        """Whether it is a table, one stack of one cell and one width that projects nothing, and a
        linear layer.
        """
        kinds = [type(link) for link in self.links]
        alike = {(layer.cell, layer.hidden) for layer in self.layers}
        plain = len(alike) == 1 and all(layer.w_hr is None for layer in self.layers)
        return self.embedding is not None and kinds == [Stack, Matrix] and plain

    def checked(self) -> Chain:
        """Return it as it is.

        Raises:
            CheckpointError: layers run in both directions, or a block does not take what the one
                before gives.
        """
        width = None if self.embedding is None else self.embedding.columns
        before = "" if self.embedding is None else self.embedding.name
        for link in self.links:
            if isinstance(link, str):
                continue
            if isinstance(link, Stack):
                refuse_backwards(link)
            takes, gives = widths(link)
            if width is not None and takes != width:
                raise CheckpointError(
                    f"{link.name or 'the network'} takes {takes} numbers and {before} before it "
                    f"gives {width}: the file is damaged, or they do not follow one another"
                )
            width, before = gives, link.name
        return self


def widths(link: Matrix | Stack) -> tuple[int, int]:
    """Return how many numbers a block takes and gives; of a matrix as a linear layer."""
    if isinstance(link, Matrix):
        return link.columns, link.rows
    return link.inputs, link.outputs


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are one: the same memory, or the same values."""
    if one.shape != other.shape:
        return False
    kept = one.__array_interface__["data"][0] == other.__array_interface__["data"][0]
    return (kept and one.strides == other.strides) or np.array_equal(one, other)


def with_cell(stack: Stack, settings: Mapping[str, str], *, said: bool) -> tuple[Stack, list[str]]:
    """Return ``stack`` with the cell of one gate that the user named, and what was guessed.

    Args:
        stack: as it was read.
        settings: the user's own.
        said: whether the file says which function such a cell has.

    Raises:
        UsageError: the setting names another cell than the matrices have.
    """
    cells = {layer.cell for layer in stack.layers}
    wanted = settings.get(CELL)
    if wanted is None:
        guessed = "rnn" in cells and not said
        told = (
            f"{stack.name or 'the network'} has cells of one gate, and the file does not say which "
            f"function they have: taken for tanh, torch's own; --set {CELL}=rnn_relu says relu"
        )
        return stack, [told] if guessed else []
    if cells <= set(_ONE_GATE) and wanted in _ONE_GATE:
        layers = tuple(replace(layer, cell=wanted) for layer in stack.layers)
        return replace(stack, layers=layers), []
    if cells != {wanted}:
        known = _ONE_GATE if cells <= set(_ONE_GATE) else sorted(cells)
        raise UsageError(
            f"--set {CELL}={wanted}, but the matrices are those of {', '.join(sorted(cells))}; "
            f"{expected_one_of(wanted, known)}"
        )
    return stack, []


def refuse_backwards(stack: Stack) -> None:
    """Raise CheckpointError where layers of ``stack`` run from the end to the start."""
    if stack.bidirectional:
        raise CheckpointError(
            f"{stack.name or 'the network'} is bidirectional: what it gives at a time step depends "
            "on all later ones, so it has no step that runs as its input comes; train it in one "
            "direction, or take its text as a whole with another runtime"
        )
