"""Weights of two or three values a row: their equations, their gradients, and what is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.models import checkpoint
from edgernn.models.cells.table import CELLS
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.few_values import WEIGHTS, binary, plain_tensors, restrict, settle, ternary
from edgernn.models.language import LanguageModel
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.models.recurrent import make_stack, zero_state
from tests.models.layered.networks import layer, module

ROUND = {"binary": binary, "ternary": ternary}
each_kind = pytest.mark.parametrize("weights", ["binary", "ternary"])


def test_the_values_are_those_of_the_papers_and_rounding_them_again_changes_nothing() -> None:
    torch.manual_seed(1)
    rows = torch.randn(5, 37)
    v = rows.double().numpy()
    size = np.abs(v)
    mean = size.mean(1, keepdims=True)
    np.testing.assert_allclose(binary(rows), np.sign(v) * mean, rtol=1e-6)
    kept = size > 0.7 * mean
    scale = np.array([[row[own].mean()] for row, own in zip(size, kept, strict=True)])
    np.testing.assert_allclose(ternary(rows), np.sign(v) * kept * scale, rtol=1e-6)
    for made in ROUND.values():
        once = made(rows)
        assert torch.equal(made(once), once)
        assert all(len(row.unique()) == (2 if made is binary else 3) for row in once)
        assert not made(torch.zeros(2, 4)).any()  # no NaN


@each_kind
def test_the_gradient_goes_straight_through(weights: str) -> None:
    torch.manual_seed(2)
    linear, x = nn.Linear(6, 4), torch.randn(3, 6)
    learned = linear.weight.detach().clone()
    restrict(linear, weights)
    linear(x).square().sum().backward()
    multiplied = ROUND[weights](learned).requires_grad_(True)
    nn.functional.linear(x, multiplied, linear.bias).square().sum().backward()
    held = linear.get_parameter("parametrizations.weight.original")
    assert torch.equal(held, learned)
    torch.testing.assert_close(held.grad, multiplied.grad)


@each_kind
@pytest.mark.parametrize("cell", CELLS)
def test_every_stack_learns_so_and_is_then_plain(cell: str, weights: str) -> None:
    torch.manual_seed(3)
    shape = {"hidden": 6, "layers": 3, "between": "highway"}
    stack, plain = (make_stack(cell, 5, **shape) for _ in range(2))  # type: ignore[arg-type]
    names = {name for name, _ in plain.named_parameters()}
    restrict(stack, weights)
    x, state = torch.randn(2, 4, 5), zero_state(cell, layers=3, batch=2, hidden=6)
    y, _ = stack(x, state)
    y.square().sum().backward()
    for name, parameter in stack.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.sub_(0.1 * parameter.grad.sign())  # type: ignore[union-attr]
        after, _ = stack(x, state)
    assert not torch.equal(after, y)
    found = plain_tensors(stack)
    assert found.keys() == names
    plain.load_state_dict(found)
    torch.testing.assert_close(plain(x, state)[0], after)
    most = 2 if weights == "binary" else 3
    matrices = [tensor for tensor in found.values() if tensor.dim() == 2]
    assert all(len(row.unique()) <= most for matrix in matrices for row in matrix)
    settle(plain, weights)  # which they are already
    assert all(torch.equal(own, found[name]) for name, own in plain.named_parameters())


def test_a_saved_model_has_plain_names_and_few_values(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(cell="gru", weights="ternary")
    model.restrict()
    tokens = torch.randint(20, (2, 5))
    wanted = model(tokens, model.initial_state(2))[0]
    save(Checkpoint(model, tokenizer), tmp_path / "run")
    opened = checkpoint.load(tmp_path / "run").model
    assert isinstance(opened, LanguageModel)
    matrix = opened.get_parameter("recurrent.fused.weight_hh_l1")
    assert all(len(row.unique()) <= 3 for row in matrix)
    assert len(opened.embedding.weight[0].unique()) > 3  # what is not recurrent stays
    torch.testing.assert_close(opened(tokens, opened.initial_state(2))[0], wanted)


def test_a_described_network_restricts_its_recurrent_layers() -> None:
    rnn = layer("rnn", "recurrent", "x", cell="gru", hidden=6, weights="binary")
    network = Network(
        NetworkConfig.model_validate(
            module(rnn, layer("out", "linear", "rnn", width=3), width=4, out="out")
        )
    )
    network.restrict()
    names = [name for name, _ in network.named_parameters()]
    assert any("rnn" in name and "parametrizations" in name for name in names)
    assert not any("out" in name and "parametrizations" in name for name in names)
    added = {**rnn, "inputs": ["x", "more"]}
    with pytest.raises(UsageError, match="weights is 'binary', and it has a second input"):
        Network(
            NetworkConfig.model_validate(
                module(layer("more", "linear", "x", width=18), added, width=4, out="rnn")
            )
        )


def test_float_changes_nothing(make_model: Callable[..., LanguageModel]) -> None:
    assert WEIGHTS[0] == "float"
    model = make_model()
    names = [name for name, _ in model.named_parameters()]
    model.restrict()
    assert [name for name, _ in model.named_parameters()] == names
    dumped = model.config.model_dump()
    assert not {"weights", "between"} & dumped.keys()  # as the first configurations
