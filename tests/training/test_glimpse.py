"""What glimpses learn from: REINFORCE by its equation, no gradient through a crop to its place, and
a short run by the command.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from edgernn.cli.app import app
from edgernn.errors import DataError
from edgernn.families.glimpses import LOCATION
from edgernn.models.layered.network import Network
from edgernn.training import glimpse_objective
from edgernn.training.glimpse_network import GlimpseModel, glimpse_network
from edgernn.training.glimpse_objective import GlimpseObjective, GlimpseOptions
from edgernn.training.gradients_file import GRADIENTS, read_gradients
from edgernn.training.objective import advance, begin

_LOOKS, _SPREAD, _BATCH = 3, 0.2, 5


def _made(**options: float) -> tuple[Network, GlimpseObjective, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    model = GlimpseModel(side=4, strides=(1, 2), hidden=6)
    network = Network(glimpse_network(model, height=10, width=10, classes=("a", "b", "c")))
    own = GlimpseOptions(looks=_LOOKS, spread=0.4, last_spread=_SPREAD, **options)
    batch = {
        "image": torch.randint(0, 256, (_BATCH, 10, 10, 1), dtype=torch.uint8),
        "target": torch.tensor([0, 1, 2, 1, 0]),
    }
    return network, GlimpseObjective(own, hidden=6), batch


def test_the_places_learn_by_reinforce_and_by_nothing_else() -> None:
    network, objective, batch = _made(weight=1.0)
    torch.manual_seed(7)
    loss, reported = objective(network, batch, 1.0)  # at the end of a run
    loss.backward()
    torch.manual_seed(7)
    noise = _SPREAD * torch.randn(_LOOKS, _BATCH, 1, 2)
    weight = network.get_parameter("layers.next.weight")
    found = weight.grad
    assert found is not None

    weight.grad = None
    total = torch.zeros(())
    looks = list(glimpse_objective._looks(network, batch["image"], noise))
    right = [look.scores.softmax(1)[range(_BATCH), batch["target"]].detach() for look in looks]
    for t in (1, 2):  # the first look has nothing to choose
        reward = sum(right[t:]) / (_LOOKS - t)
        better = (reward - objective.baseline(looks[t - 1].hidden)[:, 0]).detach()
        advantage = better / (better.std(correction=0) + 1e-3)
        drawn = (looks[t].mean + noise[t][:, 0]).detach()
        normal = torch.distributions.Normal(looks[t].mean, _SPREAD)
        total = total - (advantage * normal.log_prob(drawn).sum(1)).mean() / (_LOOKS - 1)
    total.backward()
    assert torch.allclose(weight.grad, found, atol=1e-6)
    entropy = torch.nn.functional.cross_entropy(looks[-1].scores, batch["target"]).item()
    assert abs(reported.item() - entropy) < 1e-5

    still, objective, batch = _made(weight=0.0)
    objective(still, batch, 0.0)[0].backward()
    unmoved = still.get_parameter("layers.next.weight").grad
    assert unmoved is None or not unmoved.any()


def test_looks_follow_the_mean_where_nothing_is_drawn() -> None:
    network, objective, batch = _made()
    with torch.no_grad():
        measured = objective.measure(network, batch)
    assert measured["accuracy"][1] == measured["one_random_look"][1] == _BATCH
    still = torch.zeros(_LOOKS, _BATCH, 1, 2)
    looks = list(glimpse_objective._looks(network, batch["image"], still))
    assert not looks[0].mean.any()
    assert looks[1].mean.abs().max() > 0
    states = [spec.name for spec in network.config.contract().step.states]
    assert LOCATION in states


def test_a_look_joins_what_two_layers_read_with_where_it_is() -> None:
    network, _, batch = _made()
    at = {name: p.detach().double().numpy() for name, p in network.named_parameters()}
    noise = torch.randn(_BATCH, 1, 2) / 3
    with torch.no_grad():
        contexts, state = begin(network, {"image": batch["image"]}, rows=_BATCH)
        place = noise.clamp(-1, 1)
        (seen,), _ = network.layers["crops"]((next(iter(contexts.values())), place), ())
        _, after = advance(network, {"location_noise": noise}, contexts, state)
    crops, where = seen[:, 0].double().numpy(), place[:, 0].double().numpy()

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        made: np.ndarray = x @ at[f"layers.{name}.weight"].T + at[f"layers.{name}.bias"]
        return np.maximum(made, 0)

    joined = layer("what", layer("parts", crops)) * layer("where", where)
    into, b, d = (
        at[f"layers.core.stack.fused.{n}_l0"] for n in ("weight_ih", "bias_ih", "bias_hh")
    )
    (r, z, n), (dr, dz, dn) = np.split(joined @ into.T + b, 3, 1), np.split(d, 3)
    r, z = 1 / (1 + np.exp(-(r + dr))), 1 / (1 + np.exp(-(z + dz)))  # h before is 0
    h = (1 - z) * np.tanh(n + r * dn)
    names = [spec.name for spec in network.config.contract().step.states]
    found = after[names.index("h")].double().numpy().reshape(-1, _BATCH, 6)[-1]
    assert np.allclose(found, h, atol=1e-6)


def _train(out: Path, *options: str) -> None:
    arguments = ["train", "glimpse", "--out", str(out), "--steps", "2", "--threads", "1"]
    small = ["--hidden", "8", "--batch", "8", "--crop", "4", "--looks", "2"]
    result = CliRunner().invoke(
        app, [*arguments, *small, *options], catch_exceptions=False, standalone_mode=False
    )
    assert result.exit_code == 0, result.output


def test_a_run_on_pictures_of_ones_own_keeps_their_labels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (40, 12, 9), np.uint8)
    names = np.array(["cat", "dog"] * 20)
    np.savez(tmp_path / "own.npz", pictures=pictures, labels=names)
    gradients = ["--gradients", "--vanishing-penalty", "0.1"]
    _train(tmp_path / "run", "--data", str(tmp_path / "own.npz"), *gradients)
    from edgernn.models.checkpoint import load

    loaded = load(tmp_path / "run")
    assert loaded.model.labels == {"classes": ("cat", "dog")}
    contract = loaded.model.config.contract()
    assert (contract.sizes["height"], contract.sizes["width"]) == (12, 9)
    assert loaded.evaluation is not None
    assert loaded.evaluation["location_noise"].shape == (4, 2, 2)
    assert not loaded.evaluation["location_noise"].any()
    (*_, measured) = read_gradients(tmp_path / "run" / GRADIENTS)
    assert list(measured["norms"]) == ["h"]  # no gradient goes through a place
    assert np.shape(measured["norms"]["h"]) == (1, 1)


def test_pictures_of_one_label_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", pictures=np.zeros((4, 9, 9), np.uint8), labels=np.ones(4))
    with pytest.raises(DataError, match=r"labels float64 .4., expected texts or whole numbers"):
        _train(tmp_path / "run", "--data", str(tmp_path / "own.npz"))
    latin = np.array([b"\xe9", b"a"] * 2)
    np.savez(tmp_path / "own.npz", pictures=np.zeros((4, 9, 9), np.uint8), labels=latin)
    with pytest.raises(DataError, match=r"labels with b'\\xe9', which is not UTF-8; save them as"):
        _train(tmp_path / "run", "--data", str(tmp_path / "own.npz"))
    labels = np.ones(4, np.int64)
    np.savez(tmp_path / "own.npz", pictures=np.zeros((4, 9, 9), np.uint8), labels=labels)
    with pytest.raises(DataError, match="has one label alone, '1', in all of its 4 rows"):
        _train(tmp_path / "run", "--data", str(tmp_path / "own.npz"))
