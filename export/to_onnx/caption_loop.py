"""A whole caption in one call: the encode graph, and a beam search over the step graph in an ONNX
``Loop``.

What is computed is what ``beam_search`` computes. Each pass of the loop feeds one token a beam and
keeps the ``beam`` most probable ways to go on; ties go to the lower id, then to the earlier beam.
The number of rows changes from pass to pass as it does there, so that the step's own numbers are
the same. Only the best caption is asked for, so only the best finished sequence is kept, and the
search ends once no beam can score more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from edgernn.contract import (
    BATCH,
    ENCODE,
    TOKENS,
    Contract,
    Decoding,
    FileContract,
    TensorSpec,
    next_name,
)
from edgernn.contract.in_graph import (
    CAPTION,
    FINISHED,
    LENGTH,
    LOG_PROBABILITY,
    SCORE,
    caption_interface,
    further_outputs,
    one_row,
)
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_onnx.beam_nodes import Offers, best_offers, length_factor
from edgernn.export.to_onnx.generate_loop import barred, check_tensors, finished_model
from edgernn.export.to_onnx.nodes import Carried, Pass, Scope

_LOWEST = np.array(-np.inf)
_FLAT, _SCALAR = np.array([-1]), np.array([], np.int64)


def caption_model(
    encode: onnx.ModelProto,
    step: onnx.ModelProto,
    file_contract: FileContract,
    *,
    decoding: Decoding,
) -> onnx.ModelProto:
    """Return a model that writes the caption of a picture; see ``caption_interface`` for what it
    takes and gives.

    Args:
        encode: the encode graph. It is not changed.
        step: the step graph, its batch axis open. It is not changed.
        file_contract: of the file to be written; its contract is that of the two graphs.
        decoding: its ``start``, ``stop`` and ``suppress`` are built in; it replaces that of
            ``file_contract`` in the metadata.

    Raises:
        ContractError: a graph does not have the contract's tensors, takes one row only, or its
            first state is learned.
        UsageError: there is no start token, every id is suppressed, or one is outside the
            vocabulary.
    """
    contract = file_contract.contract
    interface = caption_interface(contract)
    for graph, spec in ((encode.graph, contract.graph(ENCODE)), (step.graph, contract.step)):
        check_tensors(graph, [t.name for t in spec.inputs], [t.name for t in spec.outputs])
    if any(
        dimension.dim_value == 1 for dimension in step.graph.input[0].type.tensor_type.shape.dim[:1]
    ):
        raise ContractError(
            "the step graph takes one row a call, expected an open batch axis; export it so, "
            "for its beams"
        )
    search = _Search(encode.graph, step.graph, contract, decoding)
    search.name_outputs(search.close(search.extend(search.look())))
    return finished_model(search.outer, CAPTION, interface, file_contract, decoding, (encode, step))


@dataclass(frozen=True)
class _Best:
    """The best sequence that has ended so far: its score, its log-probability, its tokens, and what
    else each step gave of it.
    """

    score: str
    log_probability: str
    tokens: str
    further: list[str]

    @property
    def values(self) -> list[str]:
        return [self.score, self.log_probability, self.tokens, *self.further]


@dataclass(frozen=True)
class _Beams:
    """What goes on: the last tokens ``[B, 1]``, the sums ``[B, 1, 1]``, what was written ``[B, n]``
    and what else each step gave, the states.
    """

    last: str
    sums: str
    tokens: str
    further: list[str]
    state: list[str]

    @property
    def values(self) -> list[str]:
        return [self.last, self.sums, self.tokens, *self.further, *self.state]


@dataclass(frozen=True)
class _Searched:
    """Where a search stands."""

    open: str
    best: _Best
    beams: _Beams


@dataclass(frozen=True)
class _Step:
    """What a step gave: log-probabilities, float64, and the logits that may be written, ``[B, 1,
    V]``; what else it gives; states.
    """

    logs: str
    allowed: str
    further: list[str]
    state: list[str]


class _Search:
    """The outermost graph of a ``caption`` model, part by part."""

    def __init__(
        self, encode: onnx.GraphProto, step: onnx.GraphProto, contract: Contract, decoding: Decoding
    ) -> None:
        if contract.starting("stored"):
            raise ContractError(
                "the first state is learned, which is no part of a graph; expected zeros, or "
                "one from encode"
            )
        if not decoding.start:
            raise UsageError(
                "the decoding defaults have no start token; give at least one to feed first"
            )
        self.outer = Scope()
        self._contract, self._decoding = contract, decoding
        self._encode, self._step = encode, step
        self._weights = self.outer.hoist(step, "step")
        self._further, self._states, self._contexts = (
            further_outputs(contract),
            contract.step.states,
            contract.step.contexts,
        )
        vocabulary = contract.vocabulary
        self._barred = barred(decoding, vocabulary)
        self._stops = np.isin(np.arange(vocabulary), decoding.stop)  # [V]
        self._writable = vocabulary - len(set(decoding.suppress))

    def look(self) -> _Searched:
        """Encode the picture and feed all start tokens but the last."""
        outer, shapes = (
            self.outer,
            {t.name: self._shape(t) for t in (*self._further, *self._states)},
        )
        first = [state.name for state in self._contract.starting(ENCODE)]
        weights = outer.hoist(self._encode, "encode") | {
            tensor.name: tensor.name for tensor in self._encode.input
        }
        made = outer.copy_in(
            self._encode, weights, wanted=[*(context.name for context in self._contexts), *first]
        )
        self._seen = [made[context.name] for context in self._contexts]
        state = [made[name] for name in first]
        state = state or [outer.value(np.zeros(shapes[s.name], s.dtype)) for s in self._states]
        for token in self._decoding.start[:-1]:
            state = self._advance(outer, outer.value(np.array([[token]])), state).state
        nothing = [
            outer.value(np.zeros((1, 0, *shapes[t.name][2:]), t.dtype)) for t in self._further
        ]
        last, sums = (
            outer.value(array)
            for array in (np.array([self._decoding.start[-1:]]), np.zeros((1, 1, 1)))
        )
        beams = _Beams(last, sums, outer.value(np.zeros((1, 0), np.int64)), nothing, state)
        none = [outer.value(np.zeros((0, *shapes[t.name][2:]), t.dtype)) for t in self._further]
        lowest = outer.value(_LOWEST)
        return _Searched(
            outer.value(np.array(True)),
            _Best(lowest, lowest, outer.value(np.zeros(0, np.int64)), none),
            beams,
        )

    def extend(self, start: _Searched) -> _Searched:
        """Let the beams write up to ``length`` tokens."""
        longest = length_factor(self.outer, self.outer.add("Add", LENGTH, np.array(1)))

        def body(scope: Scope, number: str, before: list[str]) -> Pass:
            beams, best = self._unpacked(before[1:])
            step = self._advance(scope, beams.last, beams.state)
            offers = best_offers(
                scope, logs=step.logs, allowed=step.allowed, sums=beams.sums, most=self._writable
            )
            stops = scope.add("Gather", self._stops, offers.tokens)
            best = self._with_ended(scope, number, stops, offers, beams, best)
            bound = scope.add(
                "ReduceMax", scope.add("Where", stops, _LOWEST, offers.sums), keepdims=0
            )
            can_win = scope.add("Greater", scope.add("Mul", bound, longest), best.score)
            after = self._going(scope, scope.add("Not", stops), offers, beams, step)
            return Pass(can_win, [can_win, *after.values, *best.values])

        carried = [Carried(start.open, "bool", ()), *self._carried(start.beams, start.best)]
        ended = self.outer.loop(LENGTH, body, carried=carried)
        beams, best = self._unpacked(ended[1:])
        return _Searched(ended[0], best, beams)

    def close(self, searched: _Searched) -> tuple[_Best, str]:
        """Compare the best with the beams that have no token left; return the best of all, and
        whether it ended by itself.
        """
        beams, best = searched.beams, searched.best

        def compare(scope: Scope) -> Sequence[str]:
            step = self._advance(scope, beams.last, beams.state)
            token = scope.add("ArgMax", step.allowed, axis=-1)  # [B, 1, 1]
            ends = scope.add("Gather", self._stops, token)
            more = scope.add(
                "Add", beams.sums, scope.add("GatherElements", step.logs, token, axis=-1)
            )
            sums = scope.add("Where", ends, more, beams.sums)
            counted = scope.add("Add", scope.add("Cast", ends, to=onnx.TensorProto.INT64), LENGTH)
            scores = scope.add(
                "Reshape", scope.add("Mul", sums, length_factor(scope, counted)), _FLAT
            )
            row = scope.add("ArgMax", scores, axis=0, keepdims=0)
            score, total, end = (
                scope.add("Gather", scope.add("Reshape", values, _FLAT), row)
                for values in (scores, sums, ends)
            )
            values = [
                score,
                total,
                *(scope.add("Gather", history, row) for history in (beams.tokens, *beams.further)),
            ]
            return scope.choose(
                scope.add("Greater", score, best.score),
                lambda inner: [*values, end],
                lambda inner: [*best.values, inner.value(np.array(True))],
                dtypes=[*self._best_dtypes(), "bool"],
            )

        made = self.outer.choose(
            searched.open,
            compare,
            lambda inner: [*best.values, inner.value(np.array(True))],
            dtypes=[*self._best_dtypes(), "bool"],
        )
        return _Best(made[0], made[1], made[2], made[3:-1]), made[-1]

    def name_outputs(self, found: tuple[_Best, str]) -> None:
        """Give what was found the names of the interface."""
        best, finished = found
        for value, name in ((best.score, SCORE), (best.log_probability, LOG_PROBABILITY)):
            self.outer.rename(self.outer.add("Cast", value, to=onnx.TensorProto.FLOAT), name)
        names = [TOKENS, FINISHED, *(tensor.name for tensor in self._further)]
        for value, name in zip([best.tokens, finished, *best.further], names, strict=True):
            self.outer.rename(value, name)

    def _advance(self, scope: Scope, tokens: str, state: Sequence[str]) -> _Step:
        """Feed one token a beam; the contexts are repeated for as many rows."""
        names = {
            **self._weights,
            self._contract.step.text_ids.name: tokens,
            **dict(zip((s.name for s in self._states), state, strict=True)),
        }
        for spec, value in zip(self._contexts, self._seen, strict=True):
            sizes = [
                np.array([1]) if axis != BATCH else scope.add("Shape", tokens, start=0, end=1)
                for axis in spec.axes
            ]
            names[spec.name] = scope.add("Expand", value, scope.add("Concat", *sizes, axis=0))
        after = [next_name(spec.name) for spec in self._states]
        scores = self._contract.step.text_scores.name
        made = scope.copy_in(
            self._step, names, wanted=[scores, *(t.name for t in self._further), *after]
        )
        logs = scope.add("LogSoftmax", scope.add("Cast", made[scores], to=onnx.TensorProto.DOUBLE))
        allowed = (
            made[scores] if self._barred is None else scope.add("Add", made[scores], self._barred)
        )
        return _Step(
            logs, allowed, [made[t.name] for t in self._further], [made[name] for name in after]
        )

    def _with_ended(
        self, scope: Scope, written: str, stops: str, offers: Offers, beams: _Beams, best: _Best
    ) -> _Best:
        """Return the best sequence, those counted that a stop token ends now; one that only equals
        came later and loses.
        """
        ended = scope.add("Where", stops, offers.sums, _LOWEST)
        total = scope.add("ReduceMax", ended, keepdims=0)
        factor = length_factor(scope, scope.add("Add", written, np.array(1)))
        score = scope.add("Mul", total, factor)

        def take(inner: Scope) -> list[str]:
            row = inner.add("Gather", offers.rows, inner.add("ArgMax", ended, keepdims=0))
            return [
                score,
                total,
                *(inner.add("Gather", history, row) for history in (beams.tokens, *beams.further)),
            ]

        better = scope.add("Greater", score, best.score)
        made = scope.choose(better, take, lambda inner: best.values, dtypes=self._best_dtypes())
        return _Best(made[0], made[1], made[2], made[3:])

    def _going(
        self, scope: Scope, going: str, offers: Offers, beams: _Beams, step: _Step
    ) -> _Beams:
        """Return the beams that go on: their rows gathered, what came joined to what they have."""
        rows, token, sums = (
            scope.add("Compress", values, going)
            for values in (offers.rows, offers.tokens, offers.sums)
        )
        last = scope.add("Reshape", token, np.array([-1, 1]))

        def joined(history: str, now: str) -> str:
            return scope.add("Concat", scope.add("Gather", history, rows), now, axis=1)

        return _Beams(
            last,
            scope.add("Reshape", sums, np.array([-1, 1, 1])),
            joined(beams.tokens, last),
            [
                joined(old, scope.add("Gather", new, rows))
                for old, new in zip(beams.further, step.further, strict=True)
            ],
            [
                scope.add("Gather", s, rows, axis=t.axes.index(BATCH))
                for t, s in zip(self._states, step.state, strict=True)
            ],
        )

    def _shape(self, spec: TensorSpec) -> tuple[int, ...]:
        """Return the shape of one row and one step; every axis of a captioner's step has a size."""
        return tuple(int(size) for size in one_row(self._contract, spec).shape or ())

    def _carried(self, beams: _Beams, best: _Best) -> list[Carried]:
        def sizes(spec: TensorSpec) -> list[int | str | None]:
            return [None if axis == BATCH else self._contract.sizes[axis] for axis in spec.axes]

        further = [(t.dtype, sizes(t)) for t in self._further]
        going: list[tuple[str, list[int | str | None]]] = [
            ("int64", [None, 1]),
            ("float64", [None, 1, 1]),
            ("int64", [None, None]),
        ]
        going += [(dtype, [None, None, *shape[2:]]) for dtype, shape in further]
        going += [(spec.dtype, sizes(spec)) for spec in self._states]
        going += [("float64", []), ("float64", []), ("int64", [None])]
        going += [(dtype, [None, *shape[2:]]) for dtype, shape in further]
        return [
            Carried(first, *each)
            for first, each in zip([*beams.values, *best.values], going, strict=True)
        ]

    def _best_dtypes(self) -> list[str]:
        return ["float64", "float64", "int64", *(tensor.dtype for tensor in self._further)]

    def _unpacked(self, values: list[str]) -> tuple[_Beams, _Best]:
        """Return what ``_Beams.values`` and ``_Best.values`` were made of."""
        last, sums, tokens, *rest = values
        further, states = len(self._further), len(self._states)
        score, total, ended, *best_further = rest[further + states :]
        return _Beams(last, sums, tokens, rest[:further], rest[further : further + states]), _Best(
            score, total, ended, best_further
        )
