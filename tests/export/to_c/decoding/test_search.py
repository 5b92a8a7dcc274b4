"""A search in C over a step that is a table: equal scores, lengths, stops and starts, as the
library has them.
"""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.contract import Contract, Decoding, FileContract, GraphSpec, TensorSpec
from edgernn.decoding.beam import Hypothesis, beam_search
from edgernn.export.to_c.decoding.companions import companions
from edgernn.sessions.compiler import build, find_compiler
from edgernn.sessions.fileless import FilelessSession

V, WIDTH, LENGTH = 6, 7, 2
MOST = 12  # tokens of a caption
STATE = TensorSpec(name="h", role="state", dtype="float32", axes=("batch", "hidden"))
SEEN = TensorSpec(name="seen", role="context", dtype="float32", axes=("batch", "vocab"))
IDS = TensorSpec(name="tokens", role="input", dtype="int64", axes=("batch", "time"), below="vocab")
IMAGE = TensorSpec(name="image", role="input", dtype="uint8", axes=("batch", "height"))
LOGITS = TensorSpec(name="logits", role="output", dtype="float32", axes=("batch", "time", "vocab"))
CONTRACT = Contract(
    graphs=(
        GraphSpec(name="encode", inputs=(IMAGE,), outputs=(SEEN,)),
        GraphSpec(
            name="step",
            inputs=(IDS, SEEN, STATE),
            outputs=(LOGITS, STATE.model_copy(update={"name": "h_next"})),
        ),
    ),
    sizes={"time": 1, "hidden": 1, "vocab": V, "height": 1},
)
DECODING = Decoding(start=(0,), stop=(3,), suppress=(5,), length=LENGTH)
STEP_H = """
#include <stdint.h>
typedef struct { const int64_t *tokens; const float *seen; } net_inputs;
typedef struct { float h[1]; } net_state;
typedef struct { float *logits; } net_outputs;
int net_step(const net_inputs *inputs, net_state *state, net_outputs *outputs);
"""
ENCODE_H = """
enum { NET_ENCODE_NULL = 1 };
typedef struct { const uint8_t *image; } net_encode_inputs;
typedef struct { float *seen; } net_encode_outputs;
int net_encode(const net_encode_inputs *inputs, net_encode_outputs *outputs);
"""
TABLE = """
#include "captions.h"
static float after[NET_CAPTION_VOCABULARY][NET_CAPTION_VOCABULARY];
int net_encode(const net_encode_inputs *inputs, net_encode_outputs *outputs)
{
    outputs->seen[0] = (float)inputs->image[0];
    return 0;
}
int net_step(const net_inputs *inputs, net_state *state, net_outputs *outputs)
{
    state->h[0] += 1.0f;
    for (int i = 0; i < NET_CAPTION_VOCABULARY; ++i) {
        outputs->logits[i] = inputs->seen[i] + after[inputs->tokens[0]][i];
    }
    return 0;
}
/* Rows of 12 tokens; of twice the count with whether it is finished, log-probability, score. */
int probe(const float *table, const float *markov, int32_t width, double normalisation,
          int32_t *tokens, double *numbers)
{
    static net_caption_seen seen;
    static net_caption_beam beams[8];
    static net_caption found[8];
    const net_caption_options options = {width, NET_CAPTION_LENGTH, normalisation};
    int32_t count = 0;
    for (int i = 0; i < NET_CAPTION_VOCABULARY; ++i) {
        seen.out_seen[i] = table[i];
        for (int j = 0; j < NET_CAPTION_VOCABULARY; ++j) {
            after[i][j] = markov[i * NET_CAPTION_VOCABULARY + j];
        }
    }
    if (net_caption_search(&seen, &options, beams, found, &count)) { return -1; }
    for (int32_t i = 0; i < count; ++i) {
        numbers[3 * i] = 2 * found[i].count + found[i].finished;
        numbers[3 * i + 1] = found[i].log_probability;
        numbers[3 * i + 2] = found[i].score;
        for (int32_t j = 0; j < found[i].count; ++j) {
            tokens[i * 12 + j] = (int32_t)found[i].tokens[j];
        }
    }
    return count;
}
"""
Found = list[tuple[tuple[int, ...], bool]]
NOTHING = np.zeros((V, V), np.float32)


class TableSession(FilelessSession):
    """Scores that are the context's, and those behind the token before."""

    runtime = "a table"

    def __init__(self, after: np.ndarray) -> None:
        super().__init__(FileContract(contract=CONTRACT))
        self._after = after

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        logits = feeds["seen"][:, None] + self._after[feeds["tokens"]]
        return {"logits": logits, "h_next": feeds["h"] + 1}


def library_of(decoding: Decoding) -> ctypes.CDLL:
    made = companions(CONTRACT, decoding, None, {})
    files = {"step.h": STEP_H.encode(), "encode.h": ENCODE_H.encode(), "table.c": TABLE.encode()}
    return build({**files, **made}, find_compiler())


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return library_of(DECODING)


def in_c(
    library: ctypes.CDLL,
    table: np.ndarray,
    width: int,
    after: np.ndarray = NOTHING,
    normalisation: float = 0.7,
) -> tuple[Found, np.ndarray]:
    """What is found, and its log-probabilities and scores."""
    tokens, numbers = np.zeros((8, MOST), np.int32), np.zeros((8, 3))
    count = library.probe(
        ctypes.c_void_p(table.ctypes.data),
        ctypes.c_void_p(after.ctypes.data),
        width,
        ctypes.c_double(normalisation),
        ctypes.c_void_p(tokens.ctypes.data),
        ctypes.c_void_p(numbers.ctypes.data),
    )
    assert count >= 1
    counts = numbers[:count, 0].astype(int)
    found = [
        (tuple(row[: both // 2].tolist()), bool(both % 2))
        for row, both in zip(tokens[:count], counts, strict=True)
    ]
    return found, numbers[:count, 1:]


def in_the_library(
    decoding: Decoding,
    table: np.ndarray,
    width: int,
    after: np.ndarray = NOTHING,
    normalisation: float = 0.7,
) -> list[Hypothesis]:
    session = TableSession(after)
    return beam_search(
        session,
        session.initial_state(),
        contexts={"seen": table[None]},
        start=decoding.start,
        width=width,
        length=decoding.length,
        stop=decoding.stop,
        suppress=decoding.suppress,
        normalisation=normalisation,
    )


@settings(deadline=None, max_examples=200)
@given(
    # two levels, and two tokens: then sums are equal exactly, or far apart
    table=st.lists(st.sampled_from([0.0, -2.0]), min_size=V, max_size=V),
    width=st.integers(1, WIDTH),
)
def test_equal_sums(library: ctypes.CDLL, table: list[float], width: int) -> None:
    scores = np.array(table, np.float32)
    expected = [(h.tokens, h.finished) for h in in_the_library(DECODING, scores, width)]
    assert in_c(library, scores, width)[0] == expected


def test_scores_that_are_apart_where_their_probabilities_are_not(library: ctypes.CDLL) -> None:
    table = np.array([-1, 1e-30, 2e-30, -1, -1, -1], np.float32)
    assert in_c(library, table, 1)[0] == [((2, 2), False)]
    assert [h.tokens for h in in_the_library(DECODING, table, 1)] == [(2, 2)]


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(start=(0,), stop=(3,), length=1),
        Decoding(start=(0,), stop=(3,), length=4),
        Decoding(start=(1, 2, 0), stop=(), suppress=(0,), length=MOST),
        Decoding(start=(0,), stop=(3, 4), suppress=(5, 1), length=MOST),
        Decoding(start=(0,), stop=(3,), suppress=(0, 1, 2, 3, 4), length=3),
    ],
)
def test_lengths_stops_and_starts(decoding: Decoding) -> None:
    library, random = library_of(decoding), np.random.default_rng(decoding.length)
    found = set()
    for normalisation in (0.0, 0.7, 2.5):
        for width in (1, 2, 3, WIDTH):
            table = random.normal(0, 1, V).astype(np.float32)
            after = random.normal(0, 2, (V, V)).astype(np.float32)
            own, numbers = in_c(library, table, width, after, normalisation)
            expected = in_the_library(decoding, table, width, after, normalisation)
            assert own == [(h.tokens, h.finished) for h in expected]
            wanted = [(h.log_probability, h.score) for h in expected]
            np.testing.assert_allclose(numbers, wanted, rtol=1e-13)
            found |= set(own)
    assert len(found) > 3 or len(decoding.suppress) == V - 1
