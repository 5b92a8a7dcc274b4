"""What goes over time in a network of layers: a stack that is chosen by the name of a cell, or of a
kind of layer that stands in its place. A family says only where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from edgernn.contract import Record
from edgernn.errors import UsageError
from edgernn.models.between import Between
from edgernn.models.cells.table import CELLS
from edgernn.models.few_values import Weights
from edgernn.models.layered.table import OVER_MAPS, OVER_TIME, kind_class
from edgernn.models.recurrent import MAX_LAYERS, state_widths
from edgernn.wording import expected_one_of

MAX_WIDTH = 1 << 20  # so that no product of sizes leaves 64 bits
_RECURRENT = "recurrent"
_LATER = ("between", "weights", "cell_options", "kernel", "growth")
_CHOSEN = ("between", "weights", "dropout", "cell_options", "kernel", "growth")


def _known(name: str) -> str:
    if name not in (names := (*CELLS, *OVER_TIME, *OVER_MAPS)):
        raise ValueError(expected_one_of(name, names))
    return name


def _pairs(given: Any) -> Any:
    """Read ``projection=32,activation=relu``."""
    if not isinstance(given, str):
        return given
    parts = [part.partition("=") for part in given.split(",") if part.strip()]
    if not all(name.strip() and sign for name, sign, _ in parts):
        raise ValueError("expected NAME=VALUE, with commas between several")
    return {name.strip(): value.strip() for name, _, value in parts}


CellName = Annotated[str, AfterValidator(_known)]
Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]


class Stack(Record):
    """A stack over time; families subclass it, with defaults of their own.

    Attributes:
        cell: a row of ``models.cells.table``, of ``OVER_TIME`` or of ``OVER_MAPS``.
        hidden: H, the width of a layer; of maps, their channels.
        layers: L.
        between: what passes between layers, see ``models.between``.
        weights: how many values a row of the layers' matrices is trained to have.
        dropout: the share of values that is dropped between layers, in training.
        cell_options: the cell's own, as text by name.
        kernel, growth: of convolutions; None takes the kind's own.
    """

    cell: CellName = "lstm"
    hidden: Width = 64
    layers: int = Field(default=1, ge=1, le=MAX_LAYERS)
    between: Between = "plain"
    weights: Weights = "float"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    cell_options: Annotated[dict[str, str], BeforeValidator(_pairs)] = Field(default_factory=dict)
    kernel: int | None = None
    growth: int | None = None

    @model_serializer(mode="wrap")
    def _as_it_was(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later where nothing is said of it: saved models are told by what
        this gives.
        """
        made: dict[str, Any] = write(self)
        later = {
            name: Stack.model_fields[name].get_default(call_default_factory=True) for name in _LATER
        }
        return {name: v for name, v in made.items() if name not in later or v != later[name]}

    @property
    def kind(self) -> str:
        """Which kind of layer it is."""
        return _RECURRENT if self.cell in CELLS else self.cell

    @property
    def over_maps(self) -> bool:
        """Whether it takes a map a frame in place of a vector."""
        return self.cell in OVER_MAPS

    @property
    def states(self) -> dict[str, int]:
        """State → its width, of a stack of cells; empty of another kind.

        Raises:
            UsageError: an option that the cell has not, or a value that does not fit.
        """
        if self.kind != _RECURRENT:
            return {}
        return state_widths(self.cell, self.hidden, self.cell_options)

    @property
    def width(self) -> int:
        """The width of what it gives."""
        return next(iter(self.states.values()), self.hidden)

    def described(self, name: str, given: str, *, maps: bool = False) -> list[dict[str, Any]]:
        """Return the layers of a description, the last of which is ``name``, ``[B, T, width]``.

        Args:
            name: of the stack; its states begin with it where they are not alone.
            given: what it takes.
            maps: whether ``given`` is a map a frame, not a vector.

        Raises:
            UsageError: an option that its kind has not, or a kind that does not take ``given``.
        """
        if maps != self.over_maps:
            takes, stands = ("a map a frame", "vectors") if self.over_maps else ("vectors", "maps")
            raise UsageError(
                f"{self.cell} takes {takes}, and here stand {stands}; choose another --cell"
            )
        own = {"cell": self.cell} if self.kind == _RECURRENT else {}
        options = {**own, **_told(self)}
        if not maps:
            options |= {"hidden": self.hidden, "layers": self.layers}
            return [_layer(name, self.kind, given, options)]
        made, before = [], given
        for place in range(self.layers):
            made.append(
                _layer(f"{name}_{place}", self.kind, before, {"width": self.hidden, **options})
            )
            before = made[-1]["name"]
        return [*made, _layer(name, "frame_vector", before, {"by": "mean"})]

    def of_cells(self, reason: str) -> None:
        """Raise UsageError, which says why, where it is no stack of cells."""
        if self.kind != _RECURRENT:
            raise UsageError(f"{self.cell} is no recurrent cell: {reason}; choose a cell")


def _layer(name: str, kind: str, given: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "kind": kind, "inputs": [given], "options": dict(options)}


def _told(stack: Stack) -> dict[str, Any]:
    """Return what is said of it beside its sizes; raise UsageError where its kind has no such
    option.
    """
    made = {}
    fields = Stack.model_fields
    for name in _CHOSEN:
        value = getattr(stack, name)
        if value == fields[name].get_default(call_default_factory=True):
            continue
        if name in _options_of(stack.kind):
            made[name] = value
        elif name != "dropout":  # which acts elsewhere, too
            raise UsageError(
                f"{stack.cell} takes no --{name.replace('_', '-')}; leave it out, or choose "
                f"{_taking(name)}"
            )
    return made


def _options_of(kind: str) -> Mapping[str, Any]:
    return kind_class(kind).options_kind.model_fields


def _taking(option: str) -> str:
    """Return what has the option, in words."""
    if option in _options_of(_RECURRENT):
        return "a recurrent cell"
    return " or ".join(kind for kind in (*OVER_TIME, *OVER_MAPS) if option in _options_of(kind))
