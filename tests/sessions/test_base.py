"""The protocol that every runtime inherits: what is refused, what is converted, and that nothing is
remembered.
"""

from __future__ import annotations

import re

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


H = C = zeros(2, 1, 3)
ONE = zeros(1, 1, dtype="int64")
REFUSED = {
    "state missing": (
        {"tokens": ONE},
        {"h": H},
        "state 'c' is missing; feed back what the last step returned",
    ),
    "input missing": ({}, {"h": H, "c": C}, "input 'tokens' is missing; it is int64 [batch, time]"),
    "unknown input": (
        {"tokens": ONE, "mask": ONE},
        {"h": H, "c": C},
        "unknown input ['mask']; expected ['tokens']",
    ),
    "unknown state": (
        {"tokens": ONE},
        {"h": H, "c": C, "s": H},
        "unknown state ['s']; expected ['h', 'c']",
    ),
    "output fed as state": (
        {"tokens": ONE},
        {"h_next": H, "c": C},
        "unknown state ['h_next']; expected ['h', 'c']",
    ),
    "state as input": (
        {"tokens": ONE, "h": H},
        {"c": C},
        "unknown input ['h']; expected ['tokens']",
    ),
    "tokens of int32": (
        {"tokens": zeros(1, 1, dtype="int32")},
        {"h": H, "c": C},
        "tokens is int32, expected int64 [batch, time]",
    ),
    "state of float64": (
        {"tokens": ONE},
        {"h": H, "c": zeros(2, 1, 3, dtype="float64")},
        "c is float64, expected float32 [layers, batch, hidden]",
    ),
    "a list": ({"tokens": [[0]]}, {"h": H, "c": C}, "tokens is list, expected int64 [batch, time]"),
    "tokens without time": (
        {"tokens": zeros(1, dtype="int64")},
        {"h": H, "c": C},
        "tokens has shape [1], expected int64 [batch, time]",
    ),
    "state without layers": (
        {"tokens": ONE},
        {"h": zeros(1, 3), "c": C},
        "h has shape [1, 3], expected float32 [layers, batch, hidden]",
    ),
    "batch of tokens and state": (
        {"tokens": zeros(2, 1, dtype="int64")},
        {"h": H, "c": C},
        "h has batch = 1 (shape [2, 1, 3]), expected 2 as in tokens",
    ),
    "batch of the second state": (
        {"tokens": ONE},
        {"h": H, "c": zeros(2, 2, 3)},
        "c has batch = 2 (shape [2, 2, 3]), expected 1 as in tokens",
    ),
    "hidden size": (
        {"tokens": ONE},
        {"h": zeros(2, 1, 4), "c": C},
        "h has hidden = 4 (shape [2, 1, 4]), expected 3 as in this file",
    ),
    "layers": (
        {"tokens": ONE},
        {"h": zeros(3, 1, 3), "c": C},
        "h has layers = 3 (shape [3, 1, 3]), expected 2 as in this file",
    ),
    "no inputs": (None, {"h": H, "c": C}, "inputs is NoneType, expected a dict of arrays by name"),
    "no state": ({"tokens": ONE}, None, "state is NoneType, expected a dict of arrays by name"),
    "no rows": (
        {"tokens": zeros(0, 1, dtype="int64")},
        {"h": zeros(2, 0, 3), "c": zeros(2, 0, 3)},
        "tokens has batch = 0 (shape [0, 1]), expected at least 1",
    ),
    "no steps": (
        {"tokens": zeros(1, 0, dtype="int64")},
        {"h": H, "c": C},
        "tokens has time = 0 (shape [1, 0]), expected at least 1",
    ),
}


@pytest.mark.parametrize(("inputs", "state", "says"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_the_contract_is_named_and_never_run(
    inputs: dict, state: dict, says: str
) -> None:
    fake = session()
    with pytest.raises(ContractError, match=f"^{re.escape(says)}$"):
        fake.step(inputs, state)
    assert fake.calls == 0


@pytest.mark.parametrize(("inputs", "state", "says"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_the_contract_is_named_after_a_right_call_too(
    inputs: dict, state: dict, says: str
) -> None:
    fake = session()
    for _ in range(2):
        fake.step({"tokens": ONE}, {"h": H, "c": C})
        with pytest.raises(ContractError, match=f"^{re.escape(says)}$"):
            fake.step(inputs, state)
    assert fake.calls == 2


@pytest.mark.parametrize("right_before", [False, True])
@pytest.mark.parametrize(
    ("rows", "found"), [([[-1]], -1), ([[VOCABULARY]], VOCABULARY), ([[2, 9, -1], [1, 1, 8]], 9)]
)
def test_an_id_outside_the_vocabulary_is_named_and_never_run(
    rows: list[list[int]], found: int, right_before: bool
) -> None:
    fake, state = session(), random_state(len(rows))
    if right_before:
        fake.step(tokens(*[[1] * len(rows[0])] * len(rows)), state)
    with pytest.raises(
        ContractError, match=f"^tokens has the value {found}, expected 0 to {VOCABULARY - 1}$"
    ):
        fake.step(tokens(*rows), state)
    assert fake.calls == right_before


def test_calls_of_other_layouts_take_turns() -> None:
    fake = session()
    for rows in ([[1]], [[1, 2]], [[1], [2]], [[3]], [[1, 2, 3]]):
        outputs, after = fake.step(tokens(*rows), random_state(len(rows)))
        assert outputs["logits"].shape == (len(rows), len(rows[0]), VOCABULARY)
        assert after["h"].shape == (LAYERS, len(rows), HIDDEN)


@pytest.mark.parametrize("batch", [0, -1, 1.5, "1", None])
def test_a_batch_that_is_no_number_of_rows_is_refused(batch: object) -> None:
    assert session().initial_state(np.int32(2))["h"].shape == (LAYERS, 2, HIDDEN)
    with pytest.raises(UsageError, match=f"^batch is {batch!r}, expected "):
        session().initial_state(batch)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [0, -2])
def test_less_than_one_thread_is_refused(threads: int) -> None:
    assert checked_threads(None) is None
    assert checked_threads(3) == 3
    with pytest.raises(
        UsageError, match=f"^threads is {threads}, expected 1 or more; leave it out"
    ):
        checked_threads(threads)


@pytest.mark.parametrize(
    ("narrowing", "shape", "says"),
    [
        (
            {"axes": {"batch": 1}},
            (2, 1),
            "tokens has batch = 2 (shape [2, 1]), expected 1 as in this file",
        ),
        (
            {"axes": {"time": 1}},
            (1, 3),
            "tokens has time = 3 (shape [1, 3]), expected 1 as in this file",
        ),
        (
            {"axes": {"time": 4}},
            (1, 3),
            "tokens has time = 3 (shape [1, 3]), expected 4 as in this file",
        ),
    ],
    ids=["batch", "one step", "four steps"],
)
def test_a_narrowed_axis_takes_one_size(narrowing: dict, shape: tuple[int, int], says: str) -> None:
    fake = session(**narrowing)
    with pytest.raises(ContractError, match=re.escape(says)):
        fake.step({"tokens": zeros(*shape, dtype="int64")}, random_state(shape[0]))
    assert fake.calls == 0


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
