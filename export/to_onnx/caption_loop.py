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

from edgernn.contract import BATCH, ENCODE, TOKENS, Contract, Decoding, FileContract
from edgernn.contract.in_graph import (
    CAPTION,
    FINISHED,
    LENGTH,
    LOG_PROBABILITY,
    SCORE,
    caption_interface,
    further_outputs,
)
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_onnx.beam_nodes import Offers, best_offers, length_factor
from edgernn.export.to_onnx.copied_model import CopiedModel, Stepped
from edgernn.export.to_onnx.in_graph import barred, check_tensors, finished_model
from edgernn.export.to_onnx.nodes import Carried, Pass, Scope
from edgernn.export.to_onnx.search_values import Beams, Best, SearchValues

_LOWEST = np.array(-np.inf)
_FLAT = np.array([-1])


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
    search.name_outputs(search.close(search.extend(search.begin())))
    return finished_model(search.outer, CAPTION, interface, file_contract, decoding, (encode, step))


@dataclass(frozen=True)
class _Searched:
    """Where a search stands."""

    open: str
    best: Best[str]
    beams: Beams[str]


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
        vocabulary, self._start = contract.vocabulary, decoding.start
        self._model = CopiedModel(
            self.outer, encode, step, contract, barred=barred(decoding, vocabulary)
        )
        self._further, self._states = further_outputs(contract), contract.step.states
        self._values = SearchValues(contract)
        self._stops = np.isin(np.arange(vocabulary), decoding.stop)  # [V]
        self._writable = vocabulary - len(set(decoding.suppress))

    def begin(self) -> _Searched:
        """Encode the picture and feed all start tokens but the last."""
        outer, state = self.outer, self._model.begin()
        for token in self._start[:-1]:
            state = self._model.step(outer, outer.value(np.array([[token]])), state).state
        nothing = [self._model.zeros(spec, steps=0) for spec in self._further]  # [1, 0, …]
        last, sums = (
            outer.value(array) for array in (np.array([self._start[-1:]]), np.zeros((1, 1, 1)))
        )
        beams = Beams(last, sums, outer.value(np.zeros((1, 0), np.int64)), nothing, state)
        none = [outer.add("Squeeze", array, np.array([0])) for array in nothing]  # [0, …]
        lowest = outer.value(_LOWEST)
        return _Searched(
            outer.value(np.array(True)),
            Best(lowest, lowest, outer.value(np.zeros(0, np.int64)), none),
            beams,
        )

    def extend(self, start: _Searched) -> _Searched:
        """Let the beams write up to ``length`` tokens."""
        longest = length_factor(self.outer, self.outer.add("Add", LENGTH, np.array(1)))

        def body(scope: Scope, number: str, before: list[str]) -> Pass:
            beams, best = self._values.named(before[1:])
            step = self._model.step(scope, beams.last, beams.state)
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

        carried = [Carried(start.open, "bool", ()), *self._values.carried(start.beams, start.best)]
        ended = self.outer.loop(LENGTH, body, carried=carried)
        beams, best = self._values.named(ended[1:])
        return _Searched(ended[0], best, beams)

    def close(self, searched: _Searched) -> tuple[Best[str], str]:
        """Compare the best with the beams that have no token left; return the best of all, and
        whether it ended by itself.
        """
        beams, best = searched.beams, searched.best

        def compare(scope: Scope) -> Sequence[str]:
            step = self._model.step(scope, beams.last, beams.state)
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
                dtypes=[*self._values.best_dtypes, "bool"],
            )

        made = self.outer.choose(
            searched.open,
            compare,
            lambda inner: [*best.values, inner.value(np.array(True))],
            dtypes=[*self._values.best_dtypes, "bool"],
        )
        return self._values.best_named(made), made[-1]

    def name_outputs(self, found: tuple[Best[str], str]) -> None:
        """Give what was found the names of the interface."""
        best, finished = found
        for value, name in ((best.score, SCORE), (best.log_probability, LOG_PROBABILITY)):
            self.outer.rename(self.outer.add("Cast", value, to=onnx.TensorProto.FLOAT), name)
        names = [TOKENS, FINISHED, *(tensor.name for tensor in self._further)]
        for value, name in zip([best.tokens, finished, *best.further], names, strict=True):
            self.outer.rename(value, name)

    def _with_ended(
        self,
        scope: Scope,
        written: str,
        stops: str,
        offers: Offers,
        beams: Beams[str],
        best: Best[str],
    ) -> Best[str]:
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
        made = scope.choose(
            better, take, lambda inner: best.values, dtypes=self._values.best_dtypes
        )
        return self._values.best_named(made)

    def _going(
        self, scope: Scope, going: str, offers: Offers, beams: Beams[str], step: Stepped
    ) -> Beams[str]:
        """Return the beams that go on: their rows gathered, what came joined to what they have."""
        rows, token, sums = (
            scope.add("Compress", values, going)
            for values in (offers.rows, offers.tokens, offers.sums)
        )
        last = scope.add("Reshape", token, np.array([-1, 1]))

        def joined(history: str, now: str) -> str:
            return scope.add("Concat", scope.add("Gather", history, rows), now, axis=1)

        return Beams(
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
