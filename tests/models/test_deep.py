"""Deep stacks against the equations of residual and highway layers in numpy, and their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.export.pack import export_bundle
from edgernn.models.cells.table import CELLS, FUSED
from edgernn.models.checkpoint import Checkpoint, load, save
from edgernn.models.compact import CompactStack, is_compact
from edgernn.models.deep import DeepStack
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.models.recurrent import make_stack, zero_state
from edgernn.parity.verify import verify_bundle
from tests.models.layered.networks import chained, layer, module

WIDTH, HIDDEN, LAYERS, B, T = 5, 6, 4, 2, 9


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def gru(p: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray) -> np.ndarray:
    a = np.split(x @ p["weight_ih_l0"].T + p["bias_ih_l0"], 3, axis=1)
    b = np.split(h @ p["weight_hh_l0"].T + p["bias_hh_l0"], 3, axis=1)
    r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
    return (1 - z) * np.tanh(a[2] + r * b[2]) + z * h


def expected(stack: DeepStack, between: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stack of GRU layers, written out: every step's result, and the last state."""
    p = {name: value.detach().double().numpy() for name, value in stack.named_parameters()}
    state, made = np.zeros((LAYERS, B, HIDDEN)), []
    for t in range(T):
        y = x[:, t]
        for i in range(LAYERS):
            own = f"layers.{i}.fused."
            weights = {key.removeprefix(own): v for key, v in p.items() if key.startswith(own)}
            state[i] = gru(weights, y, state[i])
            if i == 0:
                y = state[0]
            elif between == "residual":
                y = y + state[i]
            else:
                g = sigmoid(y @ p[f"ways.{i - 1}.gate.weight"].T + p[f"ways.{i - 1}.gate.bias"])
                y = g * state[i] + (1 - g) * y
        made.append(y)
    return np.stack(made, 1), state


@pytest.mark.parametrize("between", ["residual", "highway"])
def test_a_deep_stack_is_its_equations_over_time_and_by_step(between: str) -> None:
    torch.manual_seed(3)
    stack = make_stack("gru", WIDTH, hidden=HIDDEN, layers=LAYERS, between=between).double()
    assert isinstance(stack, DeepStack)
    for parameter in stack.requires_grad_(False).parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    x = torch.randn(B, T, WIDTH, dtype=torch.float64)
    wanted, last = expected(stack, between, x.numpy())
    compact = CompactStack(stack.cells(), ways=stack.ways)
    zeros = tuple(s.double() for s in zero_state("gru", layers=LAYERS, batch=B, hidden=HIDDEN))
    y, after = stack(x, zeros)
    np.testing.assert_allclose(y, wanted, atol=1e-12)
    np.testing.assert_allclose(after[0], last, atol=1e-12)
    for face in (stack.by_cell(), compact):
        state = zeros
        for t in range(T):
            y, state = face(x[:, t : t + 1], state)
            np.testing.assert_allclose(y.detach()[:, 0], wanted[:, t], atol=1e-12)
        np.testing.assert_allclose(state[0].detach(), last, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_goes_deep_and_its_faces_agree(cell: str) -> None:
    torch.manual_seed(4)
    stack = make_stack(cell, WIDTH, hidden=HIDDEN, layers=3, between="highway").eval()
    assert isinstance(stack, DeepStack)
    assert stack.open_time == (cell in FUSED)
    x, state = torch.randn(B, 3, WIDTH), zero_state(cell, layers=3, batch=B, hidden=HIDDEN)
    whole, _ = stack(x, state)
    faces = [stack.by_cell()]
    if is_compact(stack.cells()):
        faces.append(CompactStack(stack.cells(), ways=stack.ways))
    for face in faces:
        after = state
        for t in range(3):
            y, after = face(x[:, t : t + 1], after)
            torch.testing.assert_close(y[:, 0], whole[:, t], rtol=1e-5, atol=1e-6)


def test_dropout_acts_on_what_a_layer_takes_and_not_on_the_way_past_it() -> None:
    stack = make_stack("rnn", WIDTH, hidden=HIDDEN, layers=2, dropout=0.5, between="residual")
    assert isinstance(stack, DeepStack)
    for parameter in stack.layers[1].parameters():
        nn.init.zeros_(parameter)  # the second layer gives zeros, whatever it takes
    x, state = torch.randn(B, T, WIDTH), zero_state("rnn", layers=2, batch=B, hidden=HIDDEN)
    assert torch.equal(stack.train()(x, state)[0], stack.eval()(x, state)[0])


def test_one_layer_has_no_way_past_it_and_an_unknown_way_names_the_known() -> None:
    plain = make_stack("lstm", WIDTH, hidden=HIDDEN, layers=1, between="residual")
    assert not isinstance(plain, DeepStack)
    with pytest.raises(UsageError, match="unknown way between layers 'dense'; expected one of pl"):
        make_stack("lstm", WIDTH, hidden=HIDDEN, layers=2, between="dense")


def loss_after(between: str, steps: int) -> float:
    """Train twelve layers to say the token that they are given; return the last loss in nats."""
    torch.manual_seed(0)
    config = {"vocabulary": 6, "embedding": 12, "hidden": 12, "layers": 12, "between": between}
    model = LanguageModel(LanguageConfig.model_validate(config))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        tokens = torch.randint(6, (16, 6))
        logits, _ = model(tokens, model.initial_state(16))
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_twelve_layers_learn_where_there_is_a_way_past_them() -> None:
    assert loss_after("plain", 40) > 1.7  # ln 6 = 1.79 is to know nothing
    assert loss_after("residual", 40) < 0.1
    assert loss_after("highway", 60) < 0.5


def both() -> Network:
    """Frames through a residual stack; a product is added to the gates of a highway one."""
    torch.manual_seed(5)
    residual = {"hidden": 32, "layers": 3, "between": "residual"}
    highway = {"hidden": 32, "layers": 2, "between": "highway"}
    described = module(
        layer("low", "recurrent", "x", cell="lstm", **residual),
        layer("added", "linear", "x", width=3 * 32),
        layer("top", "recurrent", "low", "added", cell="gru_before", **highway),
        layer("out", "linear", "top", width=4),
        width=32,
        out="out",
    )
    return Network(NetworkConfig.model_validate(described)).eval()


def test_a_network_of_deep_stacks_is_its_steps_and_is_saved(tmp_path: Path) -> None:
    network, x = both(), torch.randn(B, T, 32)
    torch.testing.assert_close(chained(deepcopy(network).step_face(), x), chained(network, x))
    save(Checkpoint(network, None), tmp_path / "run")
    names = dict(load(tmp_path / "run").model.named_parameters())
    assert "layers.top.stack.ways.0.gate.bias" in names


def test_a_deep_language_model_is_exported_over_time_and_folded(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(cell="gru", layers=7, between="highway")
    assert model.open_time
    evaluation = {"tokens": tokenizer.encode("the quick brown fox\n" * 4)}
    save(Checkpoint(model, tokenizer, evaluation=evaluation), tmp_path / "run")
    export_bundle(tmp_path / "run", tmp_path / "bundle", to=["onnx"], steps=8)
    report = verify_bundle(tmp_path / "bundle", steps=8)
    assert report.passed, [c for a in report.artifacts for c in a.checks if c.status == "failed"]
    tokens, state = torch.randint(20, (2, 1)), tuple(torch.rand(7, 2, 8) for _ in "h")
    wanted = model(tokens, state)
    found = deepcopy(model).step_face(folded=True)(tokens, state)
    torch.testing.assert_close(found, wanted)


def test_a_checkpoint_of_plain_layers_is_as_before_there_were_ways(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    for between in ("plain", "residual"):
        save(Checkpoint(make_model(layers=2, between=between), tokenizer), tmp_path / between)
        config = json.loads((tmp_path / between / "config.json").read_text())["model"]
        assert ("between" in config) == (between != "plain")
        assert load(tmp_path / between).model.config.between == between  # type: ignore[attr-defined]
    weights = (tmp_path / "plain" / "weights.safetensors").read_bytes()
    assert b"between" not in weights  # which name the configuration that they belong to
