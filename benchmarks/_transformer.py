"""A plain character transformer, to measure against: pre-norm blocks, learned positions, tied head,
no dropout.

Run as a process: python benchmarks/_transformer.py CORPUS [--iterations 2000]; prints a line of
JSON. Of the size and course that are customary on a CPU: 64 characters of context, batch 12, 4
layers, 4 heads, 128 wide, 2,000 iterations of AdamW, cosine.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

BLOCK, BATCH, LAYERS, HEADS, WIDTH = 64, 12, 4, 4, 128
PEAK, FLOOR, WARMUP, DECAY, CLIP = 1e-3, 1e-4, 100, 0.1, 1.0
EVERY, MEASURED = 250, 20  # iterations between measurements, batches of a measurement


class Block(nn.Module):
    """Attention to what came before, then two layers on each place."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_layers = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.mixed, self.joined = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.layers = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x [B, T, E]`` with what this block adds."""
        batch, time_steps, _ = x.shape
        parts = self.mixed(self.before_attention(x)).view(
            batch, time_steps, 3, HEADS, WIDTH // HEADS
        )
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # [B, heads, T, E / heads]
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.joined(seen.transpose(1, 2).reshape(batch, time_steps, WIDTH))
        return x + self.layers(self.before_layers(x))


class Transformer(nn.Module):
    """Characters in, a score for every character out."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.characters, self.places = nn.Embedding(vocabulary, WIDTH), nn.Embedding(BLOCK, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                out = name.endswith(("joined.weight", "layers.2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * LAYERS) if out else 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``[B, T, V]`` for ``tokens [B, T]``."""
        x = self.characters(tokens) + self.places.weight[: tokens.shape[1]]
        return self.norm(self.blocks(x)) @ self.characters.weight.T


def loss_of(model: Transformer, ids: np.ndarray, random: np.random.Generator) -> Tensor:
    """Return the mean loss in nats per character of a batch drawn anywhere in ``ids``."""
    starts = random.integers(len(ids) - BLOCK - 1, size=BATCH)
    rows = torch.from_numpy(np.stack([ids[start : start + BLOCK + 1] for start in starts]))
    return nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


def rate(iteration: int, iterations: int) -> float:
    """Return the learning rate: a line up, half a cosine down."""
    if iteration < WARMUP:
        return PEAK * (iteration + 1) / WARMUP
    done = (iteration - WARMUP) / max(1, iterations - WARMUP)
    return FLOOR + 0.5 * (PEAK - FLOOR) * (1 + math.cos(math.pi * done))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--iterations", type=int, default=2000)
    chosen = parser.parse_args()
    text = chosen.corpus.read_text(encoding="utf-8")
    alphabet = {character: index for index, character in enumerate(sorted(set(text)))}
    ids = np.array([alphabet[character] for character in text], np.int64)
    train, evaluation = ids[: int(0.9 * len(ids))], ids[int(0.9 * len(ids)) :]
    torch.manual_seed(0)
    model, random = Transformer(len(alphabet)), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK, betas=(0.9, 0.99), weight_decay=DECAY, fused=True
    )
    began, course = time.perf_counter(), []
    for iteration in range(chosen.iterations + 1):
        if iteration % EVERY == 0 or iteration == chosen.iterations:
            with torch.no_grad():
                measured = (
                    sum(loss_of(model, evaluation, random).item() for _ in range(MEASURED))
                    / MEASURED
                )
            course.append([iteration, time.perf_counter() - began, measured])
        if iteration == chosen.iterations:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate(iteration, chosen.iterations)
        optimizer.zero_grad()
        loss_of(model, train, random).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    print(json.dumps({"seconds": time.perf_counter() - began, "course": course}))


if __name__ == "__main__":
    main()
