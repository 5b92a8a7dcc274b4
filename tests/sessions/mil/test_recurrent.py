"""Core ML's recurrent operators, saved and run from disk: against torch, and against formulas
written out here.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mil_programs import ct, mb, save, types
from torch import Tensor, nn

from edgernn.errors import ContractError
from edgernn.sessions.mil.session import read_program

STEPS, ROWS, INPUT, HIDDEN = 5, 2, 3, 4
ORDER = {
    "lstm": [0, 1, 3, 2],
    "gru": [0, 2, 1],
    "rnn": [0],
}  # torch's gates i f g o and r z n in Core ML's order
RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(STEPS, ROWS, INPUT)).astype(np.float32)
H, C = (RANDOM.normal(size=(ROWS, HIDDEN)).astype(np.float32) for _ in range(2))
HH, CC = (RANDOM.normal(size=(ROWS, 2 * HIDDEN)).astype(np.float32) for _ in range(2))


def run(
    path: Path, build: Any, *arrays: np.ndarray, target: Any = ct.target.iOS18
) -> list[np.ndarray]:
    """Save the program that ``build`` makes of variables like ``arrays``, read it back and run
    it.
    """
    kind = types.fp16 if arrays[0].dtype == np.float16 else types.fp32
    program = mb.program(
        [mb.TensorSpec(array.shape, kind) for array in arrays], opset_version=target
    )(build)
    save(program, path, target=target)
    found = read_program(path)
    return list(found.run(dict(zip(found.inputs, arrays, strict=True)), {})[0].values())


def in_order(cell: str, tensor: Tensor) -> np.ndarray:
    """Return torch's stacked gates in Core ML's order."""
    blocks = tensor.detach().chunk(len(ORDER[cell]))
    return torch.cat([blocks[at] for at in ORDER[cell]]).numpy()


def weights(cell: str, layer: nn.RNNBase, direction: int = 0) -> dict[str, np.ndarray]:
    w_ih, w_hh, b_ih, b_hh = (in_order(cell, tensor) for tensor in layer.all_weights[direction])
    return {"weight_ih": w_ih, "weight_hh": w_hh, "bias": b_ih + b_hh}


def seeded(layer: type[nn.RNNBase], **options: Any) -> nn.RNNBase:
    torch.manual_seed(3)
    return layer(INPUT, HIDDEN, **options)


def torchs(layer: nn.RNNBase, x: np.ndarray, *states: np.ndarray) -> list[np.ndarray]:
    """Run torch's layer from states ``[B, DH]``; return outputs and states in the same shapes."""
    given = [
        torch.tensor(np.stack(np.split(state, state.shape[1] // HIDDEN, 1))) for state in states
    ]
    with torch.no_grad():
        y, after = layer(torch.tensor(x.copy()), tuple(given) if len(given) > 1 else given[0])
    return [
        y.numpy(),
        *(
            torch.cat(list(s), -1).numpy()
            for s in (after if isinstance(after, tuple) else (after,))
        ),
    ]


def assert_close(
    found: list[np.ndarray], expected: list[np.ndarray], tolerance: float = 2e-6
) -> None:
    assert [array.shape for array in found] == [array.shape for array in expected]
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance, rtol=0)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("sequence", [True, False])
def test_lstm(tmp_path: Path, direction: str, sequence: bool) -> None:
    layer = seeded(nn.LSTM)
    options = {**weights("lstm", layer), "direction": direction, "output_sequence": sequence}
    found = run(
        tmp_path / "p.mlpackage",
        lambda x, h, c: mb.lstm(x=x, initial_h=h, initial_c=c, **options),
        X,
        H,
        C,
    )
    y, h, c = torchs(layer, X[::-1] if direction == "reverse" else X, H, C)
    assert_close(found, [y if sequence else y[-1:], h, c])


@pytest.mark.parametrize("sequence", [True, False])
def test_bidirectional_lstm(tmp_path: Path, sequence: bool) -> None:
    layer = seeded(nn.LSTM, bidirectional=True)
    back = {f"{name}_back": array for name, array in weights("lstm", layer, 1).items()}
    options = {
        **weights("lstm", layer),
        **back,
        "direction": "bidirectional",
        "output_sequence": sequence,
    }
    found = run(
        tmp_path / "p.mlpackage",
        lambda x, h, c: mb.lstm(x=x, initial_h=h, initial_c=c, **options),
        X,
        HH,
        CC,
    )
    y, h, c = torchs(layer, X, HH, CC)
    assert_close(found, [y if sequence else h[None], h, c])


def sigma(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_lstm_with_peepholes_a_bound_and_other_activations(tmp_path: Path) -> None:
    own = weights("lstm", seeded(nn.LSTM))
    p_i, p_f, p_o = peephole = RANDOM.normal(size=(3, HIDDEN)).astype(np.float32)
    options = {
        "recurrent_activation": "hard_sigmoid",
        "cell_activation": "relu",
        "activation": "linear",
    }
    own |= {"peephole": peephole.reshape(-1), "clip": np.float32(0.5), "output_sequence": True}
    found = run(
        tmp_path / "p.mlpackage",
        lambda x, h, c: mb.lstm(x=x, initial_h=h, initial_c=c, **own, **options),
        X,
        H,
        C,
    )
    h, c, outputs = H, C, []
    for x in X:
        i, f, o, g = np.split(x @ own["weight_ih"].T + h @ own["weight_hh"].T + own["bias"], 4, 1)
        gate = lambda z: np.clip(0.2 * z + 0.5, 0, 1)  # noqa: E731  the formula's own notation
        c = np.clip(gate(f + p_f * c) * c + gate(i + p_i * c) * np.maximum(g, 0), -0.5, 0.5)
        h = gate(o + p_o * c) * c
        outputs.append(h)
    assert_close(found, [np.stack(outputs), h, c])
    assert (np.abs(c) == 0.5).any()  # the bound was reached


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("sequence", [True, False])
def test_gru_resets_before_the_hidden_product(
    tmp_path: Path, direction: str, sequence: bool
) -> None:
    own = weights("gru", seeded(nn.GRU))
    options = {**own, "direction": direction, "output_sequence": sequence}
    found = run(tmp_path / "p.mlpackage", lambda x, h: mb.gru(x=x, initial_h=h, **options), X, H)
    (w_r, w_o, w_z), (u_r, u_o, u_z), (b_r, b_o, b_z) = (
        np.split(own[n], 3) for n in ("weight_ih", "weight_hh", "bias")
    )
    h, outputs = H, []
    for x in X[::-1] if direction == "reverse" else X:
        r, z = sigma(x @ w_r.T + h @ u_r.T + b_r), sigma(x @ w_z.T + h @ u_z.T + b_z)
        h = (1 - z) * np.tanh(x @ w_o.T + (r * h) @ u_o.T + b_o) + z * h
        outputs.append(h)
    assert_close(found, [np.stack(outputs if sequence else outputs[-1:]), h])


def test_gru_with_reset_after_is_torchs(tmp_path: Path) -> None:
    layer = seeded(nn.GRU)
    w_ih, w_hh, b_ih, b_hh = (in_order("gru", tensor) for tensor in layer.all_weights[0])
    options = {
        "weight_ih": w_ih,
        "weight_hh": w_hh,
        "input_bias": b_ih,
        "bias": b_hh,
        "output_sequence": True,
    }
    found = run(
        tmp_path / "p.mlpackage",
        lambda x, h: mb.gru(x=x, initial_h=h, **options, reset_after=True),
        X,
        H,
    )
    assert_close(found, torchs(layer, X, H))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_rnn(tmp_path: Path, activation: str, direction: str) -> None:
    layer = seeded(nn.RNN, nonlinearity=activation)
    options = {
        **weights("rnn", layer),
        "activation": activation,
        "direction": direction,
        "output_sequence": True,
    }
    found = run(tmp_path / "p.mlpackage", lambda x, h: mb.rnn(x=x, initial_h=h, **options), X, H)
    assert_close(found, torchs(layer, X[::-1] if direction == "reverse" else X, H))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_in_float16_the_result_alone_is_rounded(tmp_path: Path, cell: str) -> None:
    layer = seeded({"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell]).half()
    arrays = [array.astype(np.float16) for array in ((X, H, C) if cell == "lstm" else (X, H))]
    halves = weights(cell, layer)
    singles = {name: array.astype(np.float32) for name, array in halves.items()}
    found = run(tmp_path / "half.mlpackage", builder(cell, halves), *arrays)
    exact = run(
        tmp_path / "single.mlpackage",
        builder(cell, singles),
        *(array.astype(np.float32) for array in arrays),
    )
    for left, right in zip(found, exact, strict=True):
        assert left.dtype == np.float16
        assert (left == right.astype(np.float16)).all()
        assert (left != right).any()


def builder(cell: str, options: dict[str, np.ndarray]) -> Any:
    if cell == "lstm":
        return lambda x, h, c: mb.lstm(
            x=x, initial_h=h, initial_c=c, output_sequence=True, **options
        )
    return lambda x, h: getattr(mb, cell)(x=x, initial_h=h, output_sequence=True, **options)


def test_an_unknown_activation_is_refused_at_opening(tmp_path: Path) -> None:
    own = weights("rnn", seeded(nn.RNN))
    with pytest.raises(
        ContractError,
        match=r"'rnn' \(.*\) has activation = 'softsign'; the interpreter knows hard_sigmoid",
    ):
        run(
            tmp_path / "p.mlpackage",
            lambda x, h: mb.rnn(x=x, initial_h=h, **own, activation="softsign"),
            X,
            H,
        )


class Flat(nn.Module):
    """A stack of torch's layers whose states are plain inputs and outputs; two layers, batch
    first.
    """

    def __init__(self, layer: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.layer = layer(INPUT, HIDDEN, num_layers=2, batch_first=True, **options)

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        y, after = self.layer(x, states if len(states) > 1 else states[0])
        return (y, *(after if isinstance(after, tuple) else (after,)))


TORCH_LAYERS: dict[
    str, tuple[type[nn.RNNBase], dict[str, Any], str]
] = {  # name → layer, options, Core ML's operator
    "lstm": (nn.LSTM, {}, "lstm"),
    "lstm-bidirectional": (nn.LSTM, {"bidirectional": True}, "lstm"),
    "lstm-no-bias": (nn.LSTM, {"bias": False}, "lstm"),
    "gru": (nn.GRU, {}, "while_loop"),
    "gru-bidirectional": (nn.GRU, {"bidirectional": True}, "while_loop"),
    "rnn": (nn.RNN, {}, "rnn"),
    "rnn-relu": (nn.RNN, {"nonlinearity": "relu"}, "rnn"),
}


@pytest.mark.parametrize("steps", [(1, 1, 1), (5, 1, 2)], ids=["one step", "any number of steps"])
@pytest.mark.parametrize("name", TORCH_LAYERS)
def test_what_coremltools_makes_of_torchs_layers(
    tmp_path: Path, name: str, steps: tuple[int, ...]
) -> None:
    kind, options, operator = TORCH_LAYERS[name]
    module = Flat(kind, **options).eval()
    count, directions = (2 if kind is nn.LSTM else 1), (2 if module.layer.bidirectional else 1)
    states = [torch.rand(2 * directions, ROWS, HIDDEN) - 0.5 for _ in range(count)]
    convert(
        module,
        states,
        tmp_path / "p.mlpackage",
        1 if set(steps) == {1} else ct.RangeDim(1, 16, default=3),
        operator,
    )
    program = read_program(tmp_path / "p.mlpackage")
    for time in steps:  # a chain: every state is fed back
        x = torch.randn(ROWS, time, INPUT)
        with torch.no_grad():
            expected = [tensor.numpy() for tensor in module(x, *states)]
        found, _ = program.run(
            {f"in{at}": tensor.numpy() for at, tensor in enumerate((x, *states))}, {}
        )
        assert_close([found[f"out{at}"] for at in range(1 + count)], expected)
        states = [torch.tensor(found[f"out{1 + at}"]) for at in range(count)]


def convert(module: Flat, states: list[Tensor], path: Path, time: Any, operator: str) -> None:
    """Save what coremltools makes of ``module``, and see that ``operator`` is in it."""
    shapes = [(ROWS, time, INPUT), *(tuple(state.shape) for state in states)]
    examples = (torch.randn(ROWS, 3, INPUT) if time != 1 else torch.randn(ROWS, 1, INPUT), *states)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        model = ct.convert(
            torch.jit.trace(module, examples, check_trace=False),
            convert_to="mlprogram",
            inputs=[ct.TensorType(name=f"in{at}", shape=shape) for at, shape in enumerate(shapes)],
            outputs=[ct.TensorType(name=f"out{at}") for at in range(len(shapes))],
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
    model.save(str(path))
    (block,) = model.get_spec().mlProgram.functions["main"].block_specializations.values()
    assert operator in {operation.type for operation in block.operations}
