"""Beam search: against every sequence there is, against greedy decoding, and against itself without
its short cuts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgernn.contract import Contract, FileContract, GraphSpec, Narrowing, TensorSpec
from edgernn.decoding import beam
from edgernn.decoding.beam import Hypothesis, beam_search
from edgernn.decoding.generate import greedy_tokens
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Session
from edgernn.sessions.fileless import FilelessSession
from edgernn.sessions.opening import open_session

V, REGIONS, LENGTH, START, STOP = 4, 2, 4, 0, 3
EVERYTHING = V**LENGTH  # beams enough to keep every sequence

FEATURES = TensorSpec(
    name="features", role="context", dtype="float32", axes=("batch", "regions", "vocab")
)
STATES = tuple(
    TensorSpec(name=name, role="state", dtype="float32", axes=("layers", "batch", "hidden"))
    for name in "hc"
)
ENCODE = GraphSpec(
    name="encode",
    inputs=(TensorSpec(name="image", role="input", dtype="uint8", axes=("batch", "height")),),
    outputs=(FEATURES,),
)
STEP = GraphSpec(
    name="step",
    inputs=(
        TensorSpec(
            name="tokens", role="input", dtype="int64", axes=("batch", "time"), below="vocab"
        ),
        FEATURES,
        *STATES,
    ),
    outputs=(
        TensorSpec(name="logits", role="output", dtype="float32", axes=("batch", "time", "vocab")),
        TensorSpec(
            name="attention", role="output", dtype="float32", axes=("batch", "time", "regions")
        ),
        *(state.model_copy(update={"name": f"{state.name}_next"}) for state in STATES),
    ),
)
SIZES = {"time": 1, "layers": 2, "hidden": 1, "vocab": V, "regions": REGIONS, "height": 1}
CONTRACT = Contract(graphs=(ENCODE, STEP), sizes=SIZES)

LOGITS = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-6, 6, width=32)
)  # whole numbers make ties
TABLES = arrays.arrays(np.float32, (V, V, V), elements=LOGITS)
BIASES = arrays.arrays(np.float32, (1, REGIONS, V), elements=st.floats(-1, 1, width=32))
WIDTHS, NORMALISATIONS = st.integers(1, 6), st.sampled_from([0.0, 0.3, 0.7, 1.0, 2.5])


class MarkovSession(FilelessSession):
    """Logits ``table[token before, token] + sum of features``; the attention is those two tokens.

    ``h`` holds the token before in both layers, ``c`` counts the steps. ``batches`` has the rows of
    each call.
    """

    runtime = "a table"

    def __init__(self, table: np.ndarray, **axes: int) -> None:
        super().__init__(FileContract(contract=CONTRACT, narrowing=Narrowing(axes=axes)))
        self.table = table
        self.batches: list[int] = []

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        tokens, before = feeds["tokens"][:, 0], feeds["h"][1, :, 0].astype(np.int64)  # [B]
        assert np.array_equal(feeds["h"][0], feeds["h"][1])
        assert (feeds["c"] == feeds["c"].flat[0]).all()  # all rows have taken as many steps
        self.batches.append(len(tokens))
        logits = self.table[before, tokens] + feeds["features"].sum(1)  # [B, V]
        after = np.broadcast_to(tokens[None, :, None], feeds["h"].shape).astype(np.float32)
        attention = np.stack([before, tokens], -1)[:, None].astype(np.float32)  # [B, 1, 2]
        results = {
            "logits": logits[:, None],
            "attention": attention,
            "h_next": after,
            "c_next": feeds["c"] + 1,
        }
        for array in (logits, *results.values()):
            array.flags.writeable = (
                False  # a search that changed what a session returns would fail here
            )
        return results


def search(
    session: Session, features: np.ndarray | None = None, **options: object
) -> list[Hypothesis]:
    contexts = {"features": np.zeros((1, REGIONS, V), np.float32) if features is None else features}
    options = {"start": [START], "width": 3, "length": LENGTH, "stop": {STOP}, **options}
    return beam_search(session, session.initial_state(), contexts=contexts, **options)


def logarithms(table: np.ndarray, features: np.ndarray, before: int, token: int) -> list[float]:
    logits = (table[before, token] + features.sum(1)[0]).astype(np.float64)
    total = math.log(math.fsum(math.exp(logit) for logit in logits))
    return [float(logit) - total for logit in logits]


def score(log_probability: float, counted: int, normalisation: float) -> float:
    return log_probability / ((5 + counted) / 6) ** normalisation


def every_sequence(
    table: np.ndarray, features: np.ndarray, stop: Collection[int], suppress: Collection[int] = ()
) -> Iterator[tuple[tuple[int, ...], float, bool]]:
    """Yield all that can be written after START: the tokens, their log-probability, and whether
    they ended.
    """
    pending: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    while pending:
        written, total = pending.pop()
        before, token = (START, START, *written)[-2:] if written else (0, START)
        logs = logarithms(table, features, before, token)
        allowed = [choice for choice in range(V) if choice not in suppress]
        if len(written) == LENGTH:
            logits = table[before, token] + features.sum(1)[0]
            likeliest = max(allowed, key=lambda choice: (logits[choice], -choice))
            ends = likeliest in stop
            yield written, total + logs[likeliest] * ends, ends
            continue
        for choice in allowed:
            if choice in stop:
                yield written, total + logs[choice], True
            else:
                pending.append(((*written, choice), total + logs[choice]))


def greedy(table: np.ndarray, features: np.ndarray) -> tuple[tuple[int, ...], bool]:
    written: list[int] = []
    before, token = 0, START
    while True:
        choice = int(np.argmax(table[before, token] + features.sum(1)[0]))
        if choice == STOP or len(written) == LENGTH:
            return tuple(written), choice == STOP
        written.append(choice)
        before, token = token, choice


def content(found: list[Hypothesis]) -> list[tuple[object, ...]]:
    return [
        (h.tokens, h.log_probability, h.score, h.finished, h.outputs["attention"].tolist())
        for h in found
    ]


def random_table(seed: int, scale: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=(V, V, V)).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(
    table=TABLES,
    features=BIASES,
    normalisation=NORMALISATIONS,
    stop=st.sets(st.integers(0, V - 1), max_size=2),
    suppress=st.sets(st.integers(0, V - 1), max_size=2),
)
def test_beams_enough_find_every_sequence(
    table: np.ndarray,
    features: np.ndarray,
    normalisation: float,
    stop: set[int],
    suppress: set[int],
) -> None:
    options = {"stop": stop, "suppress": suppress, "normalisation": normalisation}
    found = search(MarkovSession(table), features, width=EVERYTHING, **options)
    expected = list(every_sequence(table, features, stop, suppress))
    assert sorted((h.tokens, h.finished) for h in found) == sorted(
        (tokens, ended) for tokens, _, ended in expected
    )
    scores = sorted(
        (score(total, len(tokens) + ended, normalisation) for tokens, total, ended in expected),
        reverse=True,
    )
    assert [h.score for h in found] == pytest.approx(scores, abs=1e-9)


@settings(deadline=None)
@given(table=TABLES, features=BIASES, width=WIDTHS, normalisation=NORMALISATIONS)
def test_what_is_found_is_what_it_says(
    table: np.ndarray, features: np.ndarray, width: int, normalisation: float
) -> None:
    session = MarkovSession(table)
    found = search(session, features, width=width, normalisation=normalisation)
    assert 1 <= len(found) <= width
    assert max(session.batches) <= width
    assert len({h.tokens for h in found}) == len(found)
    assert all(first.score >= second.score for first, second in pairwise(found))
    for h in found:
        fed = (0, START, *h.tokens)
        chosen = (*h.tokens, STOP) if h.finished else h.tokens
        logs = [
            logarithms(table, features, fed[n], fed[n + 1])[token] for n, token in enumerate(chosen)
        ]
        assert h.log_probability == pytest.approx(math.fsum(logs), abs=1e-9)
        assert h.score == pytest.approx(score(h.log_probability, len(chosen), normalisation))
        assert h.finished or len(h.tokens) == LENGTH
        assert STOP not in h.tokens
        assert h.outputs["attention"].tolist() == [
            [fed[n], fed[n + 1]] for n in range(len(h.tokens))
        ]
        assert h.outputs["attention"].shape == (len(h.tokens), REGIONS)
        assert h.outputs.keys() == {"attention"}


@settings(deadline=None)
@given(table=TABLES, features=BIASES)
def test_one_beam_is_greedy(table: np.ndarray, features: np.ndarray) -> None:
    (only,) = search(MarkovSession(table), features, width=1)
    assert (only.tokens, only.finished) == greedy(table, features)


def test_one_beam_tells_logits_apart_that_their_probabilities_do_not() -> None:
    table = np.full((V, V, V), -1, np.float32)
    table[..., 1], table[..., 2] = 1e-30, 2e-30
    (only,) = search(MarkovSession(table), width=1)
    assert only.tokens == (2,) * LENGTH


def test_one_beam_on_a_real_file_is_greedy(bundle_folder: Path) -> None:
    session = open_session(bundle_folder, "onnx")
    (only,) = beam_search(
        session, session.initial_state(), contexts={}, start=[3, 1], width=1, length=30, stop=()
    )
    assert list(only.tokens) == greedy_tokens(session, np.array([3, 1], np.int64), 30)
    assert only.outputs == {}
    assert not only.finished


def test_more_beams_find_better_on_a_real_file(bundle_folder: Path) -> None:
    session = open_session(bundle_folder, "onnx")
    options = {"contexts": {}, "start": [3], "length": 20, "stop": (), "normalisation": 0}
    wide = beam_search(session, session.initial_state(), width=8, **options)
    assert len({h.tokens for h in wide}) == 8
    assert (
        wide[0].score > beam_search(session, session.initial_state(), width=1, **options)[0].score
    )
    state, total = session.initial_state(), 0.0
    for fed, token in zip((3, *wide[0].tokens), wide[0].tokens, strict=False):
        outputs, state = session.step({"tokens": np.array([[fed]], np.int64)}, state)
        logits = outputs["logits"][0, -1].astype(np.float64)
        total += logits[token] - np.log(np.exp(logits).sum())
    assert wide[0].log_probability == pytest.approx(total, abs=1e-4)


@settings(deadline=None)
@given(
    table=TABLES,
    width=WIDTHS,
    normalisation=NORMALISATIONS,
    length=st.integers(1, 12),
    push=st.floats(-2, 4, width=32),
)
def test_ending_early_changes_nothing(
    table: np.ndarray, width: int, normalisation: float, length: int, push: float
) -> None:
    table = table.copy()
    table[..., STOP] += push  # likely ends, so that the search can settle
    options = {"width": width, "length": length, "normalisation": normalisation}
    early = search(MarkovSession(table), **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beam._Rules, "settled", lambda self, finished, beams: not beams)
        late = search(MarkovSession(table), **options)
    assert content(early) == content(late)


def test_a_search_ends_when_nothing_better_can_come() -> None:
    table = random_table(1, 0.1)
    table[..., STOP] = 6
    session = MarkovSession(table)
    assert all(h.finished for h in search(session, width=2, length=50))
    assert len(session.batches) < 6


def test_a_long_sequence_can_still_overtake() -> None:
    # After two steps two have ended, at log 0.5 and log 0.3, and the third stands at log 0.2: even
    # one more token, for nothing, would leave it behind both. But all its tokens from here on cost
    # nothing, and 8 of them put it before both.
    table = np.full((V, V, V), -40, np.float32)
    table[:, START, [1, STOP]] = np.log([0.5, 0.5])
    table[:, 1, [1, STOP]] = np.log([0.4, 0.6])
    table[1, 1, [1, STOP]] = 0, -40
    wide = search(MarkovSession(table), width=2, length=8, normalisation=1.5)
    assert [(h.tokens, h.finished) for h in wide] == [((1,) * 8, False), ((), True)]
    assert [h.tokens for h in search(MarkovSession(table), width=2, length=8, normalisation=0)] == [
        (),
        (1,),
    ]


def test_finished_sequences_leave_their_place_to_others() -> None:
    table = np.zeros((V, V, V), np.float32)
    table[:, START, STOP], table[:, 1:, [0, STOP]] = 1, -9
    session = MarkovSession(table)
    found = search(session, width=2, start=[START], suppress=[0], length=4)
    assert session.batches == [
        1,
        1,
        2,
        2,
        2,
    ]  # of the two places at the first token one ends, then both go on
    assert [h.finished for h in found] == [True, False]


@settings(deadline=None)
@given(table=TABLES, features=BIASES, width=WIDTHS)
def test_a_file_of_one_row_finds_the_same(
    table: np.ndarray, features: np.ndarray, width: int
) -> None:
    whole, narrow = MarkovSession(table), MarkovSession(table, batch=1)
    assert content(search(whole, features, width=width)) == content(
        search(narrow, features, width=width)
    )
    assert set(narrow.batches) == {1}
    assert len(narrow.batches) == sum(whole.batches)


def test_the_start_tokens_are_fed_one_by_one() -> None:
    session = MarkovSession(random_table(2))
    found = search(session, start=np.array([2, 1, 0]), width=1, length=1)
    assert session.batches == [1] * 4  # three, and the one that was written
    assert found[0].outputs["attention"][0].tolist() == [1, 0]
    assert content(search(MarkovSession(random_table(2)), start=(1, 0))) == content(
        search(MarkovSession(random_table(2)), start=[2, 1, 0])
    )


def test_equal_sums_go_to_the_lower_id_then_to_the_earlier_beam() -> None:
    found = search(
        MarkovSession(np.zeros((V, V, V), np.float32)), width=3, length=2, stop=(), normalisation=0
    )
    # First 0, 1, 2 are kept; then the lowest id over all of them, from the first beam on.
    assert [h.tokens for h in found] == [(0, 0), (1, 0), (2, 0)]


def test_a_sequence_of_the_longest_length_may_end() -> None:
    table = np.full((V, V, V), -40, np.float32)
    for token, following in ((START, 1), (1, 2), (2, STOP)):
        table[:, token, following] = 0
    (exact,) = search(MarkovSession(table), width=1, length=2)
    assert (exact.tokens, exact.finished) == ((1, 2), True)
    (cut,) = search(MarkovSession(table), width=1, length=1)
    assert (cut.tokens, cut.finished) == ((1,), False)
    assert cut.outputs["attention"].shape == (1, REGIONS)


def test_a_sequence_can_be_empty() -> None:
    table = np.full((V, V, V), -40, np.float32)
    table[..., STOP] = 0
    (only,) = search(MarkovSession(table), width=1)
    assert (only.tokens, only.finished) == ((), True)
    assert only.outputs["attention"].shape == (0, REGIONS)
    assert only.outputs["attention"].dtype == np.float32


def test_suppressed_ids_are_not_written_and_the_others_keep_their_probability() -> None:
    table = random_table(3)
    table[..., 2] = 9  # by far the likeliest
    found = search(MarkovSession(table), suppress=[2], width=EVERYTHING)
    assert not any(2 in h.tokens for h in found)
    expected = {
        tokens: total
        for tokens, total, _ in every_sequence(table, np.zeros((1, 1, V)), {STOP}, {2})
    }
    assert {h.tokens: h.log_probability for h in found} == pytest.approx(expected)
    assert not any(h.finished for h in search(MarkovSession(table), suppress=[2, STOP]))


def test_normalisation_weighs_short_against_long() -> None:
    table = random_table(4)
    lengths = [
        len(search(MarkovSession(table), width=EVERYTHING, normalisation=n)[0].tokens)
        for n in (0, 0.7, 9)
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
    found = search(MarkovSession(table), normalisation=0)
    assert all(h.score == h.log_probability for h in found)
    assert search(MarkovSession(table), normalisation=1e300)[0].score == 0


@pytest.mark.parametrize("rows", [{}, {"batch": 1}], ids=["open", "one row"])
def test_what_was_given_stays_as_it_was(rows: dict[str, int]) -> None:
    session = MarkovSession(random_table(5), **rows)
    state = session.initial_state()
    contexts = {"features": np.ones((1, REGIONS, V), np.float32)}
    for array in (*state.values(), *contexts.values()):
        array.flags.writeable = False
    beam_search(
        session, state, contexts=contexts, start=[START], width=4, length=LENGTH, stop={STOP}
    )
    assert all((array == 0).all() for array in state.values())
    assert (contexts["features"] == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width is 0, expected 1 or more"),
        ({"length": 0}, "length is 0, expected 1 or more"),
        ({"start": []}, "there is no start token"),
        ({"normalisation": -0.1}, "normalisation is -0.1, expected 0 (none) or more, and finite"),
        ({"normalisation": math.inf}, "normalisation is inf"),
        ({"normalisation": math.nan}, "normalisation is nan"),
        ({"suppress": range(V)}, "all 4 ids are suppressed"),
        ({"suppress": [V]}, "a suppressed token has the id 4, expected 0 to 3"),
        ({"stop": [-1]}, "a stop token has the id -1, expected 0 to 3"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    session = MarkovSession(random_table(6))
    with pytest.raises(UsageError, match=re.escape(message)):
        search(session, **options)
    assert session.batches == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("token", [START, 1], ids=["at the start", "later"])
def test_logits_that_are_not_finite_are_refused(value: float, token: int) -> None:
    table = np.zeros((V, V, V), np.float32)
    table[:, token, 2] = value
    with pytest.raises(ContractError, match=f"logits has the value {value}, expected finite"):
        search(MarkovSession(table))


def test_very_large_logits_are_no_trouble() -> None:
    table = np.zeros((V, V, V), np.float32)
    table[..., 1], table[..., 2] = 3e38, -3e38
    assert search(MarkovSession(table))[0].tokens == (1,) * LENGTH


@pytest.mark.parametrize("rows", [{}, {"batch": 1}], ids=["open", "one row"])
def test_what_does_not_fit_the_session_is_refused(rows: dict[str, int]) -> None:
    session = MarkovSession(random_table(7), **rows)
    one, two = ({"features": np.zeros((n, REGIONS, V), np.float32)} for n in (1, 2))
    twice = {name: np.repeat(array, 2, axis=1) for name, array in session.initial_state().items()}
    options = {"start": [START], "width": 2, "length": 2, "stop": ()}
    with pytest.raises(ContractError, match="features has batch = 2"):
        beam_search(session, session.initial_state(), contexts=two, **options)
    with pytest.raises(ContractError, match="input 'features' is missing"):
        beam_search(session, session.initial_state(), contexts={}, **options)
    with pytest.raises(ContractError, match="h has batch = 2"):
        beam_search(session, twice, contexts=one, **options)
