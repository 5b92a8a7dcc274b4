"""Small taggers that the tests of several folders share, untrained: of words and of frames."""

from __future__ import annotations

from pathlib import Path

import torch

from edgernn.data.text.spaced import spaced_pipeline
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.training.tag_network import described, frame_layers, word_layers

SIDE = 8
FRAME_LABELS, WORD_LABELS = ("still", "left", "right"), ("other", "on")
WORDS = ("<unk>", "turn", "on", "the", "lamp")


def frame_network(*, late: int = 0, cell: str = "gru", channels: int = 3) -> Network:
    """Return a tagger of frames ``[B, T, 8, 8, C]``."""
    sizes = {"height": SIDE, "width": SIDE, "channels": channels}
    recurrent = {"cell": cell, "hidden": 6}
    made = described(frame_layers((4,), 5), recurrent, sizes, FRAME_LABELS, late=late)
    return _drawn(made)


def word_network(*, late: int = 0) -> Network:
    """Return a tagger of the words ``WORDS``."""
    recurrent = {"cell": "lstm", "hidden": 6}
    sizes = {"vocab": len(WORDS)}
    return _drawn(described(word_layers(4), recurrent, sizes, WORD_LABELS, late=late))


def word_tokenizer() -> Tokenizer:
    """Return the tokenizer of ``WORDS``."""
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    return Tokenizer.from_json(spaced_pipeline(vocabulary, unknown=WORDS[0]).to_str())


def export_frames(folder: Path, *, late: int = 0, channels: int = 3, **options: object) -> Path:
    """Write the bundle of a tagger of frames."""
    checkpoint = Checkpoint(frame_network(late=late, channels=channels), None)
    export_bundle(checkpoint, folder, steps=6, **{"to": ["onnx"], **options})  # type: ignore[arg-type]
    return folder


def export_words(folder: Path, *, late: int = 0, **options: object) -> Path:
    """Write the bundle of a tagger of words."""
    checkpoint = Checkpoint(word_network(late=late), word_tokenizer())
    export_bundle(checkpoint, folder, steps=6, **{"to": ["onnx"], **options})  # type: ignore[arg-type]
    return folder


def _drawn(made: dict[str, object]) -> Network:
    torch.manual_seed(5)
    network = Network(NetworkConfig.model_validate(made)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.9, 0.9)
    return network
