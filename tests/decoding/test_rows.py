"""Rows of one batch: stepped together or one by one, gathered along whatever axis is the batch."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.contract import FileContract, Narrowing
from edgernn.decoding.rows import RowStepper
from edgernn.families.language import language_contract
from edgernn.sessions.fake import FakeSession

CONTRACT = language_contract(("h",), layers=2, hidden=3, vocabulary=7)


def stepper(**axes: int) -> tuple[RowStepper, FakeSession]:
    session = FakeSession(FileContract(contract=CONTRACT, narrowing=Narrowing(axes=axes)))
    return RowStepper(session, {}), session


def state_of(*rows: float) -> dict[str, np.ndarray]:
    return {"h": np.broadcast_to(np.float32(rows)[:, None], (2, len(rows), 3)).copy()}


def test_a_state_is_gathered_along_its_batch_axis() -> None:
    given = state_of(1, 2, 3)
    gathered = stepper()[0].gather(given, [2, 0, 2, 2])
    assert np.array_equal(gathered["h"], state_of(3, 1, 3, 3)["h"])
    gathered["h"][:] = 0
    assert np.array_equal(given["h"], state_of(1, 2, 3)["h"])


@pytest.mark.parametrize("axes", [{}, {"batch": 1}], ids=["together", "one by one"])
def test_rows_are_stepped_alike_whatever_the_file_takes(axes: dict[str, int]) -> None:
    rows, session = stepper(**axes)
    logits, others, after = rows.step([4, 0, 6], state_of(1, 2, 3))
    assert logits.shape == (3, 7)
    assert others == [{}, {}, {}]
    assert session.calls == (3 if axes else 1)
    for row, (token, value) in enumerate(zip((4, 0, 6), (1, 2, 3), strict=True)):
        alone, _, state = stepper(**axes)[0].step([token], state_of(value))
        np.testing.assert_allclose(logits[row], alone[0], rtol=1e-6)
        np.testing.assert_allclose(after["h"][:, row : row + 1], state["h"], rtol=1e-6)
