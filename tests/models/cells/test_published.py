"""Cells for which torch has no layer, and options of others, against their published equations in
plain float64 numpy over chained runs of 64 steps: the cell, and its files in every format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.bundle import Bundle
from edgernn.contract import Contract, GraphSpec, TensorSpec
from edgernn.export import export_step
from edgernn.models.cells.table import CELLS, FUSED
from edgernn.models.compact import CompactStack, is_compact
from edgernn.models.recurrent import CellStack, RecurrentStack, make_stack, state_widths
from edgernn.sessions.mil.session import MilSession
from edgernn.sessions.opening import open_artifact

WIDTH, HIDDEN, LAYERS, ROWS, STEPS = 6, 8, 2, 2, 64
Weights = Mapping[str, np.ndarray]
States = list[np.ndarray]
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
FRAMES = np.random.default_rng(1).normal(size=(1, STEPS, WIDTH))  # [B, T, I]


def run(
    layers: list[Weights], equation: Equation, xs: np.ndarray, start: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The layers one above the other over ``xs [B, T, I]`` from ``start``, each ``[L, B, ·]``."""
    state = [[tensor[index] for tensor in start] for index in range(len(layers))]
    made = []
    for t in range(xs.shape[1]):
        x = xs[:, t]
        for index, p in enumerate(layers):
            state[index] = equation(p, x, state[index])
            x = state[index][0]
        made.append(x)
    return np.stack(made, 1), [np.stack(tensors) for tensors in zip(*state, strict=True)]


def numbers(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().double().numpy() for name, tensor in module.named_parameters()}


def stack_of(cell: str, options: dict[str, str]) -> CellStack | RecurrentStack:
    """Two layers, whose every number is its own."""
    torch.manual_seed(2)
    stack = make_stack(cell, WIDTH, hidden=HIDDEN, layers=LAYERS, options=options)
    for parameter in stack.requires_grad_(False).parameters():
        parameter.mul_(0.8).add_(0.1 * torch.randn_like(parameter))
    return stack.eval()


def test_every_cell_that_torch_lacks_has_its_equations_here() -> None:
    assert EQUATIONS.keys() == CELLS.keys() - FUSED.keys() - {"peephole"}


@pytest.mark.parametrize("name", CASES)
def test_the_cell_is_its_equations(name: str) -> None:
    cell, options, equation = CASES[name]
    stack = stack_of(cell, options).double()
    random = np.random.default_rng(1)
    xs = random.normal(size=(ROWS, STEPS, WIDTH))
    widths = state_widths(cell, HIDDEN, options).values()
    start = [random.uniform(-0.5, 0.5, (LAYERS, ROWS, width)) for width in widths]
    wanted, last = run([numbers(made) for made in stack.cells()], equation, xs, start)
    y, after = stack(torch.from_numpy(xs), tuple(map(torch.from_numpy, start)))
    np.testing.assert_allclose(y.numpy(), wanted, rtol=0, atol=1e-11)
    for found, value in zip(after, last, strict=True):
        np.testing.assert_allclose(found.numpy(), value, rtol=0, atol=1e-11)


class SideBySide(nn.Module):
    """Stacks as one step that takes a frame: what each makes of it, and its states; in the step
    face that a model of edgernn is written in.
    """

    def __init__(self, stacks: Mapping[str, CellStack | RecurrentStack]) -> None:
        super().__init__()
        each = [stack.cells() for stack in stacks.values()]
        self.counts = [len(cells[0].states) for cells in each]
        self.stacks = nn.ModuleList(
            CompactStack(cells) if is_compact(cells) else CellStack(cells) for cells in each
        )

    def forward(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        made, after, at = [], [], 0
        for stack, count in zip(self.stacks, self.counts, strict=True):
            y, following = stack(frame, state[at : at + count])
            made, after, at = [*made, y], [*after, *following], at + count
        return (*made, *after)


def frames_contract(widths: Mapping[str, Mapping[str, int]]) -> Contract:
    """Of stacks by name, each with the widths of its states by name."""

    def tensor(name: str, role: str, *axes: str) -> TensorSpec:
        return TensorSpec(name=name, role=role, dtype="float32", axes=axes)

    def states(end: str) -> list[TensorSpec]:
        return [tensor(n + end, "state", "layers", "batch", f"{n}_width") for n in sizes]

    sizes = {f"{cell}_{name}": w for cell, own in widths.items() for name, w in own.items()}
    read = (tensor(cell, "output", "batch", "time", f"{cell}_h_width") for cell in widths)
    inputs = (tensor("frame", "input", "batch", "time", "width"), *states(""))
    step = GraphSpec(name="step", inputs=inputs, outputs=(*read, *states("_next")))
    axes = {f"{name}_width": width for name, width in sizes.items()}
    return Contract(graphs=(step,), sizes={"time": 1, "width": WIDTH, "layers": LAYERS, **axes})


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    """Every case in one file of each format, that of ONNX in integers, too."""
    cases = {name: (cell, options) for name, (cell, options, _) in CASES.items()}
    step = SideBySide({name: stack_of(*case) for name, case in cases.items()})
    contract = frames_contract({n: state_widths(c, HIDDEN, o) for n, (c, o) in cases.items()})
    folder = tmp_path_factory.mktemp("cells")
    return [
        export_step(step, contract, folder / to[0], to=to, precision=precision, steps=STEPS)
        for to, precision in (
            (["onnx", "torchscript"], ["float32", "int8"]),
            (["coreml"], ["float32"]),
        )
    ]


def test_its_files_pass_every_check(bundles: list[Bundle]) -> None:
    report = verify_bundle(bundles[0].folder, steps=STEPS)
    assert report.passed, [c for a in report.artifacts for c in a.checks if c.status == "failed"]
    assert [(a.format, a.precision) for bundle in bundles for a in bundle.manifest.artifacts] == [
        ("onnx", "float32"), ("onnx", "int8"), ("torchscript", "float32"), ("coreml", "float32"),
    ]  # fmt: skip


Made = dict[str, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def chained(bundles: list[Bundle]) -> Made:
    """What each step file makes of the frames, one call a frame: outputs, and last states."""
    made: Made = {}
    for bundle, artifact in ((b, a) for b in bundles for a in b.manifest.artifacts):
        kind = MilSession if artifact.format == "coreml" else None
        session, outputs = open_artifact(bundle, artifact, kind), []
        state = session.initial_state(1)
        for t in range(STEPS):
            given = {"frame": FRAMES[:, t : t + 1].astype(np.float32)}
            read, state = session.step(given, state)
            outputs.append(read)
        joined = {name: np.concatenate([o[name] for o in outputs], 1) for name in outputs[0]}
        made[artifact.path] = {**joined, **state}
    return made


@pytest.mark.parametrize("name", CASES)
def test_its_files_are_its_equations(name: str, chained: Made) -> None:
    cell, options, equation = CASES[name]
    widths = state_widths(cell, HIDDEN, options)
    zeros = [np.zeros((LAYERS, 1, width)) for width in widths.values()]
    cells = stack_of(cell, options).cells()
    wanted, last = run([numbers(made) for made in cells], equation, FRAMES, zeros)
    expected = {name: wanted, **{f"{name}_{s}": v for s, v in zip(widths, last, strict=True)}}
    for path, made in chained.items():
        for tensor, value in expected.items():
            # integers round the weights, and a chained run carries what that changes
            near = 0.06 * np.abs(value).max() if "int8" in path else 2e-5
            np.testing.assert_allclose(made[tensor], value, rtol=0, atol=near, err_msg=path)
