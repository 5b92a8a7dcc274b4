"""What artifacts are fed, and their calls on a clock that a session moves on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from edgernn.bench.course import PREFILL_TOKENS, Course, feed_for
from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact
from edgernn.contract import FileContract, Narrowing
from edgernn.families.base import Feed
from edgernn.families.language import language_contract
from edgernn.sessions.base import Arrays, State
from edgernn.sessions.fake import FakeSession

VOCABULARY = 7
ARTIFACT = Artifact(
    path="onnx/step.onnx",
    format="onnx",
    precision="float32",
    bytes=8,
    sha256="0" * 64,
    target="a test",
    exporter="a test",
)


class ClockSession(FakeSession):
    """Takes 2 ms for the first call, 3 for the second and so on, and remembers what it was
    given.
    """

    def __init__(self, file_contract: FileContract, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(file_contract)
        self.now = 0.0
        self.tokens: list[list[list[int]]] = []
        self.states: list[State] = []
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        self.tokens.append(inputs["tokens"].tolist())
        self.states.append({name: array.copy() for name, array in state.items()})
        outputs, after = super().step(inputs, state)
        self.now += (self.calls + 1) / 1e3
        return outputs, after


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> ClockSession:
    contract = language_contract(("h",), layers=1, hidden=2, vocabulary=VOCABULARY)
    return ClockSession(FileContract(contract=contract), monkeypatch)


@pytest.fixture
def make_course(session: ClockSession) -> Callable[[int], Course]:
    """Make the course of the session over so many tokens."""

    def make(tokens: int) -> Course:
        feed = Feed({}, {"tokens": (np.arange(tokens) % VOCABULARY)[:, None, None]}, "a test")
        return Course(ARTIFACT, session, feed, contexts={}, state=session.initial_state(1))

    return make


def test_a_round_times_its_calls_and_not_its_warm_up(
    make_course: Callable[[int], Course], session: ClockSession
) -> None:
    course = make_course(5)
    course.run(4, with_prefill=False)
    untimed = session.calls - 4
    assert untimed > 0
    assert course.call_ms == pytest.approx([untimed + 2, untimed + 3, untimed + 4, untimed + 5])
    assert course.prefill_s == []


def test_steps_are_chained_over_rounds_and_tokens_begin_again(
    make_course: Callable[[int], Course], session: ClockSession
) -> None:
    course = make_course(5)
    course.run(4, with_prefill=False)
    course.run(3, with_prefill=False)
    assert [token for ((token,),) in session.tokens] == [
        place % 5 for place in range(session.calls)
    ]
    h = np.zeros((1, 1, 2))
    for ((token,),), given in zip(session.tokens, session.states, strict=True):
        assert given["h"] == pytest.approx(h)
        h = h / 2 + token / VOCABULARY


def test_a_prefill_is_one_call_from_the_first_state(
    make_course: Callable[[int], Course], session: ClockSession
) -> None:
    course = make_course(5)
    course.run(2, with_prefill=True)
    course.run(2, with_prefill=True)
    assert course.prefill_s == pytest.approx(
        [(session.calls // 2 + 1) / 1e3, (session.calls + 1) / 1e3]
    )
    (row,) = session.tokens[-1]
    assert row == [place % 5 for place in range(PREFILL_TOKENS)]
    assert not session.states[-1]["h"].any()


def test_a_file_of_one_step_a_call_is_prefilled_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contract = language_contract(("h",), layers=1, hidden=2, vocabulary=VOCABULARY)
    session = ClockSession(
        FileContract(contract=contract, narrowing=Narrowing(axes={"time": 1})), monkeypatch
    )
    feed = Feed({}, {"tokens": np.arange(VOCABULARY)[:, None, None]}, "a test")
    Course(ARTIFACT, session, feed, contexts={}, state=session.initial_state(1)).run(
        1, with_prefill=True
    )
    assert session.calls > PREFILL_TOKENS


def test_the_warm_up_leaves_no_times(
    make_course: Callable[[int], Course], session: ClockSession
) -> None:
    course = make_course(5)
    course.warm_up()
    assert session.calls > 1
    assert len(session.tokens[-1][0]) == PREFILL_TOKENS
    assert (course.call_ms, course.prefill_s) == ([], [])


def test_what_goes_into_the_next_call(make_course: Callable[[int], Course]) -> None:
    feeds = make_course(5).feeds()
    assert {name: array.shape for name, array in feeds.items()} == {
        "tokens": (1, 1),
        "h": (1, 1, 2),
    }


def test_held_out_tokens_come_first(bundle: Bundle) -> None:
    feed = feed_for(bundle)
    assert feed.source == "the bundle's held-out tokens"
    assert not feed.encode
    assert feed.step["tokens"].shape[1:] == (1, 1)


def test_held_out_captions_without_their_padding(
    captioner_bundle: Bundle, caption_ids: np.ndarray
) -> None:
    feed = feed_for(captioner_bundle)
    assert feed.source == "the bundle's held-out pictures and captions"
    assert feed.encode["image"].shape[1:] == (1, 32, 32, 3)
    assert feed.step["tokens"].ravel().tolist() == [
        token for token in caption_ids.ravel().tolist() if token
    ]


def released(bundle: Bundle) -> Bundle:
    return Bundle(
        bundle.source, bundle.folder, bundle.manifest.model_copy(update={"evaluation": None})
    )


def test_random_tokens_where_there_is_no_sample_are_the_same_again(bundle: Bundle) -> None:
    feed, again = feed_for(released(bundle)), feed_for(released(bundle))
    assert "random tokens, seed" in feed.source
    tokens = feed.step["tokens"]
    assert tokens.dtype == np.int64
    assert 0 <= tokens.min() < tokens.max() < bundle.manifest.contract.sizes["vocab"]
    assert np.array_equal(tokens, again.step["tokens"])


def test_random_pictures_where_there_is_no_sample(captioner_bundle: Bundle) -> None:
    feed = feed_for(released(captioner_bundle))
    images = feed.encode["image"]
    assert (images.dtype, images.shape[1:]) == (np.uint8, (1, 32, 32, 3))
    assert images.std() > 50
