"""A whole text in one call: an ONNX ``Loop`` around a step graph, sampling included.

What is computed is what ``Generation`` and ``Sampler`` compute, in their order and dtypes, so that
the same numbers give the same text: with x the logits, largest first, equal ones by the lower id,
the first ``top_k`` of them,

    c_i = Σ_{j ≤ i} exp((x_j - x_0) / T) / Σ_j exp((x_j - x_0) / T)
    e   = the first c_i ≥ top_p;   token = the first i with c_i / e > u

for the uniform number u; the sums are float64, made one after the other; a ``top_p`` of 1 divides
by exactly 1. Where the two differ at all it is in the last bit of an exponential, which decides
nothing unless u is as close as that to a c_i / e.

The weights stay in the outer graph, and the loop directly in it: onnxruntime prepares constants for
its products one graph deep only, and deeper inside is many times slower.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from edgernn.contract import TOKENS, Contract, Decoding, FileContract, next_name
from edgernn.contract.in_graph import (
    GENERATE,
    LENGTH,
    LOG_PROBABILITIES,
    PROMPT,
    STOP,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    UNIFORMS,
    generate_interface,
)
from edgernn.export.to_onnx.in_graph import barred, check_tensors, finished_model
from edgernn.export.to_onnx.layered import by_layer
from edgernn.export.to_onnx.nodes import Carried, Pass, Scope

# logits [1, 1, V] and the number of the pass to a token [1, 1, 1]
Choice = Callable[[Scope, str, str], str]
_LAST = np.array([-1])
_ONE_TOKEN = np.array([1, 1])  # the shape of one row and one time step


def generate_model(
    step: onnx.ModelProto, file_contract: FileContract, *, decoding: Decoding
) -> onnx.ModelProto:
    """Return a model that writes a whole text; see ``generate_interface`` for what it takes and
    gives.

    Args:
        step: a step graph that takes T = 1: a fused one, or a step face, quantised or not. It is
            not changed.
        file_contract: of the file to be written; its contract is the step graph's.
        decoding: its ``suppress`` is built in; it replaces that of ``file_contract`` in the
            metadata.

    Raises:
        ContractError: the step graph does not have the contract's tensors, or takes a picture's
            contexts, too.
        UsageError: every id is suppressed, or one is outside the vocabulary.
    """
    contract = file_contract.contract
    interface = generate_interface(contract)
    check_tensors(
        step.graph, [t.name for t in contract.step.inputs], [t.name for t in contract.step.outputs]
    )
    writer = _Writer(step.graph, contract, decoding)
    writer.write(writer.feed_prompt())
    return finished_model(writer.outer, GENERATE, interface, file_contract, decoding, (step,))


class _Writer:
    """The outermost graph of a ``generate`` model, part by part."""

    def __init__(self, step: onnx.GraphProto, contract: Contract, decoding: Decoding) -> None:
        self.outer = Scope()
        self._ids, self._scores = contract.step.text_ids.name, contract.step.text_scores.name
        self._states = [state.name for state in contract.step.states]
        self._layered = by_layer(step, self._states)
        self._step, self._weights = self._layered.graph, self.outer.hoist(step, "step")
        self._names = [part for parts in self._layered.before.values() for part in parts]
        self._vocabulary = contract.vocabulary
        self._barred = barred(decoding, self._vocabulary)

    def feed_prompt(self) -> list[str]:
        """Feed all of the prompt but its last token; return that token, then the states before it.

        The head is left out: nobody reads the logits.
        """

        def body(scope: Scope, number: str, before: list[str]) -> Pass:
            after = self._advance(scope, before, wanted=[])
            following = scope.add("Add", scope.add("Reshape", number, _ONE_TOKEN), np.array(1))
            token = scope.add("Gather", PROMPT, following)  # [1, 1]
            return Pass(scope.add("Identity", np.array(True)), [token, *after.values()])

        outer = self.outer
        passes = outer.add("Sub", outer.add("Size", PROMPT), np.array(1))
        first = [outer.add("Gather", PROMPT, np.array([[0]])), *self._parts()]
        return outer.loop(passes, body, carried=self._carried(first))

    def _parts(self) -> list[str]:
        """Return the states that are given, layer by layer."""
        parts: list[str] = []
        for name in self._states:
            layers = len(self._layered.before[name])
            parts += (
                self.outer.add_many("Split", name, np.ones(layers, np.int64), outputs=layers)
                if layers > 1
                else [name]
            )
        return parts

    def write(self, before: list[str]) -> None:
        """Write the tokens after the last of the prompt, and name what comes out.

        One loop takes the most probable token, another one draws it, and one of the two makes no
        pass: an operator that chose between them at every token would cost 2 µs each time.
        """
        outer = self.outer
        everything, none = np.array(self._vocabulary), np.array(0)
        asked = outer.add("Where", outer.add("Greater", TOP_K, none), TOP_K, everything)
        top_k = outer.add("Reshape", outer.add("Min", asked, everything), np.array([1]))
        greedy = outer.add("LessOrEqual", TEMPERATURE, np.array(0.0))
        passes = (
            outer.add("Where", greedy, LENGTH, none),
            outer.add("Where", greedy, none, LENGTH),
        )
        choices: tuple[Choice, ...] = (
            lambda scope, logits, number: scope.add("ArgMax", logits, axis=-1),
            lambda scope, logits, number: sampled(
                scope, logits, top_k, scope.add("Gather", UNIFORMS, number)
            ),
        )
        tokens, log_probabilities = [], []
        for count, choice in zip(passes, choices, strict=True):
            *before, written, said = outer.loop(
                count,
                self._writing(choice),
                carried=self._carried(before),
                collected=["int64", "float32"],
            )
            tokens.append(outer.add("Reshape", written, np.array([-1])))
            log_probabilities.append(outer.add("Reshape", said, np.array([-1])))
        outer.rename(outer.add("Concat", *tokens, axis=0), TOKENS)
        outer.rename(outer.add("Concat", *log_probabilities, axis=0), LOG_PROBABILITIES)
        after = before[1:]
        for name in self._states:
            layers = [after.pop(0) for _ in self._layered.before[name]]
            outer.rename(
                outer.add("Concat", *layers, axis=0) if len(layers) > 1 else layers[0],
                next_name(name),
            )

    def _writing(self, choice: Choice) -> Callable[[Scope, str, list[str]], Pass]:
        """Return what writes one token a pass, the token chosen by ``choice``."""
        false = self.outer.add("Expand", np.array(False), self.outer.add("Shape", STOP))
        goes_on = self.outer.add(
            "ScatterElements", np.ones(self._vocabulary, bool), STOP, false
        )  # [V]

        def body(scope: Scope, number: str, before: list[str]) -> Pass:
            after = self._advance(scope, before, wanted=[self._scores])
            logits = after.pop(self._scores)  # [1, 1, V]
            token = choice(
                scope,
                scope.add("Add", logits, self._barred) if self._barred is not None else logits,
                number,
            )
            log_probabilities = scope.add(
                "GatherElements", scope.add("LogSoftmax", logits), token, axis=-1
            )  # [1, 1, 1], as the token
            go_on = scope.add(
                "Reshape", scope.add("Gather", goes_on, token), np.array([], np.int64)
            )
            return Pass(
                go_on,
                [scope.add("Reshape", token, _ONE_TOKEN), *after.values()],
                [token, log_probabilities],
            )

        return body

    def _carried(self, first: list[str]) -> list[Carried]:
        """Declare the token and the states as the step graph does: onnxruntime then optimises both
        alike, to the last bit.
        """
        own = {value.name: value.type.tensor_type for value in self._step.input}
        shapes = [
            [d.dim_param or d.dim_value for d in own[name].shape.dim]
            for name in (self._ids, *self._names)
        ]
        dtypes = [
            helper.tensor_dtype_to_np_dtype(own[name].elem_type).name
            for name in (self._ids, *self._names)
        ]
        return [Carried(*each) for each in zip(first, dtypes, shapes, strict=True)]

    def _advance(self, scope: Scope, before: list[str], *, wanted: list[str]) -> dict[str, str]:
        """Feed a token; return what is wanted, then the states after it."""
        names = {**self._weights, **dict(zip((self._ids, *self._names), before, strict=True))}
        return scope.copy_in(
            self._step,
            names,
            wanted=[*wanted, *(part for parts in self._layered.after.values() for part in parts)],
        )


def sampled(scope: Scope, logits: str, top_k: str, uniform: str) -> str:
    """Add the choice of a token from ``logits [1, 1, V]``; return its id ``[1, 1, 1]``. The module
    gives the equation.
    """
    # the lower id first among equals
    values, order = scope.add_many("TopK", logits, top_k, outputs=2, axis=-1)
    double = scope.add("Cast", values, to=onnx.TensorProto.DOUBLE)
    below = scope.add("Sub", double, scope.add("Gather", double, np.array([0]), axis=-1))
    weights = scope.add("Exp", scope.add("Div", below, TEMPERATURE))
    sums = scope.add("CumSum", weights, np.array(2))
    # ends in exactly 1
    cumulative = scope.add("Div", sums, scope.add("Gather", sums, _LAST, axis=-1))
    edge = scope.add(
        "GatherElements", cumulative, _first(scope, "GreaterOrEqual", cumulative, TOP_P), axis=-1
    )
    chosen = _first(scope, "Greater", scope.add("Div", cumulative, edge), uniform)
    return scope.add("GatherElements", order, chosen, axis=-1)


def _first(scope: Scope, comparison: str, values: str, limit: str) -> str:
    """Return the first place ``[1, 1, 1]`` along the last axis where the comparison holds; 0 where
    it never does.
    """
    holds = scope.add("Cast", scope.add(comparison, values, limit), to=onnx.TensorProto.INT32)
    return scope.add("ArgMax", holds, axis=-1)
