"""Captions as rows of ids: where each ends, and what is fed after its end.

A row holds a caption from the first id that is fed on, then padding: ids below 0, or 0, which no
caption of edgernn's own ends with. Where a row begins with 0, that id begins and ends a caption and
pads it (github.com/ruotianluo/ImageCaptioning.pytorch, captioning/data/dataloader.py): the first
0 after its words is its end.
"""

from __future__ import annotations

import numpy as np


def lengths(captions: np.ndarray) -> np.ndarray:
    """Return how many ids of each row of ``captions [..., T]`` are a caption's, int64 ``[...]``; 0
    of a row of padding alone.
    """
    told = captions > 0
    last = captions.shape[-1] - told[..., ::-1].argmax(-1)  # [...]
    ended = last + (captions[..., 0] == 0)
    kept = np.minimum(ended, (captions >= 0).sum(-1))
    return np.where(told.any(-1), kept, 0).astype(np.int64)


def fed(captions: np.ndarray) -> np.ndarray:
    """Return ``captions`` with ids that any model takes in place of padding below 0."""
    return np.asarray(np.maximum(captions, 0))
