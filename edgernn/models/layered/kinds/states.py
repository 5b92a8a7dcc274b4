"""Layers that look at another layer's state: before the step, and after a few steps that ``encode``
runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from edgernn.errors import UsageError
from edgernn.models.layered.kinds.keeping import kept_value
from edgernn.models.layered.kinds.recurrent import Recurrent, states_of
from edgernn.models.layered.layer import (
    Kept,
    LayerModule,
    Options,
    Place,
    Tensors,
    read_options,
)
from edgernn.models.layered.values import BATCH_AXIS, TIME_AXIS, Value, before

_MOST_STEPS = 64


class BeforeOptions(Options):
    """``layer`` is a recurrent or a keep layer of the step, which may come later; ``state`` one of
    its states, the first unless told otherwise.
    """

    layer: str
    state: str | None = None


class Before(LayerModule):
    """The state of a recurrent layer before the step, of its top layer, or what a keep layer kept:
    ``[B, 1, H]``. A call takes one time step.
    """

    options_kind = BeforeOptions
    graphs = ("step",)
    one_step = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: BeforeOptions = read_options(place, BeforeOptions)
        place.want(0)
        states = _states_before(place, options.layer)
        key = next(iter(states)) if options.state is None else options.state
        if key not in states:
            raise place.refusal(f"state is {key!r}, expected one of {list(states)}")
        axes = states[key].value.axes
        self.by_layers = len(axes) > 2
        self.results = {"": Value((BATCH_AXIS, TIME_AXIS, axes[-1]))}
        self.sources = (before(options.layer, key),)

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        state_before = given[0][-1] if self.by_layers else given[0]  # [B, H]
        return (state_before.unsqueeze(1),), ()  # [B, 1, H]


def _states_before(place: Place, name: str) -> Mapping[str, Kept]:
    """Return the states of the layer ``name`` by their keys."""
    layer = place.described.get(name)
    if layer is not None and layer.kind == "keep":
        return {state.key: state for state in kept_value(replace(place, layer=layer))}
    return states_of(place, name)


class RunOptions(Options):
    """``layer`` is a recurrent layer of the step."""

    layer: str


class Run(LayerModule):
    """A recurrent layer of the step, run over the given vectors from its first state: what a model
    is told before its first step. Inputs are ``[B, I]``, a step each, or ``[B, N, I]``; the results
    ``.h`` and so on are the layer's states after them, ``[L, B, H]``.
    """

    options_kind = RunOptions
    graphs = ("encode",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: RunOptions = read_options(place, RunOptions)
        place.want(1, most=_MOST_STEPS)
        if strange := next((v for v in place.inputs if len(v.axes) > 3 or not v.axes[-2:]), None):
            raise place.refusal(f"its input is {strange.told()}, expected [batch, width]")
        open_ones = [v.told() for v in place.inputs if len(v.axes) == 3 and not v.axes[1].size]
        if open_ones:
            raise place.refusal(f"its input {open_ones[0]} has an open number of steps")
        self.layer = options.layer
        self.widths = [place.width(index) for index in range(len(place.inputs))]
        self.results = {key: kept.value for key, kept in states_of(place, options.layer).items()}

    def bind(self, step: Mapping[str, LayerModule]) -> None:
        """See ``LayerModule.bind``."""
        found = step[self.layer]
        assert isinstance(found, Recurrent)
        if found.one_step or {*self.widths} != {found.inputs}:
            raise UsageError(
                f"the run layer {self.place_name!r}: its inputs have the widths {self.widths}; "
                f"{self.layer!r}, which it runs, must take one input, of the width {found.inputs}"
            )
        self.shares = (found,)

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        (layer,) = self.shares
        assert isinstance(layer, Recurrent)
        x = torch.cat([v if v.dim() == 3 else v.unsqueeze(1) for v in given], 1)  # [B, N, I]
        after: Tensors = tuple(layer.first_state(kept, x.shape[0]) for kept in layer.kept)
        for t in range(x.shape[1]):
            _, after = layer((x[:, t : t + 1],), after)
        return after, ()
