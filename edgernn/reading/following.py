"""A network follows a text: its tokens, and the value of every cell after each of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from edgernn.contract import BATCH, Contract, GraphSpec
from edgernn.data.text.tokenizer import OnUnknown, Tokenizer
from edgernn.decoding.course import read_text
from edgernn.decoding.stream_decoder import StreamDecoder
from edgernn.errors import DataError, UsageError
from edgernn.sessions.base import Session

MOST_TOKENS = 20_000
_MOST_VALUES = 1 << 26  # 256 MiB in float32
FEWEST_TOKENS = 200  # of which correlations say something


@dataclass(frozen=True)
class Group:
    """The cells along the last axis of a state.

    Attributes:
        state: its name.
        place: where along the axes before the last, batch left out: the layer, as a rule.
        start, size: which columns of ``Following.values``.
    """

    state: str
    place: tuple[int, ...]
    start: int
    size: int

    @property
    def name(self) -> str:
        """``c``, or ``c layer 0``."""
        return self.state + (f" layer {', '.join(map(str, self.place))}" if self.place else "")


@dataclass(frozen=True)
class Following:
    """What was read.

    Attributes:
        pieces: the text that each of N tokens completes; of the bytes of a character the last has
            it, the others have none.
        values: float32 ``[N, C]``, every cell after each token.
        groups: which cells they are; C in all.
        left: characters of the text that were not read.
    """

    pieces: tuple[str, ...]
    values: np.ndarray
    groups: tuple[Group, ...]
    left: int

    @property
    def text(self) -> str:
        """All that was read."""
        return "".join(self.pieces)

    @property
    def ends(self) -> np.ndarray:
        """The last character that each token has completed, int ``[N]``; 0 before the first."""
        lengths = np.array([len(piece) for piece in self.pieces])
        ends: np.ndarray = np.maximum(np.cumsum(lengths) - 1, 0)
        return ends

    def name(self, column: int) -> str:
        """Return the name of a cell: ``c layer 0 unit 17``."""
        group = next(g for g in self.groups if g.start <= column < g.start + g.size)
        return f"{group.name} unit {column - group.start}"


def follow(
    session: Session,
    tokenizer: Tokenizer,
    text: str,
    *,
    on_unknown: OnUnknown = "error",
    most: int = MOST_TOKENS,
) -> Following:
    """Let the network read ``text`` from its first state on, at most ``most`` tokens of it.

    Args:
        session: of its step, which takes ids and nothing else.
        tokenizer: the model's.
        text: longer than 200 tokens.
        on_unknown: as for ``Tokenizer.encode``.

    Raises:
        ContractError: the model takes other things than ids, or has no state of numbers.
        DataError: the text has too few tokens, or characters that the vocabulary lacks.
    """
    groups = groups_of(session.contract)
    ids = tokenizer.encode(text, on_unknown=on_unknown)
    if len(ids) < FEWEST_TOKENS:
        raise DataError(
            f"the text has {len(ids)} tokens, expected {FEWEST_TOKENS} or more; give a longer one"
        )
    count = sum(group.size for group in groups)
    read = ids[: min(most, max(FEWEST_TOKENS, _MOST_VALUES // count))].tolist()
    decoder = StreamDecoder(tokenizer)
    pieces = [decoder.push(token) for token in read]
    values = np.empty((len(read), count), np.float32)
    for place, state in enumerate(read_text(session, read)):
        values[place] = np.concatenate([_cells(session, state, group) for group in groups])
    return Following(tuple(pieces), values, groups, len(text) - len("".join(pieces)))


def groups_of(contract: Contract) -> tuple[Group, ...]:
    """Return the cells of every state of numbers of ``contract``.

    Raises:
        UsageError: its step takes other things than token ids, or it has no such state.
    """
    step: GraphSpec = contract.step
    if contract.encode is not None or step.ids is None or step.caller_inputs != (step.ids,):
        wanted = ", ".join(spec.name for spec in step.caller_inputs)
        raise UsageError(
            f"the network takes {wanted or 'nothing'}, expected a text alone: a language model, "
            "as edgernn train text makes one"
        )
    groups: list[Group] = []
    for spec in step.states:
        axes = [contract.sizes.get(axis) for axis in spec.axes if axis != BATCH]
        if spec.kind != "f" or not axes or None in axes:
            continue
        *before, size = [axis for axis in axes if axis is not None]
        for place in product(*map(range, before)):
            start = groups[-1].start + groups[-1].size if groups else 0
            groups.append(Group(spec.name, place, start, size))
    if not groups:
        raise UsageError("the network has no state of numbers whose cells could be shown")
    return tuple(groups)


def _cells(session: Session, state: dict[str, np.ndarray], group: Group) -> np.ndarray:
    (spec,) = (spec for spec in session.spec.states if spec.name == group.state)
    batch = spec.axis(BATCH)
    array = state[group.state] if batch is None else state[group.state].take(0, axis=batch)
    return np.asarray(array[group.place], np.float32)
