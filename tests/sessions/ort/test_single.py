"""Steps over bound memory: they equal steps with memory of their own, and nothing that is kept
changes.
"""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgernn.contract import FileContract
from edgernn.errors import ContractError
from edgernn.sessions.base import Session, State
from edgernn.sessions.ort.step import OrtSession


def random_state(session: Session, batch: int) -> State:
    random = np.random.default_rng(batch)
    return {
        name: random.normal(size=a.shape).astype(np.float32)
        for name, a in session.initial_state(batch).items()
    }


def one(token: int) -> dict[str, np.ndarray]:
    return {"tokens": np.array([[token]], np.int64)}


def alone(session: Session, ids: list[int], state: State) -> State:
    """Step through ``ids`` by what every runtime inherits, with memory of its own at every call."""
    for token in ids:
        _, state = Session.step(session, one(token), state)
    return state


def same(left: State, right: State) -> bool:
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name]) for name in left
    )


def test_a_stream_of_single_steps_equals_calls_with_memory_of_their_own(ort: OrtSession) -> None:
    ids = np.random.default_rng(0).integers(0, ort.contract.sizes["vocab"], 40).tolist()
    state = random_state(ort, 1)
    expected = state
    for token in ids:
        (outputs, state), (wanted, expected) = (
            ort.step(one(token), state),
            Session.step(ort, one(token), expected),
        )
        assert same(outputs, wanted)
        assert list(state) == list(expected)
        assert same(state, expected)
        assert [a.dtype for a in (*outputs.values(), *state.values())] == [np.float32] * 3


def goes_on_in_the_same_memory(session: OrtSession, state: State) -> bool:
    def never(*_: object) -> None:
        raise AssertionError("the step went the other way")

    places = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "step", never)
        for call in range(9):
            outputs, state = session.step(one(1), state)
            places.add((outputs["logits"].ctypes.data, state["h"].ctypes.data))
            if call == 2:
                patch.setattr("edgernn.sessions.ort.single._bind", never)
    return len(places) == 2


def test_a_stream_of_single_steps_needs_no_new_memory_and_no_binding(ort: OrtSession) -> None:
    assert goes_on_in_the_same_memory(ort, ort.initial_state())
    kept = ort.step(one(2), ort.initial_state())  # for good, as the state after a prompt may be
    assert goes_on_in_the_same_memory(ort, kept[1])


KEEP: dict[str, Callable[[np.ndarray], Any]] = {
    "arrays": lambda array: array,
    "views": lambda array: array[0, -1:],
    "a view of a view": lambda array: array.reshape(-1)[2:5],
    "memory": memoryview,
    "torch": torch.from_numpy,
}


@pytest.mark.parametrize("keep", KEEP.values(), ids=KEEP)
def test_whatever_is_kept_of_a_step_stays_as_it_was(
    ort: OrtSession, keep: Callable[[np.ndarray], Any]
) -> None:
    random = np.random.default_rng(4)
    kept: list[tuple[Any, Any]] = []
    state = ort.initial_state()
    for _ in range(60):
        outputs, state = ort.step(one(int(random.integers(0, 9))), state)
        for array in (*outputs.values(), *state.values()):
            if random.random() < 0.2:
                kept.append((keep(array), keep(array.copy())))
        if random.random() < 0.3:
            kept = kept[len(kept) // 2 :]
    assert len(kept) > 3
    assert all(np.array_equal(np.asarray(thing), np.asarray(before)) for thing, before in kept)


def test_forked_streams_run_interleaved_without_leaking(ort: OrtSession) -> None:
    random = np.random.default_rng(8)
    fork = alone(ort, [1, 2], ort.initial_state())
    states, fed = [fork, fork, fork], [[], [], []]  # type: ignore[var-annotated]
    for turn in random.integers(0, 3, 90):
        token = int(random.integers(0, 9))
        fed[turn].append(token)
        states[turn] = ort.step(one(token), states[turn])[1]
    assert all(same(state, alone(ort, ids, fork)) for state, ids in zip(states, fed, strict=True))


def test_states_are_read_wherever_they_come_from(ort: OrtSession) -> None:
    """Mixed, copied, turned, changed in place, or of another stream: the values count."""
    first = alone(ort, [1], random_state(ort, 1))
    second = alone(ort, [2], first)
    turned = {name: np.asfortranarray(array) for name, array in first.items()}
    swapped = {"h": second["c"], "c": second["h"]}
    read_only = {name: array.copy() for name, array in first.items()}
    for array in read_only.values():
        array.flags.writeable = False
    for state in (
        first,
        second,
        {"h": first["h"], "c": second["c"]},
        turned,
        swapped,
        read_only,
        dict(reversed(second.items())),
    ):
        expected = Session.step(ort, one(3), {name: array.copy() for name, array in state.items()})
        found = ort.step(one(3), state)
        assert same(found[0], expected[0])
        assert same(found[1], expected[1])
    _, last = ort.step(one(3), second)
    last["h"][:] = 0.25
    for state in (last, {"h": last["h"], "c": first["c"]}, {"h": last["c"], "c": last["h"]}):
        found_state = ort.step(one(3), state)[1]
        assert same(
            found_state, alone(ort, [3], {name: array.copy() for name, array in state.items()})
        )
        del found_state


def reshape(array: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy will forbid it
        array.shape = (-1,)


SPOIL: dict[str, Callable[[State], None]] = {
    "read-only logits": lambda given: given["logits"].setflags(write=False),
    "read-only state": lambda given: given["h"].setflags(write=False),
    "reshaped": lambda given: reshape(given["logits"]),
}


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_an_array_that_a_caller_spoilt_is_not_given_again(
    path: Path, contract: FileContract, spoil: Callable[[State], None]
) -> None:
    session = OrtSession.open(path, contract)
    state = session.initial_state()
    for token in range(12):
        outputs, state = session.step(one(token), state)
        given = outputs | state
        assert given["logits"].shape == (1, 1, session.contract.sizes["vocab"])
        assert all(array.flags.writeable for array in given.values())
        if token in {2, 3, 6}:
            spoil(given)
        outputs.clear()  # the dict is the caller's, too
        del given
    assert goes_on_in_the_same_memory(session, session.step(one(1), state)[1])


def test_two_threads_may_share_a_session(ort: OrtSession) -> None:
    def stream(seed: int) -> bool:
        ids = np.random.default_rng(seed).integers(0, 9, 150).tolist()
        state = ort.initial_state()
        for token in ids:
            _, state = ort.step(one(token), state)
        return same(state, alone(ort, ids, ort.initial_state()))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(stream, range(8)))


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "token": ({"tokens": np.array([[99]])}, {}, "tokens has the value 99, expected 0 to"),
    "dtype": (
        {"tokens": np.array([[1]], np.int32)},
        {},
        r"tokens is int32, expected int64 \[batch, time\]",
    ),
    "a number": ({"tokens": 1}, {}, "tokens is int, expected int64"),
    "another input": ({**one(1), "mask": np.ones(1)}, {}, r"unknown input \['mask'\]"),
    "no input": ({}, {}, "input 'tokens' is missing"),
    "another state": (one(1), {"s": np.ones(1)}, r"unknown state \['s'\]"),
    "half a state": (
        one(1),
        {"h": np.zeros((2, 1, 8), np.float16)},
        "h is float16, expected float32",
    ),
    "a state of two rows": (one(1), {"c": np.zeros((2, 2, 8), np.float32)}, "c has batch = 2"),
    "nothing as state": (one(1), {"h": None}, "h is NoneType, expected float32"),
}


@pytest.mark.parametrize(("inputs", "changed", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_call_in_a_stream_is_named_and_changes_nothing(
    ort: OrtSession, inputs: dict[str, Any], changed: dict[str, Any], says: str
) -> None:
    state = alone(ort, [1], ort.initial_state())
    for token in (2, 3, 4):
        _, state = ort.step(one(token), state)
        with pytest.raises(ContractError, match=f"^{says}"):
            ort.step(inputs, {**state, **changed})
    assert same(state, alone(ort, [1, 2, 3, 4], ort.initial_state()))


def test_a_session_goes_when_its_last_user_goes(path: Path, contract: FileContract) -> None:
    session = OrtSession.open(path, contract)
    state = session.initial_state()
    for _ in range(3):
        _, state = session.step(one(1), state)
    runtime = weakref.ref(session._runtime)
    gc.disable()
    try:
        del session
        assert runtime() is None  # its weights, too: nothing waits for the garbage collector
    finally:
        gc.enable()
