"""The first state, which sessions and decoders have alike: zeros, or what is stored."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.errors import ContractError, UsageError
from edgernn.families.language import language_contract
from edgernn.sessions.base import State
from edgernn.sessions.fake import FakeSession

LAYERS, HIDDEN, VOCABULARY = 2, 3, 7
CONTRACT = language_contract(("h", "c"), layers=LAYERS, hidden=HIDDEN, vocabulary=VOCABULARY)


def session() -> FakeSession:
    return FakeSession(FileContract(contract=CONTRACT))


def random_state(batch: int) -> State:
    random = np.random.default_rng(batch)
    return {
        name: random.normal(size=(LAYERS, batch, HIDDEN)).astype(np.float32) for name in ("h", "c")
    }


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("batch", [0, -1, 1.5, "1", None])
def test_a_batch_that_is_no_number_of_rows_is_refused(batch: object) -> None:
    assert session().initial_state(np.int32(2))["h"].shape == (LAYERS, 2, HIDDEN)
    with pytest.raises(UsageError, match=f"^batch is {batch!r}, expected "):
        session().initial_state(batch)  # type: ignore[arg-type]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_first_state_is_zeros(batch: int) -> None:
    state = session().initial_state(batch)
    assert list(state) == ["h", "c"]
    for array in state.values():
        assert array.dtype == np.float32
        assert array.shape == (LAYERS, batch, HIDDEN)
        assert not array.any()


LEARNED = FileContract(
    contract=CONTRACT.model_copy(
        update={"initial_state": {s.name: "stored" for s in CONTRACT.step.states}}
    )
)


def test_a_learned_first_state_is_the_same_for_every_row_and_nobodys_own() -> None:
    first = random_state(1)
    fake = FakeSession(LEARNED, first)
    state = fake.initial_state(3)
    for name, array in state.items():
        assert array.shape == (LAYERS, 3, HIDDEN)
        assert all(np.array_equal(array[:, row], first[name][:, 0]) for row in range(3))
        array[:] = 0  # the caller's to change
    assert all(np.array_equal(fake.initial_state()[name], first[name]) for name in first)


@pytest.mark.parametrize(
    "given", [None, {}, {"h": zeros(2, 1, 3)}], ids=["nothing", "empty", "one of two"]
)
def test_a_learned_first_state_without_its_values_says_where_they_are(given: State | None) -> None:
    with pytest.raises(
        ContractError, match=r"first state is learned and its values \[.*'c'\].*through its bundle"
    ):
        FakeSession(LEARNED, given).initial_state()
