"""One sequence through a file of several rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgernn.contract import FileContract, Narrowing
from edgernn.errors import ContractError
from edgernn.models.eager import EagerSession
from edgernn.sessions.model import Model
from edgernn.sessions.one_row import OneRow, one_row, one_row_model


def eager(make_model: Callable[..., Any], rows: int | None) -> EagerSession:
    model = make_model()
    narrowing = Narrowing(axes={} if rows is None else {"batch": rows})
    return EagerSession(model, FileContract(contract=model.config.contract(), narrowing=narrowing))


@pytest.mark.parametrize("rows", [None, 1])
def test_a_session_that_takes_one_row_stays(make_model: Callable[..., Any], rows: Any) -> None:
    session = eager(make_model, rows)
    model = Model(session)
    assert one_row(session) is session
    assert one_row_model(model) is model


def test_one_row_of_three_is_what_it_is_alone(make_model: Callable[..., Any]) -> None:
    single, alone = one_row_model(Model(eager(make_model, 3))).step, eager(make_model, None)
    assert isinstance(single, OneRow)
    state = mine = single.initial_state(1)
    for token in (3, 1, 4):
        tokens = np.array([[token]])
        found, state = single.step({"tokens": tokens}, state)
        wanted, mine = alone.step({"tokens": tokens}, mine)
        assert np.allclose(found["logits"], wanted["logits"], atol=1e-6)
        assert state["h"].shape == mine["h"].shape
        assert np.allclose(state["h"], mine["h"], atol=1e-6)


def test_it_takes_no_other_number(make_model: Callable[..., Any]) -> None:
    single = one_row(eager(make_model, 3))
    with pytest.raises(ContractError, match=r"^tokens has batch = 3 .*expected 1 as in this file"):
        single.step({"tokens": np.zeros((3, 1), np.int64)}, single.initial_state(3))
