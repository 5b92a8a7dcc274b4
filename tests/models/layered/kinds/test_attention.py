"""Attention by a product against its equations in numpy: softmax and sigmoid, what the query adds
to all energies, a mask, and how much was seen; and noise, which acts in training alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from tests.models.layered.networks import layer, module

B, T, R, F, K, Q = 2, 3, 5, 4, 6, 7
Arrays = dict[str, np.ndarray]


def looking(*, masked: bool = False, **options: Any) -> dict[str, Any]:
    """Return the description of one attention layer over frames; features and keys are given."""
    contexts = {"features": ["batch", "regions", "feature_width"]}
    contexts["keys"] = ["batch", "regions", "key_width"]
    given = [{"name": name, "axes": axes} for name, axes in contexts.items()]
    if masked:
        given.append({"name": "mask", "dtype": "int64", "axes": ["batch", "regions"]})
    names = [port["name"] for port in given]
    look = layer("look", "attention", "see_features", "see_keys", "x", **options)
    look["inputs"] += ["see_mask"] * masked
    count = {"count": "look.count"} if options.get("weights") == "sigmoid" else {}
    return module(
        look,
        width=Q,
        out="look",
        given=given,
        contexts={f"see_{name}": name for name in names},
        sizes={"width": Q, "regions": R, "feature_width": F, "key_width": K},
        outputs={"y": "look", "alpha": "look.alpha", **count},
    )


def made(config: dict[str, Any], given: Arrays) -> tuple[Network, list[np.ndarray]]:
    """Return a network with parameters drawn by a seed, and what a step of it gives."""
    torch.manual_seed(2)
    network = Network(NetworkConfig.model_validate(config)).eval()
    tensors = {name: torch.from_numpy(array) for name, array in given.items()}
    names = [name for name in ("features", "keys", "mask") if name in tensors]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.7, 0.7)
        contexts = network.graph("encode", *(tensors[name] for name in names))
        outputs = network.graph("step", tensors["x"], *contexts)
    return network, [tensor.numpy() for tensor in outputs]


def drawn(*, steps: int = 1) -> Arrays:
    random = np.random.default_rng(0)
    shapes = {"x": (B, steps, Q), "features": (B, R, F), "keys": (B, R, K)}
    return {name: random.standard_normal(s).astype(np.float32) for name, s in shapes.items()}


def energies(network: Network, given: Arrays, *, scaled: bool, threshold: bool) -> np.ndarray:
    """Return k_i · (W q + b) / √K + u · q + c, ``[B, T, R]``."""
    p = {name: value.detach().numpy() for name, value in network.named_parameters()}
    own = "layers.look."
    assert (f"{own}threshold.weight" in p) == threshold
    query = given["x"] @ p[f"{own}query.weight"].T + p[f"{own}query.bias"]
    found = np.einsum("btk,brk->btr", query, given["keys"]) / (np.sqrt(K) if scaled else 1.0)
    if threshold:
        found = found + given["x"] @ p[f"{own}threshold.weight"].T + p[f"{own}threshold.bias"]
    return found


@pytest.mark.parametrize("steps", [1, T])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("threshold", [True, False])
def test_sigmoid_weighs_each_region_alone(steps: int, scaled: bool, threshold: bool) -> None:
    given = drawn(steps=steps)
    options = {"score": "product", "weights": "sigmoid", "scaled": scaled, "threshold": threshold}
    network, (z, alpha, count) = made(looking(**options), given)
    wanted = 1 / (1 + np.exp(-energies(network, given, scaled=scaled, threshold=threshold)))
    np.testing.assert_allclose(alpha, wanted, atol=1e-6)
    np.testing.assert_allclose(z, np.einsum("btr,brf->btf", wanted, given["features"]), atol=1e-5)
    np.testing.assert_allclose(count, wanted.sum(-1, keepdims=True), atol=1e-5)


def test_a_product_that_is_not_scaled_goes_through_softmax_too() -> None:
    given = drawn()
    network, (z, alpha) = made(looking(score="product", scaled=False), given)
    powers = np.exp(energies(network, given, scaled=False, threshold=False))
    wanted = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(alpha, wanted, atol=1e-6)
    np.testing.assert_allclose(z, np.einsum("btr,brf->btf", wanted, given["features"]), atol=1e-5)


def test_what_is_masked_has_no_weight_and_is_not_counted() -> None:
    there = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], np.int64)
    given = {**drawn(), "mask": there}
    options = {"score": "product", "weights": "sigmoid", "threshold": True}
    network, (z, alpha, count) = made(looking(masked=True, **options), given)
    own = energies(network, given, scaled=True, threshold=True)
    wanted = there[:, None] / (1 + np.exp(-own))
    np.testing.assert_allclose(alpha, wanted, atol=1e-6)
    np.testing.assert_allclose(count, wanted.sum(-1, keepdims=True), atol=1e-5)
    assert not z[1].any() and not count[1].any(), "nothing is there"


def test_additive_energies_may_go_through_sigmoid() -> None:
    given = drawn()
    network, (_, alpha, count) = made(looking(weights="sigmoid"), given)
    p = {name: value.detach().numpy() for name, value in network.named_parameters()}
    query = given["x"] @ p["layers.look.query.weight"].T + p["layers.look.query.bias"]
    met = np.tanh(given["keys"] + query)  # [B, R, K], one step
    energy = met @ p["layers.look.energy.weight"].T + p["layers.look.energy.bias"]  # [B, R, 1]
    wanted = 1 / (1 + np.exp(-energy.transpose(0, 2, 1)))
    np.testing.assert_allclose(alpha, wanted, atol=1e-6)
    np.testing.assert_allclose(count, wanted.sum(-1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"threshold": True}, "are of score: product"),
        ({"scaled": False}, "are of score: product"),
        ({"score": "product", "threshold": True}, "which softmax does not see"),
        ({"weights": "hard"}, "option weights"),
    ],
)
def test_an_option_without_effect_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        NetworkConfig.model_validate(looking(**options)).contract()
    assert "'look'" in str(caught.value) and "\n" not in str(caught.value)


def test_noise_has_its_deviation_in_training_and_is_nothing_after_it() -> None:
    config = module(layer("y", "noise", "x", deviation=0.3), width=Q, out="y")
    network = Network(NetworkConfig.model_validate(config))
    x = torch.randn(50, 40, Q)
    assert torch.equal(network.eval().graph("step", x)[0], x)
    torch.manual_seed(1)
    added = network.train().graph("step", x)[0] - x
    assert abs(float(added.std()) - 0.3) < 0.01 and abs(float(added.mean())) < 0.01
