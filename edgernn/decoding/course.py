"""A text read step by step, with everything kept that a step leaves behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from edgernn.sessions.base import Session, State


def read_text(session: Session, ids: Iterable[int]) -> Iterator[State]:
    """Feed ``ids``, one a step, from the first state on; yield the state after each.

    Args:
        session: of a step that takes ids and nothing else.
        ids: what is read.

    Raises:
        ContractError: the session takes other inputs, or an id is outside the vocabulary.
    """
    tokens, state = session.spec.text_ids.name, session.initial_state(1)
    for token in ids:
        _, state = session.step({tokens: np.array([[token]], np.int64)}, state)  # [1, 1]
        yield state
