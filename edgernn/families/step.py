"""The step graph that edgernn's own models of text share: ids and states to scores and states."""

from __future__ import annotations

from edgernn.contract import BATCH, LAYERS, STEP, TIME, TOKENS, GraphSpec, TensorSpec, next_name

HIDDEN, VOCAB = "hidden", "vocab"
LOGITS = "logits"
_ONE, _TWO = ("h",), ("h", "c")
CELL_STATES = {
    "lstm": _TWO,
    "gru": _ONE,
    "rnn": _ONE,
    "rnn_relu": _ONE,
    "gru_before": _ONE,
    "gru_normalised": _ONE,
    "lstm_peephole": _TWO,
    "lstm_coupled": _TWO,
    "lstm_maxout": _TWO,
    "lstm_normalised": _TWO,
    "lstm_projected": _TWO,
    "min_gru": _ONE,
    "min_lstm": _ONE,
    "mut1": _ONE,
    "mut2": _ONE,
    "mut3": _ONE,
    "nas": _TWO,
}


def text_states(names: tuple[str, ...]) -> tuple[TensorSpec, ...]:
    """Return the states ``[L, B, H]`` of these names."""
    axes = (LAYERS, BATCH, HIDDEN)
    return tuple(TensorSpec(name=name, role="state", dtype="float32", axes=axes) for name in names)


def text_step(
    *,
    contexts: tuple[TensorSpec, ...],
    states: tuple[TensorSpec, ...],
    read: tuple[TensorSpec, ...],
) -> GraphSpec:
    """Return the step: ``tokens [B, T]``, contexts and states to ``logits [B, T, V]``, what else is
    read, and states.
    """
    tokens = TensorSpec(name=TOKENS, role="input", dtype="int64", axes=(BATCH, TIME), below=VOCAB)
    logits = TensorSpec(name=LOGITS, role="output", dtype="float32", axes=(BATCH, TIME, VOCAB))
    after = (state.model_copy(update={"name": next_name(state.name)}) for state in states)
    return GraphSpec(
        name=STEP, inputs=(tokens, *contexts, *states), outputs=(logits, *read, *after)
    )
