"""The five ways of a picture to the decoder, each against its equations written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.models.cells.base import State
from edgernn.models.cells.table import cell_class
from edgernn.models.conditioning import (
    CONDITIONINGS,
    Conditioned,
    Conditioning,
    EveryStep,
    FirstToken,
    HardAttention,
    Sizes,
    SoftAttention,
)
from edgernn.models.recurrent import CellStack, RecurrentStack

B, R, F, NEAR, K, E, H, L = 3, 7, 5, 4, 6, 2, 4, 2
CELLS = ("lstm", "gru")
ATTENTIONS = ("soft-attention", "hard-attention")


def made(name: str, cell: str = "lstm", *, seed: int = 0) -> Conditioning:
    torch.manual_seed(seed)
    conditioning = CONDITIONINGS[name](Sizes(cell, L, H, E, F, NEAR, K))
    with torch.no_grad():
        for parameter in conditioning.parameters():
            parameter.add_(torch.randn_like(parameter))
    return conditioning.eval().requires_grad_(False)


def decoder(cell: str = "lstm", inputs: int = E) -> CellStack:
    torch.manual_seed(5)
    return CellStack(RecurrentStack(cell, inputs, hidden=H, layers=L).cells()).requires_grad_(False)


def rand(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 0.5


def states(cell: str) -> State:
    return tuple(rand(L, B, H, seed=20 + index) for index in range(len(cell_class(cell).states)))


def linear(layer: nn.Module, x: np.ndarray) -> np.ndarray:
    """Apply a layer's weights to ``x [..., I]``."""
    y = x @ layer.weight.numpy().T  # type: ignore[union-attr]
    return y if layer.bias is None else y + layer.bias.numpy()  # type: ignore[union-attr]


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def near(found: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


def energies(attention: SoftAttention, word: Tensor, keys: Tensor, state: State) -> np.ndarray:
    query = linear(attention.query_state, state[0][-1].numpy()) + linear(
        attention.query_word, word.numpy()
    )  # [B, K]
    return linear(attention.energy, np.tanh(keys.numpy() + query[:, None]))[..., 0]  # [B, R]


def gated(
    attention: SoftAttention, state: State, weights: np.ndarray, features: Tensor
) -> np.ndarray:
    gate = 1 / (1 + np.exp(-linear(attention.gate, state[0][-1].numpy())))  # [B, F]
    return gate * np.einsum("br,brf->bf", weights, features.numpy())


@pytest.fixture(params=CELLS)
def cell(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def image_vector(conditioning: Conditioning, regions: Tensor) -> np.ndarray:
    """The mean region, normalised (Ba et al. 2016), ``[B, F]``."""
    mean, norm = regions.numpy().mean(1), conditioning.vector.norm  # type: ignore[union-attr]
    spread = np.sqrt(mean.var(1, keepdims=True) + norm.eps)  # type: ignore[union-attr, operator]
    return (mean - mean.mean(1, keepdims=True)) / spread * norm.weight.numpy() + norm.bias.numpy()  # type: ignore[union-attr, operator]


def test_the_first_token_is_the_projected_image(cell: str) -> None:
    conditioning, regions = made("first-token", cell), rand(B, R, F)
    assert isinstance(conditioning, FirstToken)
    contexts, first = conditioning.encode(regions, decoder(cell))
    word = torch.from_numpy(
        linear(conditioning.to_word, image_vector(conditioning, regions))
    ).float()  # [B, E]
    zeros = tuple(torch.zeros(L, B, H) for _ in cell_class(cell).states)
    _, expected = decoder(cell)(word.unsqueeze(1), zeros)
    assert contexts == ()
    for found, wanted in zip(first, expected, strict=True):
        near(found, wanted.numpy())
    assert conditioning.step(rand(B, E), (), first) == Conditioned()


@pytest.mark.parametrize("name", ["initial-state", *ATTENTIONS])
def test_the_first_states_are_a_matrix_for_each_layer_and_state(name: str, cell: str) -> None:
    conditioning, regions = made(name, cell), rand(B, R, F)
    _, first = conditioning.encode(regions, decoder(cell))
    assert len(first) == len(cell_class(cell).states) == len(conditioning.to_state)  # type: ignore[arg-type]
    image = (
        image_vector(conditioning, regions) if name == "initial-state" else regions.numpy().mean(1)
    )
    for state_name, found in zip(cell_class(cell).states, first, strict=True):
        layer = conditioning.to_state[state_name]  # type: ignore[index, operator]
        assert found.shape == (L, B, H)
        for depth in range(L):
            rows = slice(depth * H, (depth + 1) * H)
            near(
                found[depth],
                np.tanh(image @ layer.weight.numpy()[rows].T + layer.bias.numpy()[rows]),
            )
    if name == "initial-state":
        assert conditioning.step(rand(B, E), (), first) == Conditioned()


def test_the_gates_of_every_step_are_the_projected_image(cell: str) -> None:
    conditioning, regions = made("every-step", cell), rand(B, R, F)
    assert isinstance(conditioning, EveryStep)
    (gates,), first = conditioning.encode(regions, decoder(cell))
    near(gates, image_vector(conditioning, regions) @ conditioning.to_gates.weight.numpy().T)
    assert gates.shape == (B, {"lstm": 4, "gru": 3}[cell] * H)
    assert [tuple(state.shape) for state in first] == [(L, B, H)] * len(cell_class(cell).states)
    assert not any(state.any() for state in first)
    conditioned = conditioning.step(rand(B, E), (gates,), states(cell))
    assert conditioned == Conditioned(gates=gates)


@pytest.mark.parametrize("layers", [1, 2])
def test_gates_are_added_to_the_first_layers_input_preactivations(cell: str, layers: int) -> None:
    """The same as a decoder whose first input bias is larger by the gates."""
    torch.manual_seed(5)
    stack = RecurrentStack(cell, E, hidden=H, layers=layers).requires_grad_(False)
    x, gates = rand(1, 1, E), rand(1, {"lstm": 4, "gru": 3}[cell] * H, seed=3)
    state = tuple(s[:layers, :1] for s in states(cell))
    with_gates = CellStack(stack.cells())(x, state, gates)
    without = CellStack(stack.cells())(x, state)
    stack.fused.bias_ih_l0.add_(gates[0])  # type: ignore[operator]
    expected = CellStack(stack.cells())(x, state)
    for found, wanted in zip(
        (with_gates[0], *with_gates[1]), (expected[0], *expected[1]), strict=True
    ):
        torch.testing.assert_close(found, wanted)
    assert (with_gates[0] - without[0]).abs().max() > 1e-3


def test_soft_attention_is_its_equations(cell: str) -> None:
    attention, regions = made("soft-attention", cell), rand(B, R, F)
    assert isinstance(attention, SoftAttention)
    (features, keys), _ = attention.encode(regions, decoder(cell))
    assert features is regions
    near(keys, linear(attention.to_keys, regions.numpy()[:, :, :NEAR]))
    word, state = rand(B, E, seed=8), states(cell)
    conditioned = attention.step(word, (features, keys), state)
    weights = softmax(energies(attention, word, keys, state))
    assert conditioned.attention is not None
    assert conditioned.joined is not None
    near(conditioned.attention, weights)
    near(conditioned.joined, gated(attention, state, weights, features))
    assert (conditioned.gates, conditioned.drawn) == (None, None)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_sums_to_one_whatever_is_fed(name: str) -> None:
    attention = made(name)
    for scale in (0.0, 1.0, 100.0, 1e4):
        features, keys = scale * rand(B, R, F), scale * rand(B, R, K, seed=4)
        conditioned = attention.step(
            scale * rand(B, E), (features, keys), tuple(scale * s for s in states("lstm"))
        )
        assert conditioned.attention is not None
        assert conditioned.attention.min() >= 0
        torch.testing.assert_close(conditioned.attention.sum(1), torch.ones(B))


def test_hard_attention_takes_the_expectation_once_it_is_trained(cell: str) -> None:
    """Its draws are over: the same equations as soft attention's, and the same result every
    time.
    """
    hard, soft = made("hard-attention", cell), made("soft-attention", cell)
    assert isinstance(hard, HardAttention)
    contexts, _ = hard.encode(rand(B, R, F), decoder(cell))
    word, state = rand(B, E, seed=8), states(cell)
    conditioned, again, expected = (each.step(word, contexts, state) for each in (hard, hard, soft))
    assert conditioned.drawn is None
    for part in ("joined", "attention"):
        assert torch.equal(getattr(conditioned, part), getattr(again, part))
        assert torch.equal(getattr(conditioned, part), getattr(expected, part))


def test_hard_attention_in_training_draws_a_region_or_takes_the_expectation() -> None:
    rows = 400
    hard = made("hard-attention").train()
    assert isinstance(hard, HardAttention)
    features, keys, word = rand(1, R, F), rand(1, R, K, seed=4), rand(1, E)
    state = tuple(s[:, :1] for s in states("lstm"))
    repeated = (
        (features.repeat(rows, 1, 1), keys.repeat(rows, 1, 1)),
        tuple(s.repeat(1, rows, 1) for s in state),
    )
    torch.manual_seed(0)
    conditioned = hard.step(word.repeat(rows, 1), *repeated)
    assert conditioned.drawn is not None
    assert conditioned.joined is not None
    (attention,) = softmax(energies(hard, word, keys, state))
    regions = np.vstack([np.eye(R), attention])  # what a row may look at, the expectation last
    options = np.vstack([gated(hard, state, weights[None], features) for weights in regions])
    chosen = [int(np.abs(options - row).sum(1).argmin()) for row in conditioned.joined.numpy()]
    near(conditioned.joined, options[chosen])
    near(conditioned.drawn, np.append(np.log(attention), 0.0)[chosen])
    counts = np.bincount(chosen, minlength=R + 1) / rows
    assert abs(counts[R] - 0.5) < 0.1
    np.testing.assert_allclose(counts[:R] / counts[:R].sum(), attention, atol=0.1)


def test_the_same_seed_draws_the_same_regions() -> None:
    hard = made("hard-attention").train()
    given = rand(B, E), (rand(B, R, F), rand(B, R, K, seed=4)), states("lstm")
    drawn = []
    for seed in (3, 3, 4, 5):
        torch.manual_seed(seed)
        drawn.append(hard.step(*given).joined)
    assert torch.equal(drawn[0], drawn[1])  # type: ignore[arg-type]
    assert any(not torch.equal(drawn[0], other) for other in drawn[2:])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_rows_do_not_hear_one_another(name: str, cell: str) -> None:
    conditioning, regions, word = made(name, cell), rand(B, R, F), rand(B, E, seed=2)
    contexts, first = conditioning.encode(regions, decoder(cell))
    conditioned = conditioning.step(word, contexts, first)
    for row in range(B):
        one = slice(row, row + 1)
        own, own_first = conditioning.encode(regions[one], decoder(cell))
        alone = conditioning.step(word[one], own, own_first)
        whole = [*(context[one] for context in contexts), *(state[:, one] for state in first)]
        parts = [
            (getattr(alone, part), getattr(conditioned, part))
            for part in ("joined", "gates", "attention")
        ]
        whole += [together[one] for _, together in parts if together is not None]
        found = [*own, *own_first, *(part for part, _ in parts if part is not None)]
        for have, want in zip(found, whole, strict=True):
            torch.testing.assert_close(have, want, rtol=1e-5, atol=1e-6)
