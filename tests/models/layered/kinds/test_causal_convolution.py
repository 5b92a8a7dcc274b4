"""Stacks of causal convolutions against their sums in float64, over time, by step and in files."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from tests.models.layered.networks import B, chained, layer, module

WIDTH, HIDDEN, LAYERS, KERNEL, T = 5, 6, 4, 3, 12
DILATIONS = (1, 2, 4, 1)  # a growth of 2, and a cycle of 3 layers


def network_of(**own: int) -> Network:
    """Return a seeded network of a stack and a head."""
    given = {"hidden": HIDDEN, "layers": LAYERS, "kernel": KERNEL, "cycle": 3, **own}
    torch.manual_seed(2)
    described = module(
        layer("tcn", "causal_convolution", "x", **given),
        layer("head", "linear", "tcn", width=4),
        width=WIDTH,
        out="head",
    )
    network = Network(NetworkConfig.model_validate(described)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def expected(network: Network, x: np.ndarray) -> np.ndarray:
    """Return what the head makes of the equations of the kind, frame by frame."""
    p = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    own = {n.removeprefix("layers.tcn."): v for n, v in p.items() if n.startswith("layers.tcn.")}
    y = x @ own["into.weight"].T + own["into.bias"]
    for at, dilation in enumerate(DILATIONS):
        weight, bias = own[f"convolutions.{at}.conv.weight"], own[f"convolutions.{at}.conv.bias"]
        sums = np.zeros((*y.shape[:2], 2 * HIDDEN)) + bias
        for t in range(T):
            for j in range(KERNEL):
                if (back := t - (KERNEL - 1 - j) * dilation) >= 0:
                    sums[:, t] += y[:, back] @ weight[:, :, j].T
        a, g = np.split(sums, 2, 2)
        made = np.tanh(a) / (1 + np.exp(-g))
        y = y + made @ own[f"out.{at}.weight"].T + own[f"out.{at}.bias"]
    return y @ p["layers.head.weight"].T + p["layers.head.bias"]


def test_it_is_its_sums_over_time_in_chunks_and_by_step() -> None:
    network, x = network_of(), torch.randn(B, T, WIDTH)
    wanted = expected(network, x.double().numpy())
    assert network.open_time
    with torch.no_grad():
        whole = network.graph("step", x, *network.initial_state(B))
        first = network.graph("step", x[:, :5], *network.initial_state(B))
        second = network.graph("step", x[:, 5:], *first[1:])
    np.testing.assert_allclose(whole[0], wanted, atol=1e-5)
    np.testing.assert_allclose(torch.cat((first[0], second[0]), 1), wanted, atol=1e-5)
    for have, want in zip(second[1:], whole[1:], strict=True):
        torch.testing.assert_close(have, want)
    np.testing.assert_allclose(chained(network, x), wanted, atol=1e-5)
    stepped = network.step_face()
    assert not any(isinstance(part, nn.Conv1d) for part in stepped.modules())
    np.testing.assert_allclose(chained(stepped, x), wanted, atol=1e-5)


def test_its_states_are_the_inputs_that_each_layer_looks_back_at() -> None:
    contract = network_of().config.contract()
    shapes = {state.name: contract.shape(state, batch=1) for state in contract.step.states}
    assert shapes == {
        f"tcn_{at}_past": (1, (KERNEL - 1) * dilation, HIDDEN)
        for at, dilation in enumerate(DILATIONS)
    }


def test_forty_layers_begin_as_their_input_and_gradients_reach_all() -> None:
    network = Network(
        NetworkConfig.model_validate(
            module(
                layer("tcn", "causal_convolution", "x", hidden=HIDDEN, layers=40, cycle=4),
                width=WIDTH,
                out="tcn",
            )
        )
    )
    x = torch.randn(B, T, WIDTH)
    y = network.graph("step", x, *network.initial_state(B))[0]
    into = network.get_submodule("layers.tcn.into")(x)
    assert 0.5 < (y.detach().std() / into.detach().std()).item() < 2
    y.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 1e-4, name
