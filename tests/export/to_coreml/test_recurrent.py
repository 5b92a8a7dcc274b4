"""torch's recurrent layers over a sequence in Core ML: written out step by step, every matrix among
those that are compressed, the values those of torch's equations, written here in numpy.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError
from edgernn.export.to_coreml import recurrent
from edgernn.export.to_coreml.converting import convert
from edgernn.export.to_coreml.weights import refuse_floats, weight_table
from edgernn.sessions.mil.session import read_program, read_spec, saved_operations

with contextlib.redirect_stderr(io.StringIO()):  # one line per library that exists on macOS only
    import coremltools as ct

STEPS, ROWS, INPUT, HIDDEN = 4, 2, 3, 5
ONE_WAY: dict[str, Any] = {}
ALL: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}
LAYERS = [
    (nn.GRU, ALL),
    (nn.LSTM, ALL),
    (nn.LSTM, {"proj_size": 2, "num_layers": 2}),
    (nn.RNN, {**ALL, "nonlinearity": "relu"}),
    (nn.RNN, {"bias": False}),
]


class Whole(nn.Module):
    """A recurrent layer over a sequence from drawn states; gives its outputs and last states."""

    def __init__(self, layer: nn.RNNBase, states: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.layer = layer
        for place, state in enumerate(states):
            self.register_buffer(f"first{place}", state)
        self.count = len(states)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        states = tuple(getattr(self, f"first{place}") for place in range(self.count))
        y, after = self.layer(x, states if self.count > 1 else states[0])
        return (y, *(after if self.count > 1 else (after,)))


def drawn(kind: type[nn.RNNBase], options: dict[str, Any]) -> Whole:
    torch.manual_seed(1)
    layer = kind(INPUT, HIDDEN, **options)
    total = layer.num_layers * (2 if layer.bidirectional else 1)
    widths = [layer.proj_size or HIDDEN, *([HIDDEN] if kind is nn.LSTM else [])]
    return Whole(layer, tuple(torch.randn(total, ROWS, width) for width in widths))


def written(whole: Whole, path: Path, precision: str, steps: int = STEPS) -> Path:
    size = (ROWS, steps, INPUT) if whole.layer.batch_first else (steps, ROWS, INPUT)
    names = ["y", "h_after", "c_after"][: whole.count + 1]
    convert(
        whole,
        (torch.zeros(size),),
        path,
        precision=precision,
        target="iOS18",
        metadata={},
        inputs=[ct.TensorType(name="x", shape=size)],
        outputs=[ct.TensorType(name=name) for name in names],
    )
    return path


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def stepped(kind: str, x: np.ndarray, state: list[np.ndarray], w: list[np.ndarray]) -> Any:
    """One step of torch's documented equations; ``w`` are W_ih, W_hh, b_ih, b_hh and W_hr."""
    from_x, from_h = x @ w[0].T + w[2], state[0] @ w[1].T + w[3]
    if kind == "LSTM":
        i, f, g, o = np.split(from_x + from_h, 4, 1)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return [h @ w[4].T if len(w) > 4 else h, c]
    if kind == "GRU":
        (xr, xz, xn), (hr, hz, hn) = np.split(from_x, 3, 1), np.split(from_h, 3, 1)
        z, n = sigmoid(xz + hz), np.tanh(xn + sigmoid(xr + hr) * hn)
        return [(1 - z) * n + z * state[0]]
    return [np.maximum(from_x + from_h, 0) if kind == "RNN_RELU" else np.tanh(from_x + from_h)]


def expected(whole: Whole, x: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of ``x`` and the states after it, layer by layer and way by way."""
    layer, after = whole.layer, []
    x = x.swapaxes(0, 1) if layer.batch_first else x
    first = [getattr(whole, f"first{place}").numpy() for place in range(whole.count)]
    ways = 2 if layer.bidirectional else 1
    for place in range(0, len(layer.all_weights), ways):
        made = []
        for way in range(ways):
            w = [tensor.detach().numpy() for tensor in layer.all_weights[place + way]]
            w = w if layer.bias else [*w, *np.zeros((2, len(w[0])))]
            state, outputs = [each[place + way] for each in first], []
            for frame in x[::-1] if way else x:
                state = stepped(layer.mode, frame, state, w)
                outputs.append(state[0])
            after.append(state)
            made.append(np.stack(outputs[::-1] if way else outputs))
        x = np.concatenate(made, 2)
    y = x.swapaxes(0, 1) if layer.batch_first else x
    return [y, *(np.stack(each) for each in zip(*after, strict=True))]


@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_a_layer_is_written_out(
    kind: type[nn.RNNBase], options: dict[str, Any], tmp_path: Path
) -> None:
    whole = drawn(kind, options)
    path = written(whole, tmp_path / "net.mlpackage", "float32")
    kinds = {operation.type for operation in saved_operations(read_spec(path)[1].mlProgram)}
    assert not kinds & {"while_loop", "lstm", "gru", "rnn"}
    shape = (ROWS, STEPS, INPUT) if whole.layer.batch_first else (STEPS, ROWS, INPUT)
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    found = read_program(path).run({"x": x}, {})[0]
    for value, wanted in zip(found.values(), expected(whole, x), strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_every_matrix_is_compressed_and_named(kind: type[nn.RNNBase], tmp_path: Path) -> None:
    path = written(drawn(kind, ALL), tmp_path / "net.mlpackage", "int8")
    table = weight_table(path, layers=["layer"])
    refuse_floats(table, "int8")
    named = {weight.name: weight for weight in table if weight.shape}
    places = ("l0", "l0_reverse", "l1", "l1_reverse")
    assert {*named} == {
        f"layer.{place}.{part}" for place in places for part in ("from_input", "from_hidden")
    }
    assert {weight.dtype for weight in named.values()} == {"int8"}
    assert named["layer.l1_reverse.from_hidden"].recurrent
    assert not named["layer.l0.from_input"].recurrent


def test_too_many_steps_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "MOST_STEPS", 5)
    path = tmp_path / "net.mlpackage"
    with pytest.raises(ContractError, match="out step by step: 6 steps of all layers"):
        written(drawn(nn.GRU, ONE_WAY), path, "float16", steps=6)
    with pytest.raises(ContractError, match=r"an LSTM over more than 5 steps .* cannot be int8"):
        written(drawn(nn.LSTM, ONE_WAY), path, "int8", steps=6)
    assert not path.exists()
    written(drawn(nn.LSTM, ONE_WAY), path, "float16", steps=6)
    kinds = {operation.type for operation in saved_operations(read_spec(path)[1].mlProgram)}
    assert "lstm" in kinds


def test_what_a_program_converts_itself_is_left_to_coremltools() -> None:
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    from edgernn.export.to_coreml import converting  # noqa: F401 - importing it changes nothing
    from edgernn.export.to_coreml.operators import taught

    known = _TORCH_OPS_REGISTRY.name_to_func_mapping
    before = dict(known)
    with pytest.raises(KeyError), taught():
        assert known["lstm"] is not before["lstm"]
        raise KeyError
    assert known == before
    assert known["lstm"].__module__.startswith("coremltools.")
