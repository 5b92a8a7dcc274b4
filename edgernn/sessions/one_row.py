"""One sequence through a file that takes several at a time: it stands in every row, and what comes
of the first is given back.
"""

from __future__ import annotations

import numpy as np

from edgernn.contract import BATCH
from edgernn.sessions.base import Session
from edgernn.sessions.fileless import FilelessSession
from edgernn.sessions.model import Model


class OneRow(FilelessSession):
    """A session of one row over a file of several; see ``one_row``."""

    runtime = "a file of several rows, one of them used"

    def __init__(self, inner: Session, rows: int) -> None:
        narrowing = inner.file_contract.narrowing
        single = narrowing.model_copy(update={"axes": {**narrowing.axes, BATCH: 1}})
        super().__init__(
            inner.file_contract.model_copy(update={"narrowing": single}), inner.first_state
        )
        self._inner, self._rows = inner, rows
        self._places = {t.name: t.axis(BATCH) for t in (*self.spec.inputs, *self.spec.outputs)}

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        every = {name: self._at(array, name, [0] * self._rows) for name, array in feeds.items()}
        made = self._inner._run(every)
        return {name: self._at(array, name, [0]) for name, array in made.items()}

    def _at(self, array: np.ndarray, name: str, rows: list[int]) -> np.ndarray:
        place = self._places[name]
        return array if place is None else np.take(array, rows, axis=place)


def one_row(session: Session) -> Session:
    """Return a session that takes one row: ``session`` itself where it does."""
    rows = session.file_contract.axis_size(BATCH)
    return session if rows in (None, 1) else OneRow(session, rows or 1)


def one_row_model(model: Model) -> Model:
    """Return a model whose files take one row."""
    if model.rows in (None, 1):
        return model
    return Model(one_row(model.step), None if model.encode is None else one_row(model.encode))
