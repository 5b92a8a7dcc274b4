"""The recurrent layers of a one-step graph of char-rnn and neuraltalk2, in torch's layout.

    LSTM    all of i, f, o, g at once: x W_i2hᵀ + b_i2h + h W_h2hᵀ + b_h2h
    RNN     h' = tanh(x W_i2hᵀ + b_i2h + h W_h2hᵀ + b_h2h)
    GRU     z, r likewise, a pair of linear layers each; n = tanh(x W_1ᵀ + b_1 + (r ⊙ h) W_2ᵀ + b_2)
            h' = z ⊙ n + (1 - z) ⊙ h

(char-rnn ``model/LSTM.lua``, ``GRU.lua``, ``RNN.lua``.) The graph's inputs are x, then of each
layer c and h, or h alone. torch's z is the other share, and σ(-a) = 1 - σ(a): its rows are negated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.containers.content import Stub
from edgernn.errors import CheckpointError
from edgernn.importers.grammar.blocks import Layer, Matrix, Stack, in_order
from edgernn.importers.torch7.graph import (
    Data,
    is_linear,
    matrix_of,
    module_of,
    nodes_of,
    source_of,
    sums,
    taken,
)

_LUA_ROWS, _TORCH_ROWS = "ifog", "ifgo"


@dataclass(frozen=True, eq=False)
class Step:
    """A one-step graph: its recurrent layers, and the linear layer that gives the scores."""

    stack: Stack
    head: Matrix


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two linear layers whose results are added: of the layer below, and of a state.

    ``state`` is the number of the graph's input that the second is fed; ``gate`` is the node that
    it was multiplied with before, of a GRU's candidate.
    """

    node: Data
    below: Data
    above: Data
    state: int
    gate: Data | None = None


def read_step(module: Stub) -> Step:
    """Return the layers of a one-step graph.

    Raises:
        CheckpointError: it is none of LSTM, GRU and RNN as char-rnn builds them.
    """
    nodes = nodes_of(module)
    pairs = [pair for each in sums(nodes) if (pair := _pair(*each)) is not None]
    used = {id(data) for pair in pairs for data in (pair.below, pair.above)}
    heads = [data for data in nodes if is_linear(data) and id(data) not in used]
    if not pairs or len(heads) != 1:
        raise CheckpointError(
            f"its graph has {len(pairs)} sums of a state and an input and {len(heads)} linear "
            "layers beside, expected those of an LSTM, GRU or RNN and one that gives the scores"
        )
    states = sorted({pair.state for pair in pairs})
    layers = [_layer([p for p in pairs if p.state == s], n) for n, s in enumerate(states)]
    return Step(Stack("rnn", tuple(layers)), _linear(heads[0], "decoder"))


def _pair(node: Data, one: Data, other: Data) -> _Pair | None:
    for below, above in ((one, other), (other, one)):
        source = source_of(above)
        if isinstance(source, int) and source > 1:
            return _Pair(node, below, above, source)
        if isinstance(source, int):
            continue
        module = module_of(source)
        if module is not None and module.name == "nn.CMulTable":  # r ⊙ h
            gates = [each for each in taken(source) if _is(each, "nn.Sigmoid")]
            states = [_number(each) for each in taken(source) if not _is(each, "nn.Sigmoid")]
            if len(gates) == 1 and states and states[0] > 1:
                return _Pair(node, below, above, states[0], gates[0])
    return None


def _is(data: Data, name: str) -> bool:
    module = module_of(data)
    return module is not None and module.name == name


def _number(data: Data) -> int:
    """Return the number of the graph's input that a node gives on, 0 where it computes."""
    source = source_of(data)
    return source if isinstance(source, int) else 0


def _layer(pairs: Sequence[_Pair], number: int) -> Layer:
    """Return the layer that ``pairs``, those of one state, are the gates of."""
    name = f"rnn.{number}"
    if len(pairs) == 1:
        below, above = (
            _linear(pairs[0].below, f"{name}.i2h"),
            _linear(pairs[0].above, f"{name}.h2h"),
        )
        gates = above.rows // above.columns if above.columns else 0
        if gates == 1:
            return Layer(name, "rnn", below.weight, above.weight, below.bias, above.bias)
        if gates == 4:
            arrays = [below.weight, above.weight, below.bias, above.bias]
            turned = [None if a is None else in_order(a, _LUA_ROWS, _TORCH_ROWS) for a in arrays]
            assert turned[0] is not None and turned[1] is not None
            return Layer(name, "lstm", turned[0], turned[1], turned[2], turned[3])
    candidates = [pair for pair in pairs if pair.gate is not None]
    if len(pairs) == 3 and len(candidates) == 1:
        return _gru(name, pairs, candidates[0])
    raise CheckpointError(
        f"layer {number} of its graph has {len(pairs)} sums of its state, expected one of an LSTM "
        "or RNN or the three of a GRU"
    )


def _gru(name: str, pairs: Sequence[_Pair], candidate: _Pair) -> Layer:
    assert candidate.gate is not None
    (reset_sum,) = taken(candidate.gate)[:1]
    resets = [pair for pair in pairs if pair.node is reset_sum]
    updates = [pair for pair in pairs if pair is not candidate and pair.node is not reset_sum]
    if len(resets) != 1 or len(updates) != 1:
        raise CheckpointError(f"{name} of its graph is no GRU as char-rnn builds it")
    parts = [(resets[0], 1.0), (updates[0], -1.0), (candidate, 1.0)]
    below = [_signed(_linear(pair.below, name), sign) for pair, sign in parts]
    above = [_signed(_linear(pair.above, name), sign) for pair, sign in parts]
    return Layer(
        name,
        "gru_before",
        np.concatenate([weight for weight, _ in below]),
        np.concatenate([weight for weight, _ in above[:2]]),
        np.concatenate([bias for _, bias in below]),
        np.concatenate([bias for _, bias in above[:2]]),
        others={"from_reset.weight": above[2][0], "from_reset.bias": above[2][1]},
    )


def _signed(matrix: Matrix, sign: float) -> tuple[np.ndarray, np.ndarray]:
    bias = np.zeros(matrix.rows, matrix.weight.dtype) if matrix.bias is None else matrix.bias
    return matrix.weight * matrix.weight.dtype.type(sign), bias * bias.dtype.type(sign)


def _linear(data: Data, name: str) -> Matrix:
    module = module_of(data)
    assert module is not None
    return matrix_of(module, name)
