"""Prefill and generation: however a run is cut, stopped, saved and continued, the same tokens
come.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.contract import FileContract, Narrowing
from edgernn.contract.random_numbers import uniform_numbers
from edgernn.decoding.generate import (
    PREFILL_STEPS,
    Generation,
    Snapshot,
    begin,
    greedy_tokens,
    prefill,
)
from edgernn.decoding.sampling import Sampler
from edgernn.decoding.saved_state import load_snapshot, save_snapshot
from edgernn.errors import UsageError
from edgernn.families.language import language_contract
from edgernn.sessions.base import Session, State
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.opening import open_session

VOCABULARY = 7
CONTRACT = language_contract(("h", "c"), layers=2, hidden=3, vocabulary=VOCABULARY)
IDS = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6).map(
    lambda ids: np.array(ids, np.int64)
)
GREEDY, SAMPLED = Sampler(temperature=0), Sampler(temperature=1.5, top_k=6, top_p=0.95)


def fake(**axes: int) -> FakeSession:
    return FakeSession(FileContract(contract=CONTRACT, narrowing=Narrowing(axes=axes)))


@pytest.fixture(scope="module")
def ort(bundle_folder: Path) -> Session:
    return open_session(bundle_folder, "onnx")


def ids(*tokens: int) -> np.ndarray:
    return np.array(tokens, np.int64)


def same(left: State, right: State, limit: float = 0.0) -> bool:
    return left.keys() == right.keys() and all(
        np.abs(left[name] - right[name]).max() <= limit for name in left
    )


def write(
    session: Session, prompt: np.ndarray, length: int, sampler: Sampler, seed: int = 0
) -> tuple[list[int], Snapshot]:
    generation = Generation(session, begin(session, prompt), sampler=sampler, seed=seed)
    return list(generation.write(length)), generation.snapshot


@settings(deadline=None)
@given(prompt=IDS)
def test_prefill_in_one_call_equals_step_by_step(prompt: np.ndarray) -> None:
    whole, narrow = fake(), fake(time=1)
    outputs, state = prefill(whole, prompt[None], whole.initial_state())
    stepped_outputs, stepped_state = prefill(narrow, prompt[None], narrow.initial_state())
    assert np.array_equal(outputs["logits"], stepped_outputs["logits"])
    assert same(state, stepped_state)
    assert (whole.calls, narrow.calls) == (1, len(prompt))


def test_prefill_on_a_real_file_equals_step_by_step(ort: Session) -> None:
    prompt = np.arange(20, dtype=np.int64)[None] % ort.contract.sizes["vocab"]
    last, state = prefill(ort, prompt, ort.initial_state())
    stepped = ort.initial_state()
    for t in range(prompt.shape[1]):
        outputs, stepped = ort.step({"tokens": prompt[:, t : t + 1]}, stepped)
    assert last["logits"].shape == (1, ort.contract.sizes["vocab"])
    assert np.abs(outputs["logits"][:, -1] - last["logits"]).max() < 1e-5
    assert same(state, stepped, 1e-5)


@pytest.mark.parametrize(
    ("length", "calls"),
    [(1, 1), (PREFILL_STEPS, 1), (PREFILL_STEPS + 1, 2), (3 * PREFILL_STEPS, 3)],
)
def test_a_long_prompt_goes_in_as_calls_of_bounded_length(length: int, calls: int) -> None:
    session, prompt = fake(), np.arange(length, dtype=np.int64)[None] % VOCABULARY
    last, state = prefill(session, prompt, session.initial_state())
    outputs, expected = fake().step({"tokens": prompt}, session.initial_state())
    assert session.calls == calls
    assert np.array_equal(last["logits"], outputs["logits"][:, -1])
    assert same(state, expected)


def test_calls_are_shorter_where_there_are_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgernn.decoding.generate._MOST_LOGITS", 10 * VOCABULARY)
    session, prompt = fake(), np.arange(22, dtype=np.int64)[None] % VOCABULARY
    last, _ = prefill(session, prompt, session.initial_state())
    assert session.calls == 3
    assert np.array_equal(
        last["logits"], fake().step({"tokens": prompt}, session.initial_state())[0]["logits"][:, -1]
    )


def test_prefill_takes_a_batch() -> None:
    session, prompt = fake(), np.array([[1, 2], [3, 4], [5, 6]], np.int64)
    last, state = prefill(session, prompt, session.initial_state(3))
    assert last["logits"].argmax(-1).tolist() == [3, 5, 0]
    assert state["h"].shape == (2, 3, 3)


def test_prefill_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no token to feed"):
        prefill(fake(), np.zeros((1, 0), np.int64), fake().initial_state())


def test_the_prompt_is_fed_once_and_each_token_once() -> None:
    session = fake()
    tokens, _ = write(session, ids(1, 2, 3), 4, GREEDY)
    assert tokens == [4, 5, 6, 0]
    assert session.calls == 4  # the prompt with the first token, then one call a token


def test_a_file_of_one_step_a_call_writes_the_same() -> None:
    session = fake(time=1, batch=1)
    tokens, snapshot = write(session, ids(1, 2, 3), 4, GREEDY)
    assert tokens == [4, 5, 6, 0]
    assert session.calls == 3 + 3
    assert same(snapshot.state, write(fake(), ids(1, 2, 3), 4, GREEDY)[1].state)


def test_the_snapshot_knows_what_the_state_has_not_seen() -> None:
    session = fake()
    start = begin(session, ids(1, 2, 3))
    assert start.pending.tolist() == [1, 2, 3]
    assert start.position == 0
    assert same(start.state, session.initial_state())
    assert session.calls == 0
    _, snapshot = write(session, ids(1, 2, 3), 4, GREEDY)
    assert snapshot.pending.tolist() == [0]
    assert snapshot.position == 4
    assert same(
        snapshot.state, prefill(fake(), ids(1, 2, 3, 4, 5, 6)[None], session.initial_state())[1]
    )


def test_snapshots_of_the_past_stay_as_they_were() -> None:
    session = fake()
    generation = Generation(session, begin(session, ids(1)), sampler=SAMPLED)
    past = []
    for _ in range(4):
        past.append(
            (
                generation.snapshot,
                generation.snapshot.state["h"].copy(),
                generation.snapshot.pending.copy(),
            )
        )
        next(generation)
    for snapshot, h, pending in past:
        assert np.array_equal(snapshot.state["h"], h)
        assert np.array_equal(snapshot.pending, pending)


@settings(deadline=None)
@given(
    prompt=IDS,
    cut=st.integers(0, 8),
    seed=st.integers(0, 99),
    sampler=st.sampled_from([GREEDY, SAMPLED]),
)
def test_a_generation_saved_and_continued_equals_an_uninterrupted_one(
    prompt: np.ndarray, cut: int, seed: int, sampler: Sampler
) -> None:
    expected, end = write(fake(), prompt, 8, sampler, seed)
    first, snapshot = write(fake(), prompt, cut, sampler, seed)
    with tempfile.TemporaryDirectory() as folder:
        save_snapshot(Path(folder) / "state", snapshot, contract=CONTRACT)
        loaded = load_snapshot(Path(folder) / "state", contract=CONTRACT)
    session = fake()
    rest = Generation(session, begin(session, ids(), after=loaded), sampler=sampler, seed=seed)
    assert first + list(rest.write(8 - cut)) == expected
    assert same(rest.snapshot.state, end.state)
    assert rest.snapshot.position == end.position


@pytest.mark.parametrize("sampler", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("cut", [0, 1, 12])
def test_a_real_file_continues_as_if_it_had_never_stopped(
    ort: Session, tmp_path: Path, sampler: Sampler, cut: int
) -> None:
    expected, end = write(ort, ids(3, 1, 4), 24, sampler, 5)
    first, snapshot = write(ort, ids(3, 1, 4), cut, sampler, 5)
    save_snapshot(tmp_path / "state", snapshot, contract=ort.contract)
    loaded = load_snapshot(tmp_path / "state", contract=ort.contract)
    rest = Generation(ort, begin(ort, ids(), after=loaded), sampler=sampler, seed=5)
    assert first + list(rest.write(24 - cut)) == expected
    assert same(rest.snapshot.state, end.state)


def test_a_prompt_after_a_snapshot_is_fed_after_what_is_pending() -> None:
    session = fake()
    _, snapshot = write(session, ids(1), 2, GREEDY)  # writes 2 and 3; 3 is pending
    after = begin(session, ids(5, 6), after=snapshot)
    assert after.pending.tolist() == [3, 5, 6]
    assert after.position == 2
    assert same(after.state, snapshot.state)
    assert list(Generation(session, after, sampler=GREEDY).write(2)) == [0, 1]


def test_nothing_to_feed_is_refused() -> None:
    with pytest.raises(UsageError, match="prompt is empty and there is nothing to continue"):
        begin(fake(), ids())


def test_a_stop_token_is_the_last() -> None:
    session = fake()
    generation = Generation(session, begin(session, ids(1)), sampler=GREEDY)
    assert list(generation.write(99, stop={4, 6})) == [2, 3, 4]
    assert list(generation.write(99, stop=[4])) == [
        5,
        6,
        0,
        1,
        2,
        3,
        4,
    ]  # and it can be gone on from
    assert list(generation.write(2, stop=())) == [5, 6]
    assert list(generation.write(0)) == []


def test_the_same_seed_writes_the_same_and_another_seed_another(ort: Session) -> None:
    texts = [write(ort, ids(0), 30, SAMPLED, seed)[0] for seed in (1, 1, 2)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert all(0 <= token < ort.contract.sizes["vocab"] for text in texts for token in text)


def test_the_nth_token_uses_the_nth_number_of_the_seed(ort: Session) -> None:
    numbers = uniform_numbers(9, 5)
    tokens, _ = write(ort, ids(0), 5, SAMPLED, 9)
    state, feed = ort.initial_state(), 0
    for token, number in zip(tokens, numbers, strict=True):
        outputs, state = ort.step({"tokens": np.array([[feed]], np.int64)}, state)
        assert SAMPLED.pick(outputs["logits"][0, -1], number) == token
        feed = token


def test_a_greedy_text_does_not_depend_on_the_seed(ort: Session) -> None:
    assert (
        write(ort, ids(3), 20, GREEDY, 1)[0]
        == write(ort, ids(3), 20, GREEDY, 2)[0]
        == greedy_tokens(ort, ids(3), 20)
    )


def test_a_late_position_costs_nothing() -> None:
    start = Snapshot(fake().initial_state(), ids(1), position=10**15)
    assert list(Generation(fake(), start, sampler=GREEDY).write(2)) == [2, 3]


def test_greedy_tokens_feed_each_token_back() -> None:
    assert greedy_tokens(fake(), ids(2), 9) == [3, 4, 5, 6, 0, 1, 2, 3, 4]
    assert greedy_tokens(fake(), ids(2), 0) == []


def test_suppressed_tokens_are_passed_over_and_what_was_heard_is_left_as_it_was() -> None:
    session = fake()
    generation = Generation(session, begin(session, ids(1)), sampler=GREEDY, suppress=[3, 0])
    assert generation.outputs == {}
    tokens = list(generation.write(4))
    assert not {0, 3} & set(tokens)
    assert tokens[0] == 2
    generation = Generation(session, begin(session, ids(2)), sampler=GREEDY, suppress=[3])
    token = next(generation)
    assert token != 3
    assert generation.outputs["logits"].shape == (1, VOCABULARY)
    assert generation.outputs["logits"][0].argmax() == 3  # the model's own, not what was left of it


def test_contexts_go_into_every_step_of_a_prompt_and_after_it(
    captioner_bundle_folder: Path, pictures: np.ndarray
) -> None:
    encode, step = (
        open_session(captioner_bundle_folder, f"onnx/{graph}.onnx") for graph in ("encode", "step")
    )
    contexts, state = encode.encode({"image": pictures[:1]})
    outputs, after = prefill(step, ids(1, 5, 6)[None], state, contexts=contexts)
    expected = state
    for token in (1, 5, 6):
        last, expected = step.step({"tokens": np.array([[token]], np.int64), **contexts}, expected)
    assert same(after, expected)
    assert {name: array.shape for name, array in outputs.items()} == {
        "logits": (1, 36),
        "attention": (1, 16),
    }
    assert all(np.array_equal(outputs[name], last[name][:, -1]) for name in outputs)
    generation = Generation(step, Snapshot(state, ids(1, 5, 6)), sampler=GREEDY, contexts=contexts)
    assert next(generation) == outputs["logits"].argmax()
