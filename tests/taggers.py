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


def frame_network(
    *, late: int = 0, cell: str = "gru", channels: int = 3, width: int = SIDE
) -> Network:
    """Return a tagger of frames ``[B, T, 8, W, C]``."""
    sizes = {"height": SIDE, "width": width, "channels": channels}
    layers = [*frame_layers((4,), 5), _recurrent(cell)]
    return _drawn(described(layers, sizes, FRAME_LABELS, late=late))


def word_network(*, late: int = 0) -> Network:
    """Return a tagger of the words ``WORDS``."""
    layers = [*word_layers(4), _recurrent("lstm")]
    return _drawn(described(layers, {"vocab": len(WORDS)}, WORD_LABELS, late=late))


def word_tokenizer() -> Tokenizer:
    """Return the tokenizer of ``WORDS``."""
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    return Tokenizer.from_json(spaced_pipeline(vocabulary, unknown=WORDS[0]).to_str())


def export_frames(
    folder: Path, *, late: int = 0, channels: int = 3, width: int = SIDE, **options: object
) -> Path:
    """Write the bundle of a tagger of frames."""
    checkpoint = Checkpoint(frame_network(late=late, channels=channels, width=width), None)
    export_bundle(checkpoint, folder, steps=6, **{"to": ["onnx"], **options})  # type: ignore[arg-type]
    return folder


def export_words(folder: Path, *, late: int = 0, **options: object) -> Path:
    """Write the bundle of a tagger of words."""
    checkpoint = Checkpoint(word_network(late=late), word_tokenizer())
    export_bundle(checkpoint, folder, steps=6, **{"to": ["onnx"], **options})  # type: ignore[arg-type]
    return folder


def _recurrent(cell: str) -> dict[str, object]:
    options = {"cell": cell, "hidden": 6}
    return {"name": "rnn", "kind": "recurrent", "inputs": ["vector"], "options": options}


def _drawn(made: dict[str, object]) -> Network:
    torch.manual_seed(5)
    network = Network(NetworkConfig.model_validate(made)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.9, 0.9)
    return network
