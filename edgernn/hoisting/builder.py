"""The graph of a step made of a whole sequence's: what each value of the capture has become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import fx

from edgernn.hoisting.capture import Capture
from edgernn.hoisting.copier import Copier
from edgernn.hoisting.forms import word
from edgernn.hoisting.nodes import operator_of, run
from edgernn.hoisting.places import line_of
from edgernn.hoisting.sizes import Sized
from edgernn.hoisting.stream import Constant, Moment, Stream, Value
from edgernn.hoisting.writer import StateSlot

_aten = torch.ops.aten


class Unrolled(Protocol):
    """What places the nodes of unrolled loops; see ``unrolled.py``."""

    def place(self, builder: Builder, node: fx.Node) -> Value | tuple[Value, ...] | None:
        """Return what a node becomes, or None where no loop has to do with it."""


class Builder(Copier):
    """Holds what a walk over a capture has found; ``placing.place_all`` walks."""

    def __init__(
        self,
        capture: Capture,
        sizes: Sized,
        measured: Mapping[str, int],
        *,
        frames: int | None,
        loops: Unrolled | None = None,
        counted: Callable[..., Stream] | None = None,
    ) -> None:
        """
        Args:
            capture: the whole sequence's graph.
            sizes: what its numbers hang on.
            measured: axis → its size in the capture.
            frames: frames of a call, or None where a call may hold any number of them.
            loops: what places the turns of loops, where the capture has unrolled ones.
            counted: what makes a stream of a table as long as the sequence; see ``counting.py``.
        """
        super().__init__(capture, sizes, measured, frames=frames)
        self.loops, self.counted = loops, counted
        self.longest: int | None = None  # frames that tables of fixed length have
        self.values: dict[fx.Node, Value] = {}
        self.parts: dict[fx.Node, tuple[Value, ...]] = {}  # of nodes that give several tensors
        self.step_frames = 1
        self.borrowed: dict[fx.Node, Value] = {}  # constants that one operator has as streams
        self._counter: StateSlot | None = None

    def node_of(self, node: fx.Node) -> fx.Node:
        """Return the node of the step graph that stands for one of the capture."""
        value = self.values[node]
        if isinstance(value, Constant):
            return self.constant(value.node)
        assert isinstance(value, (Stream, Moment)), value
        return value.node

    def stream(self, node: fx.Node) -> Stream:
        """Return the stream that a node of the capture is."""
        value = self.values[node]
        assert isinstance(value, Stream), value
        return value

    def result(self, node: fx.Node) -> Any:
        """Return what a call of the capture gave: a tensor, or several."""
        return run(node, lambda operand: self.values[operand].seen)

    def counter(self) -> fx.Node:
        """Return the state that counts the frames that came before this call: int64 ``[B]``."""
        if self._counter is None:
            rows = self.measured.get("batch", 1)
            slot = self.state(
                "frames_seen", "frames since the start", torch.zeros(rows, dtype=torch.int64), 0
            )
            slot.next = self.call(_aten.add.Tensor, slot.node, self.size("time"))
            self._counter = slot
        return self._counter.node

    def named(self, source: fx.Node, what: str) -> tuple[str, str]:
        """Return a name for a state at ``source``, made of the nearest weight's path."""
        path = nearest_weight(source, self.capture.weights)
        base = word(path.rsplit(".", 1)[0]) if path else "input"
        base = f"layer_{base}" if base[0].isdigit() else base
        return f"{base}_{what}", line_of(source)


def nearest_weight(node: fx.Node, weights: Mapping[str, str]) -> str | None:
    """Return the name of the weight that is nearest before a node, its own first."""
    seen, level = {node}, [node]
    while level:
        for one in level:
            if one.op == "get_attr" and not weights[str(operator_of(one))].startswith("constant."):
                return weights[str(operator_of(one))]
        level = [n for one in level for n in one.all_input_nodes if n not in seen]
        seen.update(level)
    return None
