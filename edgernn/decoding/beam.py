"""Beam search: from one picture's contexts and first state to the best few token sequences, on
anything that is a Session.

The beams are the rows of one batch; ``RowStepper`` steps and gathers them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgernn.decoding.rows import RowStepper
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Arrays, Session

NORMALISATION = 0.7


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One sequence that the search found.

    Attributes:
        tokens: what was written, N ids: without the start tokens, without the stop token.
        log_probability: natural logarithm, summed over the tokens, and the stop token if the
            sequence ended.
        score: ``log_probability`` normalised by length; what hypotheses are ranked by.
        finished: whether it ended with a stop token; else it was cut at the longest length.
        outputs: every other output of the step by name, ``[N, ...]``: row n is of the step that
            chose token n (``attention [N, R]``).
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    finished: bool
    outputs: dict[str, np.ndarray]


def beam_search(
    session: Session,
    state: Arrays,
    *,
    contexts: Arrays,
    start: Sequence[int],
    width: int,
    length: int,
    stop: Collection[int],
    suppress: Collection[int] = (),
    normalisation: float = NORMALISATION,
) -> list[Hypothesis]:
    """Return the best sequences that ``width`` beams find, best first: at least one, at most
    ``width``.

    Each step keeps the ``width`` most probable ways to go on, over all beams; those that take a
    stop token are set aside as finished and leave their place to others. A beam that has written
    ``length`` tokens ends if a stop token comes next as the most probable, and is returned
    unfinished if not. The search ends before that when no beam can reach the score of the worst of
    ``width`` finished sequences, which never changes the result. Width 1 is greedy decoding.

    The score is ``log_probability / ((5 + n) / 6) ** normalisation``, n counting the stop token:
    equation 14 of Wu et al. 2016 (https://arxiv.org/abs/1609.08144) without its coverage. Sums are
    float64; equal sums are ranked by the lower id, then by the earlier beam, equal scores by what
    was found first.

    Args:
        session: its step takes ids ``[B, 1]`` and gives scores of them ``[B, 1, V]``.
        state: the first state by name, one row (``h [L, 1, H]``).
        contexts: the step's other inputs by name, one row (``features [1, R, F]``).
        start: ids fed first, one step each; not part of the result.
        width: beams; the batch never holds more rows.
        length: the most tokens written, the stop token not counted.
        stop: ids that end a sequence. Two of them can end the same tokens, as two hypotheses.
        suppress: ids never written. The others keep the model's own log-probability: it is not
            shared out anew.
        normalisation: 0 ranks by log-probability, which favours short sequences; larger favours
            long ones.

    Raises:
        ContractError: a logit is not finite, or the arrays do not fit the session; see
            ``Session.step``.
        UsageError: an option out of its range, or every id suppressed.
    """
    rules = _Rules(
        width,
        length,
        frozenset(stop),
        frozenset(suppress),
        normalisation,
        session.contract.vocabulary,
    )
    if not len(start):
        raise UsageError("there is no start token; give at least one token to feed first")
    stepper = RowStepper(session, contexts)
    for token in start:
        logits, outputs, state = stepper.step([int(token)], state)
    beams, finished = [_Beam()], list[Hypothesis]()
    for _ in range(length):
        stepped = [beam.with_outputs(row) for beam, row in zip(beams, outputs, strict=True)]
        beams, rows, ended = _extend(stepped, logits, rules)
        finished = rules.best([*finished, *ended])
        if rules.settled(finished, beams):
            return finished
        logits, outputs, state = stepper.step(
            [beam.tokens[-1] for beam in beams], stepper.gather(state, rows)
        )
    stepped = [beam.with_outputs(row) for beam, row in zip(beams, outputs, strict=True)]
    return rules.best([*finished, *_close(stepped, logits, rules)])


def length_normalised(
    log_probability: float, counted: int, normalisation: float = NORMALISATION
) -> float:
    """Return ``log_probability / ((5 + counted) / 6) ** normalisation``; ``counted`` tokens, the
    stop token among them.
    """
    # at most 1, so it never overflows
    return log_probability * math.pow(6 / (5 + counted), normalisation)


@dataclass(frozen=True)
class _Beam:
    """A sequence that goes on; ``outputs`` are of every step since the last start token, the one to
    come next included.
    """

    tokens: tuple[int, ...] = ()
    log_probability: float = 0.0
    outputs: tuple[dict[str, np.ndarray], ...] = ()

    def with_outputs(self, outputs: dict[str, np.ndarray]) -> _Beam:
        """Return the sequence with the outputs of the step that chooses its next token."""
        return replace(self, outputs=(*self.outputs, outputs))


@dataclass(frozen=True)
class _Rules:
    """The options of one search, in range, and what follows from them."""

    width: int
    length: int
    stop: frozenset[int]
    suppress: frozenset[int]
    normalisation: float
    vocabulary: int

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("length", self.length)):
            if value < 1:
                raise UsageError(f"the beam search's {name} is {value}, expected 1 or more")
        if not (math.isfinite(self.normalisation) and self.normalisation >= 0):
            raise UsageError(
                f"the length normalisation is {self.normalisation}, expected 0 (none) or more, "
                "and finite"
            )
        for kind, ids in (("stop", self.stop), ("suppressed", self.suppress)):
            outside = sorted(token for token in ids if not 0 <= token < self.vocabulary)
            if outside:
                raise UsageError(
                    f"a {kind} token has the id {outside[0]}, expected 0 to {self.vocabulary - 1}"
                )
        if len(self.suppress) == self.vocabulary:
            raise UsageError(
                f"all {self.vocabulary} ids are suppressed, so nothing can be written; leave "
                "at least one"
            )

    def allowed(self, logits: np.ndarray) -> np.ndarray:
        """Return ``logits [B, V]`` with minus infinity where suppressed."""
        kept = logits.copy()
        kept[:, sorted(self.suppress)] = -np.inf
        return kept

    def score(self, log_probability: float, counted: int) -> float:
        return length_normalised(log_probability, counted, self.normalisation)

    def best(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)[: self.width]

    def settled(self, finished: list[Hypothesis], beams: list[_Beam]) -> bool:
        """Tell whether what ``beams`` can still become would not stand among ``finished``, which is
        sorted.

        A log-probability only falls, and the longest sequence divides it by most: the bound keeps
        the one and takes the other. A sequence that only equals the worst finished one was found
        later and would stand behind it.
        """
        if not beams:
            return True
        bound = max(self.score(beam.log_probability, self.length + 1) for beam in beams)
        return len(finished) == self.width and bound <= finished[-1].score

    def hypothesis(self, beam: _Beam, *, log_probability: float, finished: bool) -> Hypothesis:
        written = len(beam.tokens)
        outputs = {
            name: np.stack([step[name] for step in beam.outputs])[:written]
            for name in beam.outputs[0]
        }  # [N, ...]
        score = self.score(log_probability, written + finished)
        return Hypothesis(beam.tokens, log_probability, score, finished, outputs)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of ``logits [B, V]``, float64 ``[B, V]``; none is above 0."""
    if not np.isfinite(logits).all():
        found = logits[~np.isfinite(logits)][0]
        raise ContractError(
            f"logits has the value {found}, expected finite numbers; verify the file and its inputs"
        )
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)  # [B, V]
    # the largest adds 1 to the sum
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _extend(
    beams: list[_Beam], logits: np.ndarray, rules: _Rules
) -> tuple[list[_Beam], list[int], list[Hypothesis]]:
    """Take the ``width`` most probable ways to go on; return the beams that do, the row each came
    from, and what ended.
    """
    logs, allowed = log_softmax(logits), rules.allowed(logits)
    # A beam offers its best by logit: two logits can differ by less than a log-probability can
    # show.
    offers = [
        (-(beam.log_probability + float(logs[row, token])), int(token), row)
        for row, beam in enumerate(beams)
        for token in _largest(allowed[row], rules.width)
        if token not in rules.suppress
    ]
    going, rows, ended = list[_Beam](), list[int](), list[Hypothesis]()
    for negative, token, row in sorted(offers)[: rules.width]:
        if token in rules.stop:
            ended.append(rules.hypothesis(beams[row], log_probability=-negative, finished=True))
        else:
            going.append(
                replace(beams[row], tokens=(*beams[row].tokens, token), log_probability=-negative)
            )
            rows.append(row)
    return going, rows, ended


def _close(beams: list[_Beam], logits: np.ndarray, rules: _Rules) -> list[Hypothesis]:
    """Return the beams that have no token left, each ended if its most probable token is a stop
    token.
    """
    logs, closed = log_softmax(logits), []
    for row, token in enumerate(rules.allowed(logits).argmax(axis=-1).tolist()):
        ends, so_far = token in rules.stop, beams[row].log_probability
        total = so_far + float(logs[row, token]) if ends else so_far
        closed.append(rules.hypothesis(beams[row], log_probability=total, finished=ends))
    return closed


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return where the ``count`` largest of ``values [V]`` stand, largest first, the lower place
    first among equals.
    """
    count = min(count, values.size)
    # sorting a whole vocabulary would cost more than the step of a small model
    least = np.partition(values, -count)[-count]
    places = np.flatnonzero(values >= least)
    return places[np.argsort(-values[places], kind="stable")][:count]
