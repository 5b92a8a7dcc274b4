"""Core ML's recurrent operators ``lstm``, ``gru`` and ``rnn``, in numpy.

Weights, gate orders and options are those of coremltools' ``mil/ops/defs/iOS15/recurrent.py``.
Where that text leaves a choice or contradicts itself, the numpy predictions are followed with which
coremltools' own tests compare Core ML (``mil/ops/tests/iOS14/test_recurrent.py``): ``reverse``
returns its outputs in the order of processing; ``clip`` bounds the new cell state; the output
gate's peephole looks at the new cell state; a GRU applies its reset gate BEFORE the hidden product.

Shapes: T time, B batch, I input, H hidden. A step here is not rounded: the operator computes in the
dtype it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edgernn.sessions.mil.arithmetic import sigmoid

Array = np.ndarray
Function = Callable[[Array], Array]

ACTIVATIONS: dict[str, Function] = {
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "scaled_tanh": np.tanh,  # with its default scales of 1, the only ones that the operators offer
    "sigmoid": sigmoid,
    "sigmoid_hard": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "tanh": np.tanh,
}


class Weights(NamedTuple):
    """One direction of one layer: ``w_ih [gH, I]``, ``w_hh [gH, H]``, ``bias [gH]`` and an LSTM's
    ``peephole [3H]``.
    """

    w_ih: Array
    w_hh: Array
    bias: Array | float
    peephole: Array | None = None


class LstmFunctions(NamedTuple):
    """What an LSTM applies to its gates, to its candidate and to its cell state, and the bound of
    the latter.
    """

    gate: Function
    candidate: Function
    output: Function
    clip: Array | None


def lstm(
    x: Array,
    initial_h: Array,
    initial_c: Array,
    weight_ih: Array,
    weight_hh: Array,
    direction: str,
    output_sequence: Array,
    recurrent_activation: str,
    cell_activation: str,
    activation: str,
    bias: Array | None = None,
    peephole: Array | None = None,
    clip: Array | None = None,
    **back: Array,
) -> tuple[Array, Array, Array]:
    """Run an LSTM over ``x [T, B, I]``; the gates stand in the order i, f, o, g, the peepholes i,
    f, o.

    Args:
        initial_h, initial_c: ``[B, H]``, or ``[B, 2H]`` with the backward half second where
            ``direction`` is bidirectional.
        back: ``weight_ih_back``, ``weight_hh_back``, ``bias_back``, ``peephole_back`` of the
            backward direction.

    Returns:
        Outputs ``[T, B, H]`` (``[1, B, H]``, the last alone, without ``output_sequence``), and the
        final ``h`` and ``c``. Of a bidirectional operator the halves stand side by side, the
        backward outputs in the order of time.
    """
    functions = LstmFunctions(
        ACTIVATIONS[recurrent_activation],
        ACTIVATIONS[cell_activation],
        ACTIVATIONS[activation],
        clip,
    )
    forward = Weights(weight_ih, weight_hh, 0.0 if bias is None else bias, peephole)
    if direction != "bidirectional":
        y, h, c = _run_lstm(
            x[::-1] if direction == "reverse" else x, initial_h, initial_c, forward, functions
        )
        return y if output_sequence else h[None], h, c
    backward = Weights(
        back["weight_ih_back"],
        back["weight_hh_back"],
        back.get("bias_back", 0.0),
        back.get("peephole_back"),
    )
    (h_first, h_second), (c_first, c_second) = (
        np.split(initial_h, 2, -1),
        np.split(initial_c, 2, -1),
    )
    y_first, h_first, c_first = _run_lstm(x, h_first, c_first, forward, functions)
    y_second, h_second, c_second = _run_lstm(x[::-1], h_second, c_second, backward, functions)
    h, c = np.concatenate([h_first, h_second], -1), np.concatenate([c_first, c_second], -1)
    return np.concatenate([y_first, y_second[::-1]], -1) if output_sequence else h[None], h, c


def _run_lstm(
    x: Array, h: Array, c: Array, weights: Weights, functions: LstmFunctions
) -> tuple[Array, Array, Array]:
    r"""Run one direction::

    i = σ(x_i + h_i + p_i ⊙ c)    f = σ(x_f + h_f + p_f ⊙ c)    g = φ(x_g + h_g)
    c' = clip(f ⊙ c + i ⊙ g)      o = σ(x_o + h_o + p_o ⊙ c')   h' = o ⊙ ψ(c')
    """
    p_i, p_f, p_o = (0.0, 0.0, 0.0) if weights.peephole is None else np.split(weights.peephole, 3)
    outputs = []
    for from_input in x @ weights.w_ih.T + weights.bias:  # [B, 4H]
        i, f, o, g = np.split(from_input + h @ weights.w_hh.T, 4, -1)  # each [B, H]
        c = functions.gate(f + p_f * c) * c + functions.gate(i + p_i * c) * functions.candidate(g)
        c = c if functions.clip is None else np.clip(c, -functions.clip, functions.clip)
        h = functions.gate(o + p_o * c) * functions.output(c)
        outputs.append(h)
    return np.stack(outputs), h, c


def gru(
    x: Array,
    initial_h: Array,
    weight_ih: Array,
    weight_hh: Array,
    direction: str,
    output_sequence: Array,
    recurrent_activation: str,
    activation: str,
    bias: Array | None = None,
    input_bias: Array | None = None,
    reset_after: Array | None = None,
) -> tuple[Array, Array]:
    r"""Run a GRU over ``x [T, B, I]`` from ``initial_h [B, H]``; the rows stand in the order r, o,
    z::

        r = σ(x_r + h_r)    z = σ(x_z + h_z)    h' = (1 - z) ⊙ o + z ⊙ h
        o = φ(x_o + W_ho (r ⊙ h) + b)
        or, with reset_after,   o = φ(x_o + r ⊙ (W_ho h + b))

    ``bias`` belongs to the hidden product, ``input_bias`` (iOS 18) to the input's; together they
    matter for ``reset_after``, which then is what torch computes.

    Returns:
        Outputs ``[T, B, H]`` (``[1, B, H]`` without ``output_sequence``) and the final ``h [B,
        H]``.
    """
    gate, candidate = ACTIVATIONS[recurrent_activation], ACTIVATIONS[activation]
    to_reset, to_candidate, to_update = np.split(weight_hh, 3)
    b_r, b_o, b_z = (0.0, 0.0, 0.0) if bias is None else np.split(bias, 3)
    h, outputs = initial_h, []
    for row in _in_order(x, direction) @ weight_ih.T + (
        0.0 if input_bias is None else input_bias
    ):  # [B, 3H]
        x_r, x_o, x_z = np.split(row, 3, -1)
        r, z = gate(x_r + h @ to_reset.T + b_r), gate(x_z + h @ to_update.T + b_z)
        o = candidate(
            x_o
            + (r * (h @ to_candidate.T + b_o) if reset_after else (r * h) @ to_candidate.T + b_o)
        )
        h = (1 - z) * o + z * h  # [B, H]
        outputs.append(h)
    return np.stack(outputs) if output_sequence else h[None], h


def rnn(
    x: Array,
    initial_h: Array,
    weight_ih: Array,
    weight_hh: Array,
    direction: str,
    output_sequence: Array,
    activation: str,
    bias: Array | None = None,
) -> tuple[Array, Array]:
    """Run ``h' = φ(W_ih x + W_hh h + b)`` over ``x [T, B, I]`` from ``initial_h [B, H]``; returns
    as ``gru``.
    """
    function, h, outputs = ACTIVATIONS[activation], initial_h, []
    for row in _in_order(x, direction) @ weight_ih.T + (0.0 if bias is None else bias):  # [B, H]
        h = function(row + h @ weight_hh.T)
        outputs.append(h)
    return np.stack(outputs) if output_sequence else h[None], h


def _in_order(x: Array, direction: str) -> Array:
    return x[::-1] if direction == "reverse" else x


RECURRENT: dict[str, Callable[..., Any]] = {"gru": gru, "lstm": lstm, "rnn": rnn}
