"""edgernn's own ONNX artifacts, one row for each precision that the format table offers, through
``Session.step``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from _peer_base import Peer, Stepper, Work

from edgernn import formats
from edgernn.contract import STEP, TOKENS
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.families.step import LOGITS
from edgernn.models.checkpoint import Checkpoint
from edgernn.sessions.base import State
from edgernn.sessions.opening import open_session

_FIRST_CHARACTER = (
    0x4E00  # where Unicode has 20,000 letters in a row: as many tokens as a vocabulary here needs
)
_CHECKED_STEPS = 32
_NEEDS_TEXT = (
    "smallest",
)  # chosen by what a held-out text loses, which random weights have none of


def _prepare(work: Work, precision: str) -> Stepper:
    size = work.model.config.vocabulary
    tokenizer = Tokenizer.build(
        ["".join(chr(_FIRST_CHARACTER + index) for index in range(size))], "char"
    )
    bundle = export_bundle(
        Checkpoint(work.model, tokenizer),
        work.scratch / f"edgernn-{precision}",
        to="onnx",
        precision=precision,
        release=True,
        steps=_CHECKED_STEPS,
    )
    artifact = next(artifact for artifact in bundle.manifest.artifacts if artifact.graph == STEP)
    session = open_session(bundle, artifact.path)

    def step(token: int, state: State) -> tuple[np.ndarray, State]:
        outputs, after = session.step({TOKENS: np.array([[token]], np.int64)}, state)
        return outputs[LOGITS], after

    return Stepper(step, session.initial_state(), artifact.bytes)


def _peer(precision: str) -> Peer:
    prepare: Callable[[Work], Stepper] = partial(_prepare, precision=precision)
    what = f"edgernn, onnx {precision}, Session.step"
    return Peer(
        f"edgernn-{precision}", what, ("onnx", "onnxruntime"), precision == "float32", prepare
    )


PEERS = tuple(
    _peer(precision)
    for precision in formats.by_name("onnx").precisions
    if precision not in _NEEDS_TEXT
)
