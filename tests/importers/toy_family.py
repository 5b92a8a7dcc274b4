"""A toy family: a GRU language model in an file of torch.save, with names of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.importers.base import BY_CLASS, BY_KEYS, Imported, Importer, Match, Opened
from edgernn.models.language import LanguageConfig

VOCABULARY, EMBEDDING, HIDDEN = 26, 5, 6
TOLD = "the toy file does not say its alphabet; the Latin one was taken"


class Toy(Importer):
    """The toy family."""

    word = "toy"
    about = "a toy of the tests"
    sureness = BY_CLASS

    def match(self, opened: Opened) -> Match | None:
        """By one name."""
        found = "toy.U" in opened.tensors
        return Match(self.sureness, "it has toy.U") if found else None

    def read(self, opened: Opened) -> Imported:
        """One GRU."""
        names = {"toy.E": "embedding.weight", "toy.W": "recurrent.fused.weight_ih_l0"}
        names |= {"toy.U": "recurrent.fused.weight_hh_l0", "toy.O": "head.weight"}
        names |= {"toy.b": "recurrent.fused.bias_ih_l0", "toy.c": "recurrent.fused.bias_hh_l0"}
        names |= {"toy.o": "head.bias"}
        config = LanguageConfig(
            vocabulary=VOCABULARY, cell="gru", embedding=EMBEDDING, hidden=HIDDEN, layers=1
        )
        made = {names.get(name, name): array for name, array in opened.tensors.items()}
        tokenizer = Tokenizer.build(["abcdefghijklmnopqrstuvwxyz"], "char")
        return Imported(config, made, tokenizer, told=(TOLD,))


class Twin(Toy):
    """A second family that fits the same files."""

    word = "twin"
    about = "the toy's twin"


class Unsure(Toy):
    """A third, by keys alone."""

    word = "unsure"
    about = "the toy by its keys"
    sureness = BY_KEYS


def toy_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """The tensors of a toy file."""
    random = np.random.default_rng(seed)
    shapes = {"toy.E": (VOCABULARY, EMBEDDING), "toy.W": (3 * HIDDEN, EMBEDDING)}
    shapes |= {"toy.U": (3 * HIDDEN, HIDDEN), "toy.b": (3 * HIDDEN,), "toy.c": (3 * HIDDEN,)}
    shapes |= {"toy.O": (VOCABULARY, HIDDEN), "toy.o": (VOCABULARY,)}
    return {
        name: random.normal(size=shape, scale=0.5).astype(np.float32)
        for name, shape in shapes.items()
    }


def toy_run(tensors: dict[str, np.ndarray], tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Step the toy over int ``tokens [N, B]`` in float64 by torch's documented equations of a GRU;
    return ``logits [N, B, V]`` and ``h [N, 1, B, H]``.
    """
    w = {name: array.astype(np.float64) for name, array in tensors.items()}
    h = np.zeros((tokens.shape[1], HIDDEN))
    made: dict[str, list[np.ndarray]] = {"logits": [], "h": []}
    for row in tokens:
        x = w["toy.E"][row] @ w["toy.W"].T + w["toy.b"]
        y = h @ w["toy.U"].T + w["toy.c"]
        (xr, xz, xn), (yr, yz, yn) = np.split(x, 3, 1), np.split(y, 3, 1)
        r, z = 1 / (1 + np.exp(-xr - yr)), 1 / (1 + np.exp(-xz - yz))
        h = (1 - z) * np.tanh(xn + r * yn) + z * h
        made["h"].append(h[None])
        made["logits"].append(h @ w["toy.O"].T + w["toy.o"])
    return {name: np.stack(arrays) for name, arrays in made.items()}


def save(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """Write a toy checkpoint."""
    torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, path)
    return path


def rows(*kinds: type[Importer]) -> dict[str, str]:
    """Rows of the table of importers."""
    return {kind.word: f"{kind.__module__}:{kind.__name__}" for kind in kinds}
