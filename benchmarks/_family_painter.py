"""The row of painters: what a classifier that was trained on real digits alone reads in painted
ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _family_row import Figure
from _report import edgernn
from torch import nn

from edgernn.data.pictures.digits import CLASSES, draw_digits, load_digits
from edgernn.writing.painting import Painter

_SIDE, _EACH = 16, 100  # pixels; pictures of each label
_STEPS, _BATCH = 1500, 128


def digits(folder: Path, minutes: float) -> list[Figure]:
    """Train on digits into ``folder``, and read what is painted of each label."""
    return _trained(folder, minutes, "pixels")


def strokes(folder: Path, minutes: float) -> list[Figure]:
    """As ``digits``, drawn by a pen."""
    return _trained(folder, minutes, "strokes")


def _trained(folder: Path, minutes: float, form: str) -> list[Figure]:
    edgernn("train", "paint", "--form", form, "--out", folder, "--minutes", minutes)
    bundle = folder.with_name(f"{folder.name}.edgernn")
    edgernn("export", folder, "--out", bundle, "--to", "onnx", "--precision", "float32")
    return painted(bundle)


def painted(bundle: Path) -> list[Figure]:
    """Return the figures of a painter's bundle."""
    reader = _reader()
    with Painter(bundle) as painter:
        shown = {label: painter.paint(label, count=_EACH)[:, -1] for label in CLASSES}
    right = [float((_read(reader, p) == int(label)).mean()) for label, p in shown.items()]
    pictures, labels = load_digits("validation")
    real = draw_digits(pictures, _SIDE, rng=np.random.default_rng(0), varied=False) * 255
    return [
        Figure("painted digits read as their label", float(np.mean(right)), least=0.85),
        Figure("the label that is read least", min(right)),
        Figure(
            "real held-out digits, read likewise", float((_read(reader, real) == labels).mean())
        ),
    ]


def _reader() -> nn.Module:
    """Return a classifier trained on real digits, each drawn a little otherwise, alone."""
    torch.manual_seed(0)
    rng, (pictures, labels) = np.random.default_rng(1), load_digits("train")
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (_SIDE // 4) ** 2, len(CLASSES)),
    )
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(_STEPS):
        rows = rng.integers(len(pictures), size=_BATCH)
        drawn = draw_digits(pictures[rows], _SIDE, rng=rng, varied=True)
        scores = model(torch.from_numpy(drawn)[:, None])
        loss = nn.functional.cross_entropy(scores, torch.from_numpy(labels[rows]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def _read(reader: nn.Module, pictures: np.ndarray) -> np.ndarray:
    """Return the labels ``[N]`` that are read in ``pictures [N, H, W]``, 0 to 255."""
    given = torch.from_numpy(pictures.astype(np.float32) / 255)[:, None]
    with torch.no_grad():
        found: np.ndarray = reader(given).argmax(1).numpy()
    return found
