"""What a chained run seldom meets: every id of the vocabulary, from states at rest, at their bounds
and far beyond.

A rollout draws ids and states as they come, so one row of a large embedding, or a file that is
wrong only at a first state of zeros or at large cell states, may never be asked. Here each id is
fed once or more, in single calls of many rows, each side from the same state, so that nothing
accumulates and a row of each call answers for its id alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edgernn.contract import BATCH, LAYERS, TensorSpec
from edgernn.formats.promise import Tolerance
from edgernn.parity.drift import by_layer
from edgernn.parity.feed import Feed, fixed_rows, fixed_steps, random_feed, widest
from edgernn.parity.reordered import Reordered, parts_as_far
from edgernn.parity.rollout import called
from edgernn.sessions.base import Session
from edgernn.sessions.draw import open_sizes

MOST_IDS = 8192  # of a larger vocabulary so many are drawn, the first and the last among them
_MOST_CALLS, _ROWS = 256, 256
_MOST_VALUES = 1 << 20  # of an output in one call, compared in float64
_LARGE = 8.0  # no hidden state of a bounded cell is so large; a cell state may be
_LEAST = 1e-3  # a tensor smaller than this in every value is as good as zero
# a single row may be so much further off than all rows of a call together, in relative errors
_ONE_ROW = 2
# of single steps in float16, which nothing amplifies: 0.002 to 0.007 in all that is exported
_HALF = 0.05
_Random = np.random.Generator

_DRAWN_ROWS = 32  # of a graph without ids
_DRAWN: list[np.ndarray | None] = [None] * 4  # its calls from each kind of state
_REST, _BEYOND = "all zero", "of large values"
_STATES: dict[str, Callable[[_Random, np.ndarray], np.ndarray]] = {
    "drawn": lambda random, like: random.uniform(-0.5, 0.5, like.shape),
    _REST: lambda random, like: np.zeros(like.shape),
    "of ones": lambda random, like: random.choice([-1.0, 1.0], like.shape),
    _BEYOND: lambda random, like: random.uniform(-_LARGE, _LARGE, like.shape),
}


@dataclass(frozen=True)
class Rare:
    """The outcome: how many ids of how many were fed, and the row that is furthest from the
    reference.

    Attributes:
        ids, vocabulary: how many were fed, how many there are; 0 where the graph takes no ids.
        far, most: the scaled difference of that row, and the largest that is right.
        where: in words which tensor of which row it is.
    """

    ids: int
    vocabulary: int
    far: float
    most: float
    where: str

    @property
    def is_right(self) -> bool:
        """Whether every row is as near as it must be."""
        return self.far <= self.most

    @property
    def words(self) -> str:
        """What was asked and found, for a report."""
        fed = (
            f"each of {self.ids} ids"
            if self.ids == self.vocabulary
            else f"{self.ids} of {self.vocabulary} ids"
        )
        fed = fed if self.vocabulary else "inputs"
        return (
            f"{fed} from states {', '.join(_STATES)}: {'worst' if self.is_right else 'WRONG,'} "
            f"{self.where} {self.far:.1e}"
        )


def probe(judge: Session, session: Session, *, limit: Tolerance, seed: int) -> Rare:
    """Feed every id to the step graphs ``judge`` and ``session`` from states of every kind; compare
    row by row.

    Where the reference parts from itself about as far with its sums in another order, a row is as
    right as can be told.

    Args:
        judge: the reference.
        session: the file.
        limit: what the file promises.
        seed: of states, and of the ids of a vocabulary that is too large.
    """
    most = limit.rollout * (_ONE_ROW if limit.forced else 1)
    most = min(most, _HALF) if limit.half else most
    far, where, fed = _worst(judge, session, _calls(session, seed), relative=limit.forced)
    if not far <= most and not limit.forced:
        own, _, _ = _worst(
            judge, Reordered(judge, half=limit.half), _calls(session, seed), relative=False
        )
        far, where = (
            (most, f"{where}, as far as the reference from itself,")
            if parts_as_far(own, far)
            else (far, where)
        )
    return Rare(fed, _vocabulary(session), far, most, where)


@dataclass(frozen=True, eq=False)
class _Call:
    kind: str
    feed: Feed
    rows: int
    steps: int
    ids: np.ndarray | None  # [rows, steps], where the graph takes ids


def _vocabulary(session: Session) -> int:
    """Return how many ids there are of the input with the most; 0 where the graph takes none."""
    below = [tensor.below for tensor in session.spec.fresh_inputs if tensor.is_ids]
    return max((session.contract.sizes[axis] for axis in below if axis), default=0)


def _calls(session: Session, seed: int) -> Iterator[_Call]:
    """Yield every id in blocks, each from every kind of state where that is few calls, else from
    each in turn; where there are no ids, drawn inputs from every kind of state.
    """
    vocabulary, steps = _vocabulary(session), fixed_steps(session) or 1
    fixed = fixed_rows(session)
    rows = fixed or min(_most_rows(session), vocabulary or _DRAWN_ROWS)
    most_ids = max(2, min(MOST_IDS, _MOST_CALLS * rows * steps))
    fed = _ids(vocabulary, seed, most_ids)
    if fixed and vocabulary:  # few ids again and again: one row alone says little
        fed = np.resize(fed, max(len(fed), _DRAWN_ROWS))
    blocks = _blocks(fed, rows * steps) if vocabulary else _DRAWN
    every = list(itertools.product(_STATES, blocks))
    if len(every) > _MOST_CALLS:
        every = [
            (kind, block) for kind, block in zip(itertools.cycle(_STATES), blocks, strict=False)
        ]
    # rows from one kind of state are put together, so an open axis has one size in all of them
    sizes = {
        kind: open_sizes(session.file_contract, seed=number) for number, kind in enumerate(_STATES)
    }
    for number, (kind, block) in enumerate(every):
        random = np.random.default_rng((seed, number))
        feed = random_feed(session, batch=rows, steps=steps, seed=number, sizes=sizes[kind])
        ids = None if block is None else block.reshape(rows, steps)
        inputs = feed.inputs | ({} if ids is None else _fed(session, feed, ids))
        state = {name: _at(kind, random, like) for name, like in feed.state.items()}
        yield _Call(kind, Feed(inputs, feed.contexts, state), rows, steps, ids)


def _most_rows(session: Session) -> int:
    return max(1, min(_ROWS, _MOST_VALUES // widest(session)))


def _fed(session: Session, feed: Feed, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Return every input of ids with ``ids [rows, steps]`` in it: all of them where it has as many
    places, else again and again.
    """
    made = {}
    for spec in session.spec.fresh_inputs:
        if spec.is_ids and spec.below is not None:
            like = feed.inputs[spec.name]
            given = (ids % session.contract.sizes[spec.below]).astype(like.dtype)
            place = spec.axis(BATCH)
            lead = like.ndim - len(spec.axes)  # an axis of calls, where there is no time
            first = like if place is None else np.moveaxis(like, place + lead, 0)  # rows first
            filled = (
                np.resize(given, first.shape)
                if place is None
                else np.stack([np.resize(row, first.shape[1:]) for row in given])
            )
            turned = filled if place is None else np.moveaxis(filled, 0, place + lead)
            made[spec.name] = np.asarray(turned, order="C")
    return made


def _at(kind: str, random: _Random, like: np.ndarray) -> np.ndarray:
    """Return a state of one kind; integers and bools are at rest or as they were drawn."""
    if like.dtype.kind == "f":
        return np.asarray(_STATES[kind](random, like)).astype(like.dtype)
    return np.zeros_like(like) if kind == _REST else like


def _ids(size: int, seed: int, most: int) -> np.ndarray:
    if size <= most:
        return np.arange(size, dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(size - 2, most - 2, replace=False) + 1
    return np.sort(np.concatenate([[0, size - 1], drawn])).astype(np.int64)


def _blocks(ids: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut into blocks of ``size``, the last filled up from the beginning."""
    count = -(-len(ids) // size)
    return list(np.resize(ids, count * size).reshape(count, size))


def _worst(
    judge: Session, session: Session, calls: Iterable[_Call], *, relative: bool
) -> tuple[float, str, int]:
    """Return how far the furthest row of all calls is, in words which one, and how many ids were
    fed.

    It is infinitely far where a value is no number.
    """
    worst, where, fed = -1.0, "", set[int]()
    most = _most_rows(session) if relative else 1
    for kind, group in _together(calls, most):
        ids = [row.tolist() for call in group if call.ids is not None for row in call.ids]
        fed.update(itertools.chain.from_iterable(ids))
        expected, found = (
            _joined([_by_row(one, call) for call in group]) for one in (judge, session)
        )
        for name, wanted in expected.items():
            rowwise = not (relative and kind == _BEYOND)
            away = _away(wanted, found[name], relative=relative, rowwise=rowwise)  # [B]
            row = int(away.argmax())
            if away[row] > worst:
                # which ids the row was fed; nothing where there are none, or no rows
                told = ids[row] if len(ids) == len(away) else []
                at = f" at id {', '.join(map(str, told))}" if told else ""
                worst, where = float(away[row]), f"{name}{at} from a state {kind}"
    return worst, where, len(fed)


def _together(calls: Iterable[_Call], most: int) -> Iterator[tuple[str, list[_Call]]]:
    """Yield calls from one kind of state, together ``most`` rows or more: a file of one row is held
    to what one of many rows is.
    """
    held: dict[str, list[_Call]] = {}
    for call in calls:
        group = held.setdefault(call.kind, [])
        group.append(call)
        if len(group) * call.rows >= most:
            yield call.kind, held.pop(call.kind)
    yield from held.items()


def _joined(made: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([rows[name] for rows in made]) for name in made[0]}


def _row_place(spec: TensorSpec) -> int | None:
    """Return the place of the batch in one layer of a state."""
    axes = [axis for axis in spec.axes if axis != LAYERS]
    return axes.index(BATCH) if BATCH in axes else None


def _by_row(session: Session, call: _Call) -> dict[str, np.ndarray]:
    """Return every output, and every layer of every next state, with the rows of the batch
    first; what has no batch is one row.
    """
    made = called(session, call.feed, call.feed.state, 0, call.steps)
    rows: dict[str, np.ndarray] = {}
    for spec in session.spec.outputs:
        layers = by_layer({spec.name: made[spec.name]}, session.spec.states)
        place = _row_place(spec) if spec.name not in layers else spec.axis(BATCH)
        for name, array in layers.items():
            first = array[None] if place is None else np.moveaxis(array, place, 0)
            rows[name] = first.reshape(len(first), -1).astype(np.float64)
    return rows


def _away(wanted: np.ndarray, found: np.ndarray, *, relative: bool, rowwise: bool) -> np.ndarray:
    """Return how far each row is, scaled as tolerances are: ``[B]``; not ``rowwise``, how far all
    of them are together.

    Rounded weights times states far beyond any real one flip a gate here and there: no single row
    can be held to account.
    """
    if wanted.shape != found.shape:
        return np.full(len(wanted), np.inf)
    with np.errstate(invalid="ignore"):
        difference = wanted - found
        if relative:
            scale = max(_LEAST, float(np.sqrt(np.square(wanted).mean())))
            squares = np.square(difference).mean(axis=1)
            away = np.sqrt(squares if rowwise else np.full_like(squares, squares.mean())) / scale
        else:
            away = np.abs(difference).max(axis=1) / max(1.0, float(np.abs(wanted).max()))
    return np.where(np.isfinite(away), away, np.inf)
