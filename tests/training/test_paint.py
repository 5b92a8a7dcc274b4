"""What a painter learns from: the variational bound by its equation, and a short run by the
command.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from typer.testing import CliRunner

from edgernn.cli.app import app
from edgernn.models.layered.network import Network
from edgernn.training.gradients_file import GRADIENTS, read_gradients
from edgernn.training.objective import advance, begin
from edgernn.training.paint_network import PaintModel, paint_network
from edgernn.training.paint_objective import PaintObjective, PaintOptions


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _cell(
    x: np.ndarray, state: tuple[np.ndarray, np.ndarray], weights: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (h, c) after one step of an LSTM, gates in torch's order."""
    into, again, b, d = weights
    gates = x @ into.T + b + state[0] @ again.T + d
    i, f, g, o = np.split(gates, 4, 1)
    c = _sigmoid(f) * state[1] + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def test_the_bound_is_that_of_its_equations() -> None:
    torch.manual_seed(2)
    model, options = PaintModel(noise=3, hidden=4, embedding=2), PaintOptions(steps=2, inference=5)
    network = Network(paint_network(model, height=2, width=3, classes=("a", "b")))
    objective = PaintObjective(options, model, pixels=6)
    image = torch.randint(0, 256, (2, 2, 3, 1), dtype=torch.uint8)
    batch = {"image": image, "label": torch.tensor([1, 0])}
    torch.manual_seed(9)
    with torch.no_grad():
        measured = objective.measure(network, batch)
    torch.manual_seed(9)
    drawn = [torch.randn(2, 3).double().numpy() for _ in range(2)]

    at = {name: p.detach().double().numpy() for name, p in network.named_parameters()}
    own = {name: p.detach().double().numpy() for name, p in objective.named_parameters()}
    core = [at[f"layers.core.stack.fused.{n}_l0"] for n in ("weight_ih", "weight_hh")]
    core += [at[f"layers.core.stack.fused.{n}_l0"] for n in ("bias_ih", "bias_hh")]
    reader = [own[f"reader.{n}"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    x = image.double().numpy().reshape(2, 6) / 255
    label = at["encode.meaning.weight"][[1, 0]]
    h, e = (np.zeros((2, 4)),) * 2, (np.zeros((2, 5)),) * 2
    canvas, error, divergence = np.zeros((2, 6)), x, 0.0
    for noise in drawn:
        e = _cell(np.concatenate([x, error, h[0]], 1), e, reader)
        mean, spread = np.split(e[0] @ own["inferred.weight"].T + own["inferred.bias"], 2, 1)
        z = mean + np.exp(spread) * noise
        h = _cell(np.concatenate([z, label], 1), h, core)
        canvas = canvas + h[0] @ at["layers.ink.weight"].T + at["layers.ink.bias"]
        picture = _sigmoid(canvas - 4)
        error = x - picture
        divergence += 0.5 * (mean**2 + np.exp(2 * spread) - 2 * spread - 1).sum()
    missing = -(x * np.log(picture) + (1 - x) * np.log(1 - picture)).sum()
    assert np.isclose(measured["pixels"][0], missing, rtol=1e-4)
    assert np.isclose(measured["divergence"][0], divergence, rtol=1e-4)
    assert np.isclose(measured["loss"][0], missing + divergence, rtol=1e-4)


def test_the_pen_goes_to_the_place_that_the_hidden_state_says() -> None:
    torch.manual_seed(4)
    model = PaintModel(form="strokes", noise=2, hidden=4, embedding=3)
    network = Network(paint_network(model, height=5, width=6, classes=("a", "b")))
    contexts, state = begin(network, {"label": torch.tensor([0, 1])}, rows=2)
    at = {name: p.detach().double().numpy() for name, p in network.named_parameters()}
    names = [spec.name for spec in network.config.contract().step.states]
    assert not state[names.index("pen")].any()
    with torch.no_grad():
        for _ in range(3):
            _, state = advance(network, {"noise": torch.randn(2, 1, 2)}, contexts, state)
            h, pen = (state[names.index(name)].double().numpy() for name in ("h", "pen"))
            h = h.reshape(-1, 2, 4)[-1]  # [B, H]
            goes = np.tanh(h @ at["layers.now.weight"].T + at["layers.now.bias"])
            assert np.allclose(pen, goes, atol=1e-6)


def test_strokes_train_by_the_command(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", "paint", "--form", "strokes", "--out", str(out), "--steps", "2"]
    small = ["--hidden", "8", "--inference", "8", "--batch", "8", "--picture-size", "8"]
    result = CliRunner().invoke(
        app, [*arguments, "--threads", "1", *small], catch_exceptions=False, standalone_mode=False
    )
    assert result.exit_code == 0, result.output
    from edgernn.models.checkpoint import load

    loaded = load(out)
    states = [spec.name for spec in loaded.model.config.contract().step.states]
    assert states == ["h", "c", "canvas", "pen"]
    assert loaded.evaluation is not None
    assert loaded.evaluation["noise"].shape[1:] == (12, 2)


def test_a_run_on_digits_leaves_a_checkpoint_and_its_sample(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", "paint", "--out", str(out), "--steps", "2", "--threads", "1"]
    arguments += ["--gradients", "--vanishing-penalty", "0.1"]
    small = ["--hidden", "8", "--inference", "8", "--batch", "8", "--picture-size", "8"]
    result = CliRunner().invoke(
        app, [*arguments, *small], catch_exceptions=False, standalone_mode=False
    )
    assert result.exit_code == 0, result.output
    from edgernn.models.checkpoint import load

    loaded = load(out)
    assert loaded.model.family == "painter"
    assert loaded.model.labels == {"classes": tuple("0123456789")}
    assert not any(name.startswith("reader") for name, _ in loaded.model.named_parameters())
    assert loaded.evaluation is not None
    assert loaded.evaluation["noise"].shape[1:] == (8, 8)
    (*_, measured) = read_gradients(out / GRADIENTS)
    shapes = {name: np.shape(norms) for name, norms in measured["norms"].items()}
    assert shapes == {"h": (7, 1), "c": (7, 1), "canvas": (7, 1)}
