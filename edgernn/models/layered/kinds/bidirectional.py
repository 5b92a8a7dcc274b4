"""A recurrent encoder that reads a whole sequence of any length in both directions, in ``encode``
(Schuster & Paliwal 1997; Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from edgernn.errors import UsageError
from edgernn.models.between import Between
from edgernn.models.deep import DeepStack
from edgernn.models.layered.kinds.recurrent import HIDDEN, Recurrent, RecurrentOptions, known_cell
from edgernn.models.layered.layer import (
    Extent,
    LayerModule,
    Options,
    Place,
    Tensors,
    read_options,
)
from edgernn.models.layered.values import Axis, Value
from edgernn.models.recurrent import (
    MAX_LAYERS,
    CellStack,
    RecurrentStack,
    make_stack,
    state_widths,
)

Stack = RecurrentStack | CellStack | DeepStack


class BidirectionalOptions(Options):
    """``hidden`` is H of each direction. ``of`` names a recurrent layer of the step, whose weights
    both directions use then; the other options are that one's. ``between`` says what passes between
    layers, see ``models.between``.
    """

    cell: Annotated[str, AfterValidator(known_cell)] = "lstm"
    hidden: Extent | None = None
    layers: int = Field(default=1, ge=1, le=MAX_LAYERS)
    between: Between = "plain"
    of: str | None = None


class Bidirectional(LayerModule):
    r"""Vectors ``x [B, S, I]`` and the ids ``[B, S]`` that they are of, 0 where a row is over::

        →y = RNN_f(x_1 … x_n)    ←y = RNN_b(x_n … x_1), each from a state of zeros

    The value is ``[→y_i, ←y_i] [B, S, 2H]`` of the top layers, ``.last [B, 2H]`` what each
    direction gives of the last that it reads, ``→y_n`` and ``←y_1``, and ``.mask [B, S]`` int64, 1
    where a row has an id and 0 after its end. n is the number of ids of the row that are not 0.

    Rows are right whatever they are padded to: the backward direction reads ``x_n … x_1`` and the
    padding after it, as ONNX's ``ReverseSequence`` orders them, by a gather with computed indices.
    So both directions run forward over S, which may be open, in torch's own layer.

    The parameters are ``forward_stack.fused.weight_ih_l0`` and so on and ``backward_stack.…``, as
    torch's layer has them; none of its own with ``of``.
    """

    options_kind = BidirectionalOptions
    graphs = ("encode",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: BidirectionalOptions = read_options(place, BidirectionalOptions)
        vectors = _vectors(place)
        self.of = options.of
        self.stacks: tuple[Stack, ...] = ()  # where they are a layer's of the step
        described = _described(place, options)
        hidden = place.axis(described.hidden, HIDDEN).size or 0
        self.inputs, self.layers, self.cell = vectors.width, described.layers, described.cell
        self.states = state_widths(described.cell, hidden, described.cell_options)
        self.open = vectors.axes[1] if vectors.axes[1].size is None else None
        if options.of is None:
            read = partial(make_stack, described.cell, self.inputs, hidden=hidden)
            self.forward_stack = read(layers=self.layers, between=described.between)
            self.backward_stack = read(layers=self.layers, between=described.between)
            self._refuse_steps(self.forward_stack)
        width = Axis(f"{place.layer.name}_width", 2 * next(iter(self.states.values())))
        self.results = {
            "": vectors.over(width),
            "last": Value((vectors.axes[0], width)),
            "mask": Value(vectors.axes[:2], "int64"),
        }

    def bind(self, step: Mapping[str, LayerModule]) -> None:
        """See ``LayerModule.bind``."""
        if self.of is None:
            return
        found = step[self.of]
        assert isinstance(found, Recurrent)
        if found.one_step or found.inputs != self.inputs:
            raise UsageError(
                f"the bidirectional layer {self.place_name!r} reads vectors of the width "
                f"{self.inputs}; {self.of!r}, whose weights it uses, must take one input of that "
                f"width, and takes {found.inputs}"
            )
        assert isinstance(found.stack, RecurrentStack | CellStack | DeepStack)
        self._refuse_steps(found.stack)
        self.shares, self.stacks = (found,), (found.stack, found.stack)

    def _refuse_steps(self, stack: Stack) -> None:
        """Raise UsageError for a stack that takes one step after another over an open axis."""
        if self.open is not None and not stack.open_time:
            raise UsageError(
                f"the bidirectional layer {self.place_name!r}: torch has no layer of this "
                f"{self.cell} that runs over the open axis {self.open.name}; choose lstm, gru or "
                "rnn"
            )

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        x, ids = given
        mask = ids != 0  # [B, S]
        back, last = _order(mask.to(x.dtype))
        ahead, behind = self.stacks or (self.forward_stack, self.backward_stack)
        forward = self._run(ahead, x)  # [B, S, H]
        backward = self._run(behind, _rows(x, back))  # [B, S, H], as it was read
        both = torch.cat((forward, _rows(backward, back)), 2)  # [B, S, 2H]
        ends = torch.cat([y.flatten(0, 1).index_select(0, last) for y in (forward, backward)], 1)
        return (both, ends, mask.long()), ()

    def _run(self, stack: Stack, x: Tensor) -> Tensor:
        """Run ``x [B, S, I]`` through one direction from zeros; return ``[B, S, H]``."""
        first = tuple(x.new_zeros(self.layers, x.shape[0], w) for w in self.states.values())
        y: Tensor = stack(x, first)[0]
        return y


def _order(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return, of rows with ids where ``mask [B, S]`` is 1, the places among all B·S: of each row's
    vectors the other way round, its padding left where it is, ``[B·S]``; and of the last of each,
    ``[B]``.
    """
    rows, size = mask.shape[0], mask.shape[1]
    told = mask.sum(1, keepdim=True)  # [B, 1]; in floats, whose sums every format has
    count, end = told.long(), (told - 1.0).clamp(min=0.0).long()  # [B, 1]
    at = torch.arange(size, device=mask.device).unsqueeze(0)  # [1, S]
    start = torch.arange(rows, device=mask.device).unsqueeze(1) * size  # [B, 1]
    turned = torch.where(at < count, count - 1 - at, at)  # [B, S]
    return (start + turned).flatten(), (start + end).flatten()


def _rows(x: Tensor, places: Tensor) -> Tensor:
    """Return ``x [B, S, I]`` with its vectors in the order of ``places [B·S]``."""
    return x.flatten(0, 1).index_select(0, places).reshape(x.shape)


def _vectors(place: Place) -> Value:
    """Return what is known of the vectors; raise UsageError where they and the ids do not fit."""
    if len(place.inputs) != 2:
        raise place.refusal(f"it takes vectors and their ids, got {len(place.inputs)} inputs")
    vectors, ids = place.inputs
    fits = vectors.is_float and len(vectors.axes) == 3 and ids.below is not None
    if not fits or ids.axes != vectors.axes[:2]:
        raise place.refusal(
            f"its inputs are {vectors.told()} and {ids.told()}, expected vectors [batch, …, width] "
            "and the ids [batch, …] that they are of"
        )
    place.width()
    return vectors


def _described(place: Place, options: BidirectionalOptions) -> RecurrentOptions:
    """Return the options of both stacks, those of the layer ``of`` where it is named."""
    if options.of is None:
        if options.hidden is None:
            raise place.refusal("option hidden is missing; give it, or of, a layer of the step")
        own = {name: getattr(options, name) for name in ("cell", "hidden", "layers", "between")}
        return RecurrentOptions(**own)
    layer = place.described.get(options.of)
    if layer is None or layer.kind != "recurrent":
        known = [key for key, other in place.described.items() if other.kind == "recurrent"]
        raise place.refusal(
            f"of is {options.of!r}, expected a recurrent layer of the step: {known}"
        )
    found: RecurrentOptions = read_options(replace(place, layer=layer), RecurrentOptions)
    return found
