"""A captioner inside another graph: ``begin`` once a picture, ``step`` once a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from edgernn.contract import BATCH, ENCODE, TIME, Contract, TensorSpec, next_name
from edgernn.contract.in_graph import further_outputs
from edgernn.errors import ContractError
from edgernn.export.to_onnx.nodes import Scope


@dataclass(frozen=True)
class Stepped:
    """What a step gave.

    Attributes:
        logs: log-probabilities, float64 ``[B, 1, V]``.
        allowed: the logits, minus infinity for what is never written, ``[B, 1, V]``.
        further: what else it gives, each ``[B, 1, …]``.
        state: the states after it.
    """

    logs: str
    allowed: str
    further: list[str]
    state: list[str]


class CopiedModel:
    """Copies of the encode and the step graph, with the weights in the outermost graph.

    Args:
        outer: the outermost graph.
        encode, step: the graphs. They are not changed.
        contract: theirs.
        barred: what is added to the logits, float32 ``[V]``; None where all may be written.
    """

    def __init__(
        self,
        outer: Scope,
        encode: onnx.GraphProto,
        step: onnx.GraphProto,
        contract: Contract,
        *,
        barred: np.ndarray | None,
    ) -> None:
        self._outer, self._encode, self._step = outer, encode, step
        self._contract, self._barred = contract, barred
        self._weights = outer.hoist(step, "step")
        self._further, self._states = further_outputs(contract), contract.step.states

    def begin(self) -> list[str]:
        """Encode what is seen, keep the contexts, and return the states before the first step."""
        contexts = [context.name for context in self._contract.step.contexts]
        first = [state.name for state in self._contract.starting(ENCODE)]
        names = self._outer.hoist(self._encode, "encode")
        names |= {tensor.name: tensor.name for tensor in self._encode.input}
        made = self._outer.copy_in(self._encode, names, wanted=[*contexts, *first])
        self._seen = [made[name] for name in contexts]
        return [
            made[spec.name] if spec.name in first else self.zeros(spec) for spec in self._states
        ]

    def zeros(self, spec: TensorSpec, *, rows: int = 1, steps: int = 1) -> str:
        """Return zeros of ``rows`` rows and ``steps`` steps; an axis without a size has that of the
        context that has it, so ``begin`` comes first where ``spec`` has one.
        """
        sizes: dict[str, int] = {**self._contract.sizes, BATCH: rows, TIME: steps}
        if all(axis in sizes for axis in spec.axes):
            return self._outer.value(np.zeros([sizes[axis] for axis in spec.axes], spec.dtype))
        parts = [
            np.array([sizes[axis]]) if axis in sizes else self._open_size(axis)
            for axis in spec.axes
        ]
        shape = self._outer.add("Concat", *parts, axis=0)
        return self._outer.add("Expand", np.zeros([1] * len(spec.axes), spec.dtype), shape)

    def _open_size(self, axis: str) -> str:
        """Return the size of an open ``axis``, ``[1]``, as the first context has it that has it."""
        for context, value in zip(self._contract.step.contexts, self._seen, strict=True):
            if (place := context.axis(axis)) is not None:
                return self._outer.add("Shape", value, start=place, end=place + 1)
        raise ContractError(
            f"the axis {axis} has no size and no context has it, so a graph that decodes cannot "
            "begin; leave --in-graph out"
        )

    def step(self, scope: Scope, tokens: str, state: Sequence[str]) -> Stepped:
        """Feed one token a row, ``tokens [B, 1]``; the contexts are repeated for as many rows."""
        spec = self._contract.step
        names = {
            **self._weights,
            spec.text_ids.name: tokens,
            **dict(zip((s.name for s in self._states), state, strict=True)),
        }
        for context, value in zip(spec.contexts, self._seen, strict=True):
            sizes = [
                np.array([1]) if axis != BATCH else scope.add("Shape", tokens, start=0, end=1)
                for axis in context.axes
            ]
            names[context.name] = scope.add("Expand", value, scope.add("Concat", *sizes, axis=0))
        after, scores = [next_name(s.name) for s in self._states], spec.text_scores.name
        made = scope.copy_in(
            self._step, names, wanted=[scores, *(t.name for t in self._further), *after]
        )
        logs = scope.add("LogSoftmax", scope.add("Cast", made[scores], to=onnx.TensorProto.DOUBLE))
        allowed = (
            made[scores] if self._barred is None else scope.add("Add", made[scores], self._barred)
        )
        return Stepped(
            logs, allowed, [made[t.name] for t in self._further], [made[name] for name in after]
        )
