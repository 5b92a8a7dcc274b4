"""Recurrent layers: L layers of one cell and one width, their state an input and an output of the
step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from edgernn.contract import LAYERS
from edgernn.errors import UsageError
from edgernn.models.between import Between
from edgernn.models.cells.table import CELLS, cell_class
from edgernn.models.compact import CompactStack, input_table, is_compact
from edgernn.models.deep import DeepStack
from edgernn.models.few_values import Weights, restrict
from edgernn.models.layered.layer import (
    Extent,
    Kept,
    LayerModule,
    Options,
    Place,
    Tensors,
    read_options,
)
from edgernn.models.layered.values import BATCH_AXIS, Axis, Value
from edgernn.models.recurrent import (
    MAX_LAYERS,
    CellStack,
    RecurrentStack,
    make_stack,
    state_widths,
)
from edgernn.wording import expected_one_of

HIDDEN = "hidden"


def known_cell(name: str) -> str:
    """Return ``name``; raise ValueError naming the cells where it is none."""
    if name not in CELLS:
        raise ValueError(expected_one_of(name, CELLS))
    return name


class RecurrentOptions(Options):
    """``hidden`` is H; ``first`` says whether the first state is zeros or among the parameters;
    ``cell_options`` are the cell's own; ``between`` says what passes between its layers, see
    ``models.between``; ``dropout`` acts between them in training; ``weights`` says how many values
    a row of their matrices is trained to have, see ``models.few_values``.
    """

    cell: Annotated[str, AfterValidator(known_cell)]
    hidden: Extent
    layers: int = Field(default=1, ge=1, le=MAX_LAYERS)
    between: Between = "plain"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    weights: Weights = "float"
    first: Literal["zeros", "stored"] = "zeros"
    cell_options: dict[str, str] = Field(default_factory=dict)


class Recurrent(LayerModule):
    """``[B, T, I]`` and its state to the top layer's ``[B, T, H]`` and the state after T.

    A second input ``[B, 1, gH]`` or ``[B, gH]`` is added to what the first layer's gates get from
    the first; then a call takes one time step. The states are ``NAME_h`` and so on with the axes
    ``[NAME_layers, B, NAME_hidden]``, or ``h`` with ``[layers, B, hidden]`` where no other layer of
    the step is recurrent; one of another width than H has the axis ``h_width``.

    The parameters are ``stack.fused.weight_ih_l0`` and so on, as torch's layer has them, of a cell
    without one ``stack.layers.0.…``; where layers are not plain, of each ``stack.layers.0.fused.…``
    and of the ways ``stack.ways.0.…``. Stored first values are ``first.h [L, 1, H]``. See
    ``tensors.recurrent_tensors``.
    """

    options_kind = RecurrentOptions
    graphs = ("step",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: RecurrentOptions = read_options(place, RecurrentOptions)
        place.want(1, most=2)
        cell, hidden = cell_class(options.cell), place.axis(options.hidden, HIDDEN).size or 0
        self.inputs = place.width()
        self.kept = kept_states(place)
        self.stack: RecurrentStack | CellStack | DeepStack | CompactStack = make_stack(
            options.cell,
            self.inputs,
            hidden=hidden,
            layers=options.layers,
            dropout=options.dropout,
            options=options.cell_options,
            between=options.between,
        )
        self.results = {"": place.inputs[0].over(self.kept[0].value.axes[-1])}
        self.one_step, self.weights = len(place.inputs) > 1, options.weights
        if self.one_step and options.weights != "float":
            raise place.refusal(f"weights is {options.weights!r}, and it has a second input")
        self.by_cell: CellStack | DeepStack | None = None
        if self.one_step:
            gates = cell.gates * hidden
            if not gates or place.width(1) != gates:
                raise place.refusal(
                    f"its second input is {place.inputs[1].told()}, expected {gates} values, as "
                    f"the gates of {options.cell} have"
                )
            self.by_cell = self.stack.by_cell()  # which share the parameters
        self.gate_rows = cell.gates * hidden
        self.first = nn.ParameterDict()
        for state in self.kept if options.first == "stored" else ():
            shape = [axis.size or 1 for axis in state.value.axes]
            self.first[state.key] = nn.Parameter(torch.zeros(shape))

    @property
    def open_time(self) -> bool:
        """See ``LayerModule.open_time``; a fused layer runs over time."""
        fused = not isinstance(self.stack, CompactStack) and self.stack.open_time
        return fused and not self.one_step

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        if len(given) == 1:
            y, after = self.stack(given[0], state)  # [B, T, H]
            return (y,), after
        gates = given[1][:, 0] if given[1].dim() > 2 else given[1]  # [B, gH]
        stack = self.stack if self.by_cell is None else self.by_cell
        y, after = stack(given[0], state, gates)  # [B, 1, H]
        return (y,), after

    def latest(self, state: Tensors) -> Tensor:
        """See ``LayerModule.latest``: what the top layer gave."""
        return state[0][-1]  # [B, H]

    def restrict(self) -> None:
        """See ``LayerModule.restrict``."""
        assert not isinstance(self.stack, CompactStack)
        restrict(self.stack, self.weights)

    def first_value(self, key: str) -> Tensor:
        """See ``LayerModule.first_value``."""
        value: Tensor = self.first[key]
        return value

    def first_state(self, kept: Kept, batch: int) -> Tensor:
        """Return the first value of a state for ``batch`` rows, ``[L, B, H]``."""
        shape = [batch if axis == BATCH_AXIS else axis.size or 1 for axis in kept.value.axes]
        if kept.stored:
            return self.first_value(kept.key).expand(shape)
        return torch.zeros(shape, device=next(self.parameters()).device)

    @property
    def can_fold(self) -> bool:
        """Whether its cell has a compact step, and one input feeds it."""
        if isinstance(self.stack, CompactStack) or self.one_step:
            return False
        return is_compact(self.stack.cells())

    def fold(self, embedding: Tensor) -> Tensor:
        """Turn it into its folded compact step, in place; return the table ``[V, gH]`` that stands
        for ``embedding [V, I]`` then. See ``compact.input_table``.
        """
        assert not isinstance(self.stack, CompactStack)
        cells = self.stack.cells()
        self.stack = CompactStack(cells, folded=True, ways=self.stack.ways)
        return input_table(cells[0], embedding)

    def step_face(self) -> None:
        """See ``LayerModule.step_face``: the compact one where the cell has one."""
        if isinstance(self.stack, CompactStack):
            return
        cells = self.stack.cells()
        if is_compact(cells):
            self.stack, self.by_cell = CompactStack(cells, ways=self.stack.ways), None


def kept_states(place: Place) -> tuple[Kept, ...]:
    """Return the states of the recurrent layer at ``place``, in the cell's order."""
    options: RecurrentOptions = read_options(place, RecurrentOptions)
    own = "" if place.alone else f"{place.layer.name}_"
    hidden = place.axis(options.hidden, HIDDEN)
    if place.alone and not isinstance(options.hidden, str):
        hidden = Axis(HIDDEN, hidden.size)
    layers = Axis(f"{own}{LAYERS}", options.layers)
    try:
        widths = state_widths(options.cell, hidden.size or 0, options.cell_options)
    except UsageError as error:
        raise place.refusal(str(error)) from error
    kept = []
    for key, width in widths.items():
        last = hidden if width == hidden.size else Axis(f"{own}{key}_width", width)
        value = Value((layers, BATCH_AXIS, last))
        kept.append(Kept(key, f"{own}{key}", value, options.first == "stored"))
    return tuple(kept)


def states_of(place: Place, name: str) -> Mapping[str, Kept]:
    """Return the states of the recurrent layer ``name`` of the step by their keys, for the layer at
    ``place``; raise UsageError where there is no such layer.
    """
    layer = place.described.get(name)
    if layer is None or layer.kind != "recurrent":
        known = [key for key, other in place.described.items() if other.kind == "recurrent"]
        raise place.refusal(f"it names {name!r}, expected a recurrent layer of the step: {known}")
    return {state.key: state for state in kept_states(replace(place, layer=layer))}
