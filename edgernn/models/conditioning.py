"""How a picture reaches the decoder: the three classic ways, soft and hard attention; one class and
one row each.

A conditioning turns region vectors ``a [B, R, F]`` into **contexts**, computed once, and **first
states**, and at every step says what goes into the decoder beside the word: a vector joined to its
embedding, or an addition to its gates.

Sources: first token: Vinyals et al. 2015 (https://arxiv.org/abs/1411.4555); every step: Karpathy &
Fei-Fei 2015 and Mao et al. 2015; the terms and their comparison: Tanti et al. 2018; attention: Xu
et al. 2015 (https://arxiv.org/abs/1502.03044).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import State
from edgernn.models.cells.table import cell_class
from edgernn.models.compact import CompactStack
from edgernn.models.deep import DeepStack
from edgernn.models.recurrent import CellStack, zero_state

Tensors = tuple[Tensor, ...]
Decoder = CellStack | DeepStack | CompactStack


@dataclass(frozen=True)
class Sizes:
    """What a conditioning must know of its decoder: the cell, L, H, E, F, of those the near ones,
    and K, the keys' width.
    """

    cell: str
    layers: int
    hidden: int
    embedding: int
    features: int
    near: int
    keys: int


@dataclass(frozen=True)
class Conditioned:
    """What the decoder is given of the picture at one step.

    Attributes:
        joined: ``[B, F]``, joined to the word's embedding, or None.
        gates: ``[B, gH]``, added to the first layer's gates, or None.
        attention: ``[B, R]``, where it looked: sums to 1; or None.
        drawn: ``[B]``, log-probability of the region that was drawn at random; None where nothing
            was.
    """

    joined: Tensor | None = None
    gates: Tensor | None = None
    attention: Tensor | None = None
    drawn: Tensor | None = None


class Conditioning(nn.Module):
    """The interface; ``joined`` is the width of what it joins to the embedding."""

    joined = 0

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes

    def encode(self, regions: Tensor, decoder: Decoder) -> tuple[Tensors, State]:
        """Turn ``regions [B, R, F]`` into contexts and first states ``[L, B, H]``, each in the
        contract's order.
        """
        raise NotImplementedError

    def step(self, word: Tensor, contexts: Tensors, state: State) -> Conditioned:
        """Say what the decoder is given beside ``word [B, E]``, given the state before the step; by
        default nothing.
        """
        return Conditioned()

    def zeros(self, like: Tensor) -> State:
        """Return states of zeros for as many rows as ``like [B, …]`` has."""
        sizes = self.sizes
        return zero_state(
            sizes.cell,
            layers=sizes.layers,
            batch=like.shape[0],
            hidden=sizes.hidden,
            device=like.device,
        )


class ImageVector(nn.Module):
    """The picture as one vector: the mean over its regions ``[B, R, F]``, normalised to ``[B, F]``
    (Ba et al. 2016).

    A mean over many regions is small and alike for all pictures; layer normalisation brings out
    what differs.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)

    def forward(self, regions: Tensor) -> Tensor:
        """Return the vector of each picture."""
        vector: Tensor = self.norm(regions.mean(1))
        return vector


class FirstStates(nn.ModuleDict):
    """``tanh(W v + b)`` of an image vector ``[B, F]``, a matrix for each layer and state: first
    states ``[L, B, H]``.
    """

    def __init__(self, sizes: Sizes) -> None:
        width = sizes.layers * sizes.hidden
        super().__init__(
            {name: nn.Linear(sizes.features, width) for name in cell_class(sizes.cell).states}
        )
        self.shape = (-1, sizes.layers, sizes.hidden)

    def forward(self, vector: Tensor) -> State:
        """Return the states in the contract's order."""
        return tuple(
            torch.tanh(layer(vector)).view(self.shape).transpose(0, 1) for layer in self.values()
        )


class FirstToken(Conditioning):
    """The image vector, projected to a word's width, is the first token; ``encode`` feeds it, so
    ``step`` never sees it.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.vector = ImageVector(sizes.features)
        self.to_word = nn.Linear(sizes.features, sizes.embedding)

    def encode(self, regions: Tensor, decoder: Decoder) -> tuple[Tensors, State]:
        """See ``Conditioning.encode``."""
        word = self.to_word(self.vector(regions)).unsqueeze(1)  # [B, 1, E]
        return (), decoder(word, self.zeros(regions))[1]


class InitialState(Conditioning):
    """The image vector makes the first states."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.vector = ImageVector(sizes.features)
        self.to_state = FirstStates(sizes)

    def encode(self, regions: Tensor, decoder: Decoder) -> tuple[Tensors, State]:
        """See ``Conditioning.encode``."""
        return (), self.to_state(self.vector(regions))


class EveryStep(Conditioning):
    """``W v`` of the image vector is added to the gates at every step: a weight matrix of its own,
    multiplied once.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.vector = ImageVector(sizes.features)
        self.to_gates = nn.Linear(
            sizes.features, cell_class(sizes.cell).gates * sizes.hidden, bias=False
        )

    def encode(self, regions: Tensor, decoder: Decoder) -> tuple[Tensors, State]:
        """See ``Conditioning.encode``."""
        return (self.to_gates(self.vector(regions)),), self.zeros(regions)

    def step(self, word: Tensor, contexts: Tensors, state: State) -> Conditioned:
        """See ``Conditioning.step``."""
        return Conditioned(gates=contexts[0])


class SoftAttention(Conditioning):
    r"""Additive attention over the regions, with a gated context::

        k_i = W_k a_i    e_i = w · tanh(k_i + W_q h + W_y y)
        α = softmax(e)    z = σ(W_g h) ⊙ Σ_i α_i a_i

    with h the top layer's state before the step and y the word that is fed. Xu et al. leave W_y
    out; with it, where the step looks belongs to the word that it writes, not to the one before.
    W_k sees the near features only, see ``ImageEncoder``. ``a`` and ``k`` are the contexts.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.joined = sizes.features
        self.to_state = FirstStates(sizes)
        self.to_keys = nn.Linear(sizes.near, sizes.keys)
        self.query_state = nn.Linear(sizes.hidden, sizes.keys, bias=False)
        self.query_word = nn.Linear(sizes.embedding, sizes.keys, bias=False)
        self.energy = nn.Linear(sizes.keys, 1, bias=False)
        self.gate = nn.Linear(sizes.hidden, sizes.features)

    def encode(self, regions: Tensor, decoder: Decoder) -> tuple[Tensors, State]:
        """See ``Conditioning.encode``."""
        return (regions, self.to_keys(regions[:, :, : self.sizes.near])), self.to_state(
            regions.mean(1)
        )

    def step(self, word: Tensor, contexts: Tensors, state: State) -> Conditioned:
        """See ``Conditioning.step``."""
        features, keys = contexts
        attention = torch.softmax(self._energies(word, keys, state), 1)  # [B, R]
        return self._look(features, attention, attention, state)

    def _energies(self, word: Tensor, keys: Tensor, state: State) -> Tensor:
        query = self.query_state(state[0][-1]) + self.query_word(word)  # [B, K]
        energies: Tensor = self.energy(torch.tanh(keys + query.unsqueeze(1))).squeeze(2)  # [B, R]
        return energies

    def _look(
        self,
        features: Tensor,
        attention: Tensor,
        weights: Tensor,
        state: State,
        drawn: Tensor | None = None,
    ) -> Conditioned:
        seen = torch.bmm(weights.unsqueeze(1), features).squeeze(1)  # [B, F]
        return Conditioned(
            joined=torch.sigmoid(self.gate(state[0][-1])) * seen, attention=attention, drawn=drawn
        )


class HardAttention(SoftAttention):
    """Soft attention's energies, but in training one region only, drawn at random; afterwards the
    expectation over regions.

    In training half of the rows take the expectation, too, which Xu et al. (section 4.1) do to
    lower the variance of REINFORCE; which rows, is drawn at every step. Afterwards it stands for
    the draw as it does with dropout (their section 4.2). Taking the most probable region instead
    would let a rounding decide between two nearly equal ones, and with them the rest of the run: no
    reduced precision could be held to a chained reference.
    """

    def step(self, word: Tensor, contexts: Tensors, state: State) -> Conditioned:
        """See ``Conditioning.step``."""
        if not self.training:
            return super().step(word, contexts, state)
        features, keys = contexts
        attention = torch.softmax(self._energies(word, keys, state), 1)  # [B, R]
        region = torch.multinomial(attention.detach(), 1).squeeze(1)  # [B]
        expected = torch.rand(len(region), 1, device=region.device) < 0.5  # [B, 1]
        weights = torch.where(expected, attention, _one_hot(region, attention))
        chosen = attention.gather(1, region.unsqueeze(1)).clamp(min=1e-9).log()  # [B, 1]
        drawn = torch.where(expected, torch.zeros_like(chosen), chosen).squeeze(1)
        return self._look(features, attention, weights, state, drawn)


def _one_hot(region: Tensor, like: Tensor) -> Tensor:
    return (torch.arange(like.shape[1], device=like.device) == region.unsqueeze(1)).to(
        like.dtype
    )  # [B, R]


CONDITIONINGS: dict[str, Callable[[Sizes], Conditioning]] = {
    "soft-attention": SoftAttention,
    "hard-attention": HardAttention,
    "first-token": FirstToken,
    "initial-state": InitialState,
    "every-step": EveryStep,
}
