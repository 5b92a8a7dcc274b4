"""The names of axes and tensors that the two families of edgernn's own models share."""

from __future__ import annotations

HIDDEN, VOCAB = "hidden", "vocab"
HEIGHT, WIDTH, CHANNELS, REGIONS = "height", "width", "channels", "regions"
TOKENS, LOGITS = "tokens", "logits"
IMAGE, FEATURES, FEATURE_KEYS = "image", "features", "feature_keys"
IMAGE_GATES, ATTENTION = "image_gates", "attention"
CAPTIONS = "captions"  # of a held-out sample: the references of its pictures
