"""The published equations of every cell in plain numpy: a new row of the table of cells is one
function here, and one row of ``EQUATIONS``.

Shapes: B batch, I input, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]
States = list[np.ndarray]
# one step: the cell's parameters by name, x [B, I] and the states, each [B, H], to those after it
Equation = Callable[[Weights, np.ndarray, States], States]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def fifth(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def sums(p: Weights, x: np.ndarray, h: np.ndarray, blocks: int) -> list[np.ndarray]:
    """W_ih x + b_ih + W_hh h + b_hh, a gate each."""
    a = x @ p["from_input.weight"].T + p["from_input.bias"]
    return np.split(a + h @ p["from_hidden.weight"].T + p["from_hidden.bias"], blocks, axis=1)


def lstm(p: Weights, x: np.ndarray, state: States) -> States:
    """Gers et al. 2000."""
    i, f, g, o = sums(p, x, state[0], 4)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru(p: Weights, x: np.ndarray, state: States) -> States:
    """Cho et al. 2014, version 1, z with the meaning of torch."""
    x_r, x_z, x_n = np.split(x @ p["from_input.weight"].T + p["from_input.bias"], 3, axis=1)
    own = state[0] @ p["from_hidden.weight"].T + p["from_hidden.bias"]
    h_r, h_z, h_n = np.split(own, 3, axis=1)
    z = sigmoid(x_z + h_z)
    return [(1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * state[0]]


def rnn(p: Weights, x: np.ndarray, state: States) -> States:
    """Elman 1990."""
    return [np.tanh(sums(p, x, state[0], 1)[0])]


def rnn_relu(p: Weights, x: np.ndarray, state: States) -> States:
    """Le et al. 2015."""
    return [relu(sums(p, x, state[0], 1)[0])]


def gru_before(
    p: Weights,
    x: np.ndarray,
    state: States,
    gate: Callable[[np.ndarray], np.ndarray] = sigmoid,
    function: Callable[[np.ndarray], np.ndarray] = np.tanh,
) -> States:
    """Cho et al. 2014, equations 5 to 8, z with the meaning of the paper."""
    (h,) = state
    x_r, x_z, x_n = np.split(x @ p["from_input.weight"].T + p["from_input.bias"], 3, axis=1)
    u_r, u_z = np.split(p["from_hidden.weight"], 2)
    b_r, b_z = np.split(p["from_hidden.bias"], 2)
    r, z = gate(x_r + h @ u_r.T + b_r), gate(x_z + h @ u_z.T + b_z)
    candidate = function(x_n + (r * h) @ p["from_reset.weight"].T + p["from_reset.bias"])
    return [z * h + (1 - z) * candidate]


def gru_before_of_keras_2(p: Weights, x: np.ndarray, state: States) -> States:
    return gru_before(p, x, state, fifth, relu)


def lstm_of_keras_2(p: Weights, x: np.ndarray, state: States) -> States:
    i, f, g, o = sums(p, x, state[0], 4)
    c = fifth(f) * state[1] + fifth(i) * np.tanh(g)
    return [fifth(o) * np.tanh(c), c]


def lstm_peephole(p: Weights, x: np.ndarray, state: States) -> States:
    """Gers & Schmidhuber 2000."""
    h, c = state
    i, f, g, o = sums(p, x, h, 4)
    new = sigmoid(f + p["p_f"] * c) * c + sigmoid(i + p["p_i"] * c) * np.tanh(g)
    return [sigmoid(o + p["p_o"] * new) * np.tanh(new), new]


def lstm_coupled(p: Weights, x: np.ndarray, state: States) -> States:
    """Greff et al. 2017, CIFG, without peepholes."""
    f, g, o = sums(p, x, state[0], 3)
    c = sigmoid(f) * state[1] + (1 - sigmoid(f)) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def lstm_maxout(p: Weights, x: np.ndarray, state: States) -> States:
    """Rennie et al. 2017, equation 5, the picture left out."""
    i, f, o, g, other = sums(p, x, state[0], 5)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.maximum(g, other)
    return [sigmoid(o) * np.tanh(c), c]


def lstm_projected(p: Weights, x: np.ndarray, state: States) -> States:
    """Sak et al. 2014, equations 7 to 13, without peepholes."""
    i, f, g, o = sums(p, x, state[0], 4)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return [(sigmoid(o) * np.tanh(c)) @ p["projection.weight"].T, c]


def normalised(p: Weights, name: str, a: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    centred = a - a.mean(1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(1, keepdims=True) + epsilon)
    return centred / deviation * p[f"{name}.weight"] + p[f"{name}.bias"]


def lstm_normalised(p: Weights, x: np.ndarray, state: States) -> States:
    """Ba et al. 2016, equations 20 to 22 of the supplement."""
    h, c = state
    a = normalised(p, "input_norm", x @ p["from_input.weight"].T)
    a = a + normalised(p, "hidden_norm", h @ p["from_hidden.weight"].T)
    i, f, g, o = np.split(a, 4, axis=1)
    new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(normalised(p, "cell_norm", new)), new]


def gru_normalised(p: Weights, x: np.ndarray, state: States) -> States:
    """Ba et al. 2016, the GRU of the supplement."""
    (h,), width = state, state[0].shape[1]
    from_x, from_h = x @ p["from_input.weight"].T, h @ p["from_hidden.weight"].T
    a = normalised(p, "input_norm", from_x[:, : 2 * width])
    a = a + normalised(p, "hidden_norm", from_h[:, : 2 * width])
    z, r = sigmoid(a[:, :width]), sigmoid(a[:, width:])
    reset = r * normalised(p, "hidden_norm_n", from_h[:, 2 * width :])
    n = np.tanh(normalised(p, "input_norm_n", from_x[:, 2 * width :]) + reset)
    return [(1 - z) * h + z * n]


def rows(p: Weights, name: str, block: int, width: int, x: np.ndarray) -> np.ndarray:
    """W x of one block of rows, without its bias."""
    return x @ p[f"{name}.weight"][block * width : (block + 1) * width].T


def min_gru(p: Weights, x: np.ndarray, state: States) -> States:
    """Feng et al. 2024, section 3.1.3."""
    z, candidate = np.split(x @ p["from_input.weight"].T + p["from_input.bias"], 2, axis=1)
    return [(1 - sigmoid(z)) * state[0] + sigmoid(z) * candidate]


def min_lstm(p: Weights, x: np.ndarray, state: States) -> States:
    """Feng et al. 2024, section 3.2.3."""
    f, i, candidate = np.split(x @ p["from_input.weight"].T + p["from_input.bias"], 3, axis=1)
    f, i = sigmoid(f), sigmoid(i)
    return [f / (f + i) * state[0] + i / (f + i) * candidate]


def mut1(p: Weights, x: np.ndarray, state: States) -> States:
    """Jozefowicz et al. 2015, section 4, where x is as wide as h once it is P x."""
    (h,), width = state, state[0].shape[1]
    b_z, b_r, b_x = np.split(p["from_input.bias"], 3)
    z = sigmoid(rows(p, "from_input", 0, width, x) + b_z)
    r = sigmoid(
        rows(p, "from_input", 1, width, x) + b_r + h @ p["from_hidden.weight"].T
        + p["from_hidden.bias"]
    )  # fmt: skip
    own = np.tanh(rows(p, "from_input", 2, width, x) + b_x)
    new = np.tanh((r * h) @ p["from_reset.weight"].T + own + p["from_reset.bias"])
    return [new * z + h * (1 - z)]


def mut2(p: Weights, x: np.ndarray, state: States) -> States:
    """Jozefowicz et al. 2015, section 4."""
    (h,), width = state, state[0].shape[1]
    (b_z, b_r, b_n), (u_z, u_r) = np.split(p["from_input.bias"], 3), np.split(
        p["from_hidden.bias"], 2
    )  # fmt: skip
    z = sigmoid(
        rows(p, "from_input", 0, width, x) + rows(p, "from_hidden", 0, width, h) + b_z + u_z
    )
    r = sigmoid(
        rows(p, "from_input", 1, width, x) + rows(p, "from_hidden", 1, width, h) + b_r + u_r
    )
    own = rows(p, "from_input", 2, width, x) + b_n
    new = np.tanh((r * h) @ p["from_reset.weight"].T + own + p["from_reset.bias"])
    return [new * z + h * (1 - z)]


def mut3(p: Weights, x: np.ndarray, state: States) -> States:
    """Jozefowicz et al. 2015, section 4."""
    (h,), width = state, state[0].shape[1]
    b_z, b_r, b_n = np.split(p["from_input.bias"], 3)
    z = sigmoid(rows(p, "from_input", 0, width, x) + b_z + np.tanh(h) @ p["from_squashed.weight"].T)
    r = sigmoid(
        rows(p, "from_input", 1, width, x) + b_r + h @ p["from_hidden.weight"].T
        + p["from_hidden.bias"]
    )  # fmt: skip
    own = rows(p, "from_input", 2, width, x) + b_n
    new = np.tanh((r * h) @ p["from_reset.weight"].T + own + p["from_reset.bias"])
    return [new * z + h * (1 - z)]


def nas(p: Weights, x: np.ndarray, state: States) -> States:
    """Zoph & Le 2016, the appendix's cell as a tree, leaves from the left."""
    h, c = state
    xs = np.split(x @ p["from_input.weight"].T + p["from_input.bias"], 8, axis=1)
    hs = np.split(h @ p["from_hidden.weight"].T + p["from_hidden.bias"], 8, axis=1)
    leaves = [
        function(b * a if multiplied else b + a)
        for function, multiplied, a, b in zip(
            (sigmoid, relu, sigmoid, relu, np.tanh, sigmoid, np.tanh, sigmoid),
            (False, False, False, True, False, False, False, False),
            xs,
            hs,
            strict=True,
        )
    ]
    first, second = np.tanh(leaves[0] * leaves[1]), np.tanh(leaves[2] + leaves[3])
    third, fourth = np.tanh(leaves[4] * leaves[5]), sigmoid(leaves[6] + leaves[7])
    new = np.tanh(first + c) * second
    return [np.tanh(new * np.tanh(third + fourth)), new]


EQUATIONS: dict[str, Equation] = {
    "lstm": lstm,
    "gru": gru,
    "rnn": rnn,
    "rnn_relu": rnn_relu,
    "gru_before": gru_before,
    "gru_normalised": gru_normalised,
    "lstm_peephole": lstm_peephole,
    "lstm_coupled": lstm_coupled,
    "lstm_maxout": lstm_maxout,
    "lstm_normalised": lstm_normalised,
    "lstm_projected": lstm_projected,
    "min_gru": min_gru,
    "min_lstm": min_lstm,
    "mut1": mut1,
    "mut2": mut2,
    "mut3": mut3,
    "nas": nas,
}
_OLD = {"activation": "relu", "recurrent_activation": "hard_sigmoid_fifth"}
CASES: dict[str, tuple[str, dict[str, str], Equation]] = {
    **{cell: (cell, {}, equation) for cell, equation in EQUATIONS.items()},
    "gru_of_keras": ("gru_before", _OLD, gru_before_of_keras_2),
    "lstm_of_keras": ("lstm", {"recurrent_activation": "hard_sigmoid_fifth"}, lstm_of_keras_2),
    "lstm_narrowed": ("lstm_projected", {"projection": "3"}, lstm_projected),
}
