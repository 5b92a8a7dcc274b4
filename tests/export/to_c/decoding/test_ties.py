"""Equal scores in a search in C: the lower id, then the earlier beam, then what was found first, as
the library has it. The step is a table.
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
int net_encode(const net_encode_inputs *inputs, net_encode_outputs *outputs)
{
    outputs->seen[0] = (float)inputs->image[0];
    return 0;
}
int net_step(const net_inputs *inputs, net_state *state, net_outputs *outputs)
{
    state->h[0] += 1.0f;
    for (int i = 0; i < NET_CAPTION_VOCABULARY; ++i) { outputs->logits[i] = inputs->seen[i]; }
    return 0;
}
int probe(const float *table, int32_t width, int32_t *tokens, int32_t *counts)
{
    static net_caption_seen seen;
    static net_caption_beam beams[8];
    static net_caption found[8];
    const net_caption_options options = {width, NET_CAPTION_LENGTH, 0.7};
    int32_t count = 0;
    for (int i = 0; i < NET_CAPTION_VOCABULARY; ++i) { seen.out_seen[i] = table[i]; }
    if (net_caption_search(&seen, &options, beams, found, &count)) { return -1; }
    for (int32_t i = 0; i < count; ++i) {
        counts[i] = 2 * found[i].count + found[i].finished;
        for (int32_t j = 0; j < found[i].count; ++j) {
            tokens[i * NET_CAPTION_LENGTH + j] = (int32_t)found[i].tokens[j];
        }
    }
    return count;
}
"""
Found = list[tuple[tuple[int, ...], bool]]


class TableSession(FilelessSession):
    """Scores that are the context's."""

    runtime = "a table"

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"logits": feeds["seen"][:, None], "h_next": feeds["h"] + 1}


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    made = companions(CONTRACT, DECODING, None, {})
    files = {"step.h": STEP_H.encode(), "encode.h": ENCODE_H.encode(), "table.c": TABLE.encode()}
    return build({**files, **made}, find_compiler())


def in_c(library: ctypes.CDLL, table: np.ndarray, width: int) -> Found:
    tokens, counts = np.zeros((8, LENGTH), np.int32), np.zeros(8, np.int32)
    count = library.probe(
        ctypes.c_void_p(table.ctypes.data),
        width,
        ctypes.c_void_p(tokens.ctypes.data),
        ctypes.c_void_p(counts.ctypes.data),
    )
    assert count >= 1
    return [
        (tuple(tokens[i, : counts[i] // 2].tolist()), bool(counts[i] % 2)) for i in range(count)
    ]


def in_the_library(table: np.ndarray, width: int) -> list[Hypothesis]:
    session = TableSession(FileContract(contract=CONTRACT))
    return beam_search(
        session,
        session.initial_state(),
        contexts={"seen": table[None]},
        start=DECODING.start,
        width=width,
        length=LENGTH,
        stop=DECODING.stop,
        suppress=DECODING.suppress,
    )


@settings(deadline=None, max_examples=200)
@given(
    # two levels, and two tokens: then sums are equal exactly, or far apart
    table=st.lists(st.sampled_from([0.0, -2.0]), min_size=V, max_size=V),
    width=st.integers(1, WIDTH),
)
def test_equal_sums(library: ctypes.CDLL, table: list[float], width: int) -> None:
    given_table = np.array(table, np.float32)
    expected = [(h.tokens, h.finished) for h in in_the_library(given_table, width)]
    assert in_c(library, given_table, width) == expected


def test_scores_that_are_apart_where_their_probabilities_are_not(library: ctypes.CDLL) -> None:
    table = np.array([-1, 1e-30, 2e-30, -1, -1, -1], np.float32)
    assert in_c(library, table, 1) == [((2, 2), False)]
    assert [h.tokens for h in in_the_library(table, 1)] == [(2, 2)]
