"""A network that can be called, fed and started; captured at any sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, fx

from edgernn.contract import BATCH, TIME
from edgernn.hoisting.any_rows import First
from edgernn.hoisting.begin import Begin
from edgernn.hoisting.call import Call
from edgernn.hoisting.capture import Capture, capture
from edgernn.hoisting.inputs import Inputs
from edgernn.hoisting.result import State
from edgernn.hoisting.sizes import Length, Sized, sized

ROWS, OTHER_ROWS = 2, 3
_OTHER = 3  # by how much an open axis differs in a second capture


@dataclass
class Network:
    """A network with its call, its inputs and the first values of its state.

    Attributes:
        call: with its state held.
        inputs: what it is fed.
        first: rows, sizes of open axes and inputs of the start method, the last two if need be →
            the first value of each state, in order.
        begin: what a run begins with.
        contexts: inputs that are constant over a run, as the user says.
    """

    call: Call
    inputs: Inputs
    first: First
    begin: Begin
    contexts: tuple[str, ...] = ()

    def run(
        self, inputs: Sequence[Tensor], state: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the outputs and the next state of one call."""
        made = self.call(inputs, state)
        count = len(made) - len(self.call.state_names)
        return made[:count], made[count:]

    def captured(self, sizes: Mapping[str, int]) -> Capture:
        """Run one call at ``sizes`` and return what it did; state comes after the inputs."""
        given, state = self.inputs.draw(sizes), self.first(sizes[BATCH], sizes)
        count = len(given)
        return capture(
            lambda *tensors: self.call(tensors[:count], tensors[count:]),
            [*given, *state],
            self.call.net,
        )

    def start_captured(self, sizes: Mapping[str, int]) -> Capture:
        """Make the first state at ``sizes`` of the start method's inputs and return what it did."""
        self.begin.drawn(sizes[BATCH], sizes)
        return capture(
            lambda *tensors: self.first(sizes[BATCH], sizes, tensors),
            self.inputs.draw_start(sizes),
            self.call.net,
        )

    def compared(
        self,
        captured: Capture,
        sizes: Mapping[str, int],
        frames: int | None,
        again: Callable[[Mapping[str, int]], Capture] | None = None,
    ) -> Sized | None:
        """Capture again at other sizes and say what the numbers hang on; with ``frames`` frames in
        the second one along time, or as many as before.
        """
        varied = ({} if frames is None else {TIME: frames}) | {BATCH: OTHER_ROWS}
        varied |= {axis: sizes[axis] + _OTHER for axis in self.inputs.open_axes}
        capture_at, others = again or self.captured, {}
        for axis, size in varied.items():
            others[axis] = capture_at({**sizes, axis: size}).nodes
            if len(others[axis]) != len(captured.nodes):  # a loop, which other sizes do not mend
                return None
        return sized(captured.nodes, others, sizes, varied)

    @property
    def wheres(self) -> list[str]:
        """Where each state is, in words, in order."""
        return [held.where for held in self.call.held for _ in held.names]

    def states(self, captured: Capture, numbers: Sized) -> list[State]:
        """Return what is known of the states that the network takes or keeps itself."""
        firsts, names = self.first(ROWS), self.call.state_names
        nodes = captured.placeholders[len(captured.placeholders) - len(names) :]
        return [
            State(
                name,
                where,
                tuple(first.shape) or (1,),
                first.dtype,
                numbers.axis_of(node, BATCH),
                first if first.dim() else first[None],  # no number alone: Core ML takes none
            )
            for name, where, node, first in zip(names, self.wheres, nodes, firsts, strict=True)
        ]


def named_axes(numbers: Sized, node: fx.Node) -> list[str | None]:
    """Return the name of each axis that is exactly as long as an open one of the inputs."""
    return [
        size.axes[0] if isinstance(size, Length) and len(size.axes) == 1 and not size.base else None
        for size in numbers.shapes[node]
    ]


def open_axes(numbers: Sized, node: fx.Node) -> dict[str, int]:
    """Return the places of the axes that have a name."""
    return {axis: at for at, axis in enumerate(named_axes(numbers, node)) if axis is not None}
