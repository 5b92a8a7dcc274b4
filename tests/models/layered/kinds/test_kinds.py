"""Each kind of layer against torch's own layers, or the published equations in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.errors import UsageError
from edgernn.models.activations import ACTIVATIONS
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.kinds.activation import _NAMES
from edgernn.models.layered.network import Network
from edgernn.models.layered.table import KINDS, kind_class
from tests.models.layered.networks import B, T, chained, layer, module, parameters

W = 4


def _network(*layers: dict[str, Any], width: int = W, **more: Any) -> Network:
    """Return a seeded network of ``layers`` that gives the last one."""
    torch.manual_seed(4)
    config = module(*layers, width=width, out=layers[-1]["name"], **more)
    network = Network(NetworkConfig.model_validate(config)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.8, 0.8)
    return network


def _of(network: Network, name: str, part: str = "weight") -> torch.Tensor:
    return network.get_parameter(f"layers.{name}.{part}").detach()


def test_every_row_of_the_table_is_a_kind_of_layer() -> None:
    for kind in KINDS:
        assert kind_class(kind).__doc__


_FLOAT64 = {  # in plain words of numpy, what torch's functions must not be asked for
    "tanh": np.tanh,
    "exp": np.exp,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_sigmoid_fifth": lambda x: np.clip(x / 5 + 0.5, 0, 1),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "log_softmax": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
    "gelu": lambda x: torch.nn.GELU()(torch.from_numpy(x)).numpy(),
    "selu": lambda x: torch.nn.SELU()(torch.from_numpy(x)).numpy(),
}


@pytest.mark.parametrize("name", sorted({*_NAMES, *ACTIVATIONS} - {"prelu"}))
def test_functions_are_the_published_ones(name: str) -> None:
    x = torch.linspace(-4, 4, 3 * T * W).reshape(3, T, W)
    y = chained(_network(layer("f", "activation", "x", function=name)), x)
    assert np.allclose(y.numpy(), _FLOAT64[name](x.double().numpy()), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "own"),
    [
        ({"function": "leaky_relu", "slope": 0.3}, nn.LeakyReLU(0.3)),
        ({"function": "elu", "slope": 0.5}, nn.ELU(0.5)),
        ({"function": "hard_tanh", "slope": 2.0}, nn.Hardtanh(-2, 2)),
        ({"function": "gelu", "approximate": "tanh"}, nn.GELU(approximate="tanh")),
    ],
)
def test_functions_with_a_number_of_their_own(options: dict[str, Any], own: nn.Module) -> None:
    x = torch.linspace(-4, 4, 3 * T * W).reshape(3, T, W)
    assert torch.allclose(chained(_network(layer("f", "activation", "x", **options)), x), own(x))


def test_a_slope_of_hard_sigmoid_and_of_prelu() -> None:
    x = torch.linspace(-4, 4, 3 * T * W).reshape(3, T, W)
    hard = _network(layer("f", "activation", "x", function="hard_sigmoid", slope=0.25))
    assert torch.allclose(chained(hard, x), (x * 0.25 + 0.5).clamp(0, 1))
    own = _network(layer("f", "activation", "x", function="prelu"))
    wanted = nn.functional.prelu(x.transpose(1, 2), _of(own, "f")).transpose(1, 2)
    assert torch.allclose(chained(own, x), wanted)


def test_sums_products_joins_and_parts() -> None:
    network = _network(
        layer("a", "linear", "x", width=W),
        layer("gate", "linear", "x", width=1, bias=False),
        layer("sum", "add", "a", "x"),
        layer("product", "multiply", "sum", "gate"),
        layer("scaled", "scale", "product", factor=-2.0, offset=0.5),
        layer("joined", "concat", "scaled", "x"),
        layer("part", "slice", "joined", start=2, width=4),
    )
    x = torch.randn(B, T, W)
    a = nn.functional.linear(x, _of(network, "a"), _of(network, "a", "bias"))
    scaled = (a + x) * (x @ _of(network, "gate").T) * -2 + 0.5
    wanted = torch.cat((scaled, x), 2)[..., 2:6]
    assert torch.allclose(chained(network, x), wanted, atol=1e-6)
    assert network.open_time
    assert torch.allclose(network.graph("step", x)[0], wanted, atol=1e-6)


def test_normalisation_is_that_of_torch() -> None:
    network = _network(
        layer("batch", "normalise", "x", eps=1e-3), layer("own", "layer_norm", "batch")
    )
    with torch.no_grad():
        network.get_buffer("layers.batch.running_mean").uniform_(-1, 1)
        network.get_buffer("layers.batch.running_var").uniform_(0.5, 2)
    batch = nn.BatchNorm1d(W, eps=1e-3).eval()
    batch.load_state_dict(network.layers["batch"].state_dict(), strict=False)
    own = nn.LayerNorm(W)
    own.load_state_dict(network.layers["own"].state_dict())
    x = torch.randn(B, T, W)
    wanted = own(batch(x.transpose(1, 2)).transpose(1, 2))
    assert torch.allclose(chained(network, x), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "dilation", "groups"), [(3, 1, 1), (2, 4, 1), (3, 2, 2), (1, 1, 1)]
)
def test_a_convolution_is_torchs_over_the_padded_sequence(
    kernel: int, dilation: int, groups: int
) -> None:
    options = {"kernel": kernel, "dilation": dilation, "groups": groups}
    network = _network(layer("conv", "convolution", "x", width=6, **options))
    weight, bias = _of(network, "conv", "conv.weight"), _of(network, "conv", "conv.bias")
    x = torch.randn(B, 3 * T, W)
    padded = nn.functional.pad(x.transpose(1, 2), ((kernel - 1) * dilation, 0))
    wanted = nn.functional.conv1d(padded, weight, bias, dilation=dilation, groups=groups)
    wanted = wanted.transpose(1, 2)
    assert torch.allclose(chained(network, x), wanted, atol=1e-5)
    state = network.initial_state(B)
    first = network.graph("step", x[:, :5], *state)
    second = network.graph("step", x[:, 5:], *first[1:])
    assert torch.allclose(torch.cat((first[0], second[0]), 1), wanted, atol=1e-5)
    assert torch.allclose(chained(network.step_face(), x), wanted, atol=1e-5)
    states = network.config.contract().step.states
    assert [s.axes for s in states] == ([("batch", "conv_frames", "width")] if kernel > 1 else [])


def test_additions_to_the_gates_and_another_cell() -> None:
    """A second input is added to what the gates get: as a wider input with that matrix would."""
    network = _network(
        layer("gates", "linear", "x", width=4 * 5, bias=False),
        layer("rnn", "recurrent", "x", "gates", cell="lstm", hidden=5, layers=2),
    )
    assert network.config.contract().sizes["time"] == 1
    fused = nn.LSTM(W, 5, num_layers=2, batch_first=True)
    fused.load_state_dict(network.layers["rnn"].stack.fused.state_dict())
    with torch.no_grad():
        fused.weight_ih_l0 += _of(network, "gates")
    x = torch.randn(B, T, W)
    wanted = fused(x)[0]
    assert torch.allclose(chained(network, x), wanted, atol=1e-5)
    assert torch.allclose(chained(network.step_face(), x), wanted, atol=1e-5)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_projected_cell_gives_what_torchs_layer_gives_and_names_its_widths() -> None:
    network = _network(
        layer(
            "rnn",
            "recurrent",
            "x",
            cell="lstm_projected",
            hidden=6,
            cell_options={"projection": "3"},
        ),
        layer("out", "activation", "rnn", function="relu"),
    )
    torch.manual_seed(0)
    fused = nn.LSTM(W, 6, proj_size=3, batch_first=True)
    cell = {
        "from_input.weight": fused.weight_ih_l0,
        "from_hidden.weight": fused.weight_hh_l0,
        "from_input.bias": fused.bias_ih_l0,
        "from_hidden.bias": fused.bias_hh_l0,
        "projection.weight": fused.weight_hr_l0,
    }
    with torch.no_grad():
        for name, value in cell.items():
            network.get_parameter(f"layers.rnn.stack.layers.0.{name}").copy_(value)
    contract = network.config.contract()
    assert contract.sizes == {"width": W, "layers": 1, "h_width": 3, "hidden": 6}
    assert [s.axes[2] for s in contract.step.states] == ["h_width", "hidden"]
    x = torch.randn(B, T, W)
    wanted = torch.relu(fused(x)[0])
    assert torch.allclose(chained(network, x), wanted, atol=1e-5)
    assert torch.allclose(chained(network.step_face(), x), wanted, atol=1e-5)


def test_the_state_before_the_step_is_that_of_the_top_layer() -> None:
    network = _network(
        layer("own", "before", layer="rnn", state="c"),
        layer("rnn", "recurrent", "x", cell="lstm", hidden=5, layers=2),
        layer("both", "concat", "own", "rnn"),
    )
    fused = nn.LSTM(W, 5, num_layers=2, batch_first=True)
    fused.load_state_dict(network.layers["rnn"].stack.fused.state_dict())
    x, state = torch.randn(B, T, W), None
    made = chained(network, x)
    for t in range(T):
        before = torch.zeros(B, 5) if state is None else state[1][-1]
        with torch.no_grad():
            y, state = fused(x[:, t : t + 1], state)
        assert torch.allclose(made[:, t], torch.cat((before, y[:, 0]), 1), atol=1e-5)


def test_parameters_under_the_names_of_torch() -> None:
    fused = nn.GRU(W, 5, num_layers=2)
    made = parameters("rnn", "gru", fused)
    network = _network(layer("rnn", "recurrent", "x", cell="gru", hidden=5, layers=2))
    assert made.keys() == dict(network.named_parameters()).keys()
    assert torch.equal(made["layers.rnn.stack.fused.weight_hh_l1"], fused.weight_hh_l1)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (layer("bad", "add", "x"), "takes 2 to 64 inputs, got 1"),
        (layer("bad", "slice", "x", start=2, width=3), "ends at 5, its input has 4"),
        (layer("bad", "convolution", "x", width=6, kernel=3, groups=3), "expected a divisor"),
        (layer("bad", "convolution", "x", width=6, kernel=4096, dilation=99), "frames back"),
        (layer("bad", "activation", "x", function="tanh", slope=0.2), "has no slope"),
        (layer("bad", "recurrent", "x", "x", cell="gru", hidden=4), "expected 12 values"),
        (layer("bad", "before", layer="rnn"), "expected a recurrent layer"),
        (layer("bad", "run", "x", layer="bad"), "stands in step, expected encode"),
        (layer("bad", "attention", "x", "x", "x"), "expected contexts"),
        (layer("bad", "normalise", "x", epsilon=1.0), "option epsilon"),
        (
            layer("bad", "recurrent", "x", cell="gru", hidden=4, cell_options={"bias": "no"}),
            "unknown option 'bias'",
        ),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(bad: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        NetworkConfig.model_validate(module(bad, width=W, out="bad")).contract()
    assert "'bad'" in str(caught.value)
    assert "\n" not in str(caught.value)
