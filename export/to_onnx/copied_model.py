"""A captioner inside another graph: ``begin`` once a picture, ``step`` once a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from edgernn.contract import BATCH, ENCODE, Contract, TensorSpec, next_name
from edgernn.contract.in_graph import further_outputs, one_row
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
        """Encode the picture, keep the contexts, and return the states before the first step."""
        contexts = [context.name for context in self._contract.step.contexts]
        first = [state.name for state in self._contract.starting(ENCODE)]
        names = self._outer.hoist(self._encode, "encode")
        names |= {tensor.name: tensor.name for tensor in self._encode.input}
        made = self._outer.copy_in(self._encode, names, wanted=[*contexts, *first])
        self._seen = [made[name] for name in contexts]
        return [
            made[spec.name] if spec.name in first else self._outer.value(self.zeros(spec))
            for spec in self._states
        ]

    def zeros(self, spec: TensorSpec) -> np.ndarray:
        """Return zeros of one row and one step; every axis of a captioner's step has a size."""
        shape = one_row(self._contract, spec).shape or ()
        return np.zeros(tuple(int(size) for size in shape), spec.dtype)

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
