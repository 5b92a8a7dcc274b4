"""The protocol that every runtime inherits: what is refused, what is converted, and that nothing is
remembered.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.contract import FileContract, Narrowing
from edgernn.errors import ContractError, UsageError
from edgernn.families.language import language_contract
from edgernn.sessions.base import State, checked_threads
from edgernn.sessions.fake import FakeSession

LAYERS, HIDDEN, VOCABULARY = 2, 3, 7
CONTRACT = language_contract(("h", "c"), layers=LAYERS, hidden=HIDDEN, vocabulary=VOCABULARY)
TOKENS = st.lists(st.integers(0, VOCABULARY - 1), max_size=8)


class RecordingSession(FakeSession):
    """Keeps what the runtime was fed, in the file's dtypes."""

    feeds: dict[str, np.ndarray]

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.feeds = feeds
        return super()._run(feeds)


def session(**narrowing: object) -> RecordingSession:
    return RecordingSession(
        FileContract(contract=CONTRACT, narrowing=Narrowing.model_validate(narrowing))
    )


def tokens(*rows: list[int]) -> dict[str, np.ndarray]:
    return {"tokens": np.array(rows, np.int64)}


def random_state(batch: int) -> State:
    random = np.random.default_rng(batch)
    return {
        name: random.normal(size=(LAYERS, batch, HIDDEN)).astype(np.float32) for name in ("h", "c")
    }


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("right_before", [False, True])
def test_what_breaks_the_contract_is_never_run(*, right_before: bool) -> None:
    fake, state = session(), random_state(1)
    if right_before:
        fake.step(tokens([1]), state)
    for wrong in ({}, tokens([VOCABULARY]), {"tokens": zeros(1, 1, dtype="int32")}):
        with pytest.raises(ContractError, match="tokens"):
            fake.step(wrong, state)
    assert fake.calls == right_before


def test_calls_of_other_layouts_take_turns() -> None:
    fake = session()
    for rows in ([[1]], [[1, 2]], [[1], [2]], [[3]], [[1, 2, 3]]):
        outputs, after = fake.step(tokens(*rows), random_state(len(rows)))
        assert outputs["logits"].shape == (len(rows), len(rows[0]), VOCABULARY)
        assert after["h"].shape == (LAYERS, len(rows), HIDDEN)


@pytest.mark.parametrize("threads", [0, -2])
def test_less_than_one_thread_is_refused(threads: int) -> None:
    assert checked_threads(None) is None
    assert checked_threads(3) == 3
    with pytest.raises(
        UsageError, match=f"^threads is {threads}, expected 1 or more; leave it out"
    ):
        checked_threads(threads)


def test_a_narrowed_axis_takes_that_size() -> None:
    outputs, _ = session(axes={"batch": 1, "time": 3}).step(tokens([1, 2, 3]), random_state(1))
    assert outputs["logits"].shape == (1, 3, VOCABULARY)


def test_outputs_and_states_are_keyed_and_shaped_as_the_contract_says() -> None:
    outputs, after = session().step(tokens([1, 2], [3, 4], [5, 6]), random_state(3))
    assert {name: (array.dtype.name, array.shape) for name, array in outputs.items()} == {
        "logits": ("float32", (3, 2, 7))
    }
    assert {name: (array.dtype.name, array.shape) for name, array in after.items()} == {
        "h": ("float32", (2, 3, 3)),
        "c": ("float32", (2, 3, 3)),
    }


@pytest.mark.parametrize(
    "dtypes", [{}, {"tokens": "int32", "h": "float16"}], ids=["as given", "narrowed"]
)
def test_what_is_given_is_read_only_and_stays_as_it_was(dtypes: dict[str, str]) -> None:
    inputs, state = tokens([1, 2], [3, 4]), random_state(2)
    before = {name: array.copy() for name, array in (inputs | state).items()}
    for array in (*inputs.values(), *state.values()):
        array.flags.writeable = False
    _, after = session(dtypes=dtypes).step(inputs, state)
    assert all(np.array_equal(array, before[name]) for name, array in (inputs | state).items())
    assert set(inputs) | set(state) == set(before)
    assert not any(np.shares_memory(after[name], state[name]) for name in state)


def test_arrays_in_any_memory_order_mean_the_same() -> None:
    state = random_state(2)
    strided = {name: np.asfortranarray(array) for name, array in state.items()}
    given, turned = (
        tokens([1, 2, 3], [4, 5, 6]),
        {"tokens": np.array([[1, 4], [2, 5], [3, 6]], np.int64).T},
    )
    fake = session()
    (logits, after), (logits_strided, after_strided) = (
        fake.step(given, state),
        fake.step(turned, strided),
    )
    assert np.array_equal(logits["logits"], logits_strided["logits"])
    assert all(np.array_equal(after[name], after_strided[name]) for name in after)
    assert all(array.flags.c_contiguous for array in fake.feeds.values())


def run(fake: FakeSession, ids: list[int], state: State) -> tuple[list[np.ndarray], State]:
    """Step one by one; return the logits of each step and the last state."""
    logits = []
    for token in ids:
        outputs, state = fake.step(tokens([token]), state)
        logits.append(outputs["logits"])
    return logits, state


def same(left: State, right: State) -> bool:
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name]) for name in left
    )


@settings(deadline=None)
@given(before=TOKENS, left=TOKENS, right=TOKENS, turns=st.lists(st.booleans(), max_size=16))
def test_forked_streams_run_interleaved_without_leaking(
    before: list[int], left: list[int], right: list[int], turns: list[bool]
) -> None:
    fake = session()
    _, fork = run(fake, before, fake.initial_state())
    expected = [run(session(), ids, fork)[1] for ids in (left, right)]
    waiting, states = [list(left), list(right)], [fork, fork]
    for turn in [*turns, *[False] * len(left), *[True] * len(right)]:
        if waiting[turn]:
            _, states[turn] = fake.step(tokens([waiting[turn].pop(0)]), states[turn])
    assert all(same(state, alone) for state, alone in zip(states, expected, strict=True))
    assert same(fork, run(session(), before, session().initial_state())[1])


@settings(deadline=None)
@given(ids=st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=8), data=st.data())
def test_a_call_of_many_steps_is_as_many_calls(ids: list[int], data: st.DataObject) -> None:
    fake = session()
    cut = data.draw(st.integers(0, len(ids)))
    state = random_state(1)
    one_by_one, last = run(fake, ids, state)
    pieces = []
    for part in (ids[:cut], ids[cut:]):
        if part:
            outputs, state = fake.step(tokens(part), state)
            pieces.append(outputs["logits"])
    assert np.array_equal(np.concatenate(pieces, axis=1), np.concatenate(one_by_one, axis=1))
    assert same(state, last)


def test_rows_of_a_batch_do_not_see_one_another() -> None:
    fake, state = session(), random_state(3)
    outputs, after = fake.step(tokens([1, 2], [3, 4], [5, 6]), state)
    alone, alone_after = fake.step(
        tokens([3, 4]), {name: array[:, 1:2] for name, array in state.items()}
    )
    assert np.abs(outputs["logits"][1:2] - alone["logits"]).max() < 1e-6
    assert all(np.abs(after[name][:, 1:2] - alone_after[name]).max() < 1e-6 for name in state)


def test_a_file_of_narrower_dtypes_is_fed_and_read_in_them() -> None:
    fake = session(dtypes={"tokens": "int32", "h": "float16", "c": "float16"})
    state = random_state(1)
    outputs, after = fake.step(tokens([4]), state)
    assert {name: array.dtype.name for name, array in fake.feeds.items()} == {
        "tokens": "int32",
        "h": "float16",
        "c": "float16",
    }
    assert outputs["logits"].dtype == np.float32
    for name, array in after.items():
        half = state[name].astype(np.float16).astype(np.float32)
        assert np.array_equal(fake.feeds[name], half)
        assert array.dtype == np.float32
        assert np.array_equal(array, (half / 2 + np.float32(4 / VOCABULARY)).astype(np.float16))
    assert np.array_equal(fake.initial_state()["h"], zeros(2, 1, 3))
    again, _ = fake.step(tokens([1]), after)  # what came out goes in
    assert again["logits"].shape == (1, 1, VOCABULARY)
