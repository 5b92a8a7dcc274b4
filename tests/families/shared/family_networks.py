"""A tiny network of each family that is described by layers, with a sample of it: what tests export
and replay. A new family is one function and one row of ``ROWS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.data.pairs.pair_ids import pair_decoding, pair_tokenizer
from edgernn.data.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Tiny:
    """A network's description as ``NetworkConfig`` reads it, the sample of its family, the text and
    the kind of its tokenizer where it reads any, and the sizes of its open axes in files that take
    fixed ones.
    """

    config: dict[str, Any]
    sample: dict[str, np.ndarray]
    text: str | None = None
    tokens: str = "char"
    axes: dict[str, int] = field(default_factory=dict)


def layer(name: str, kind: str, *inputs: str, **options: Any) -> dict[str, Any]:
    """Return one layer of a description."""
    return {"name": name, "kind": kind, "inputs": [*inputs], "options": options}


def classifier() -> Tiny:
    """A classifier of characters."""
    text, random = "abcdefg ", np.random.default_rng(3)
    size = len(set(text))
    tokens = {"name": "tokens", "dtype": "int64", "axes": ["batch", "time"], "below": "vocab"}
    lengths = random.integers(3, 9, 48)
    config = {
        "family": "classifier",
        "inputs": [tokens],
        "sizes": {"vocab": size, "classes": 3},
        "layers": [
            layer("embedding", "embedding", "tokens", width=6),
            layer("rnn", "recurrent", "embedding", cell="lstm", hidden=8),
            layer("head", "linear", "rnn", width="classes"),
        ],
        "outputs": {"logits": "head"},
        "labels": {"classes": ["cold", "mild", "hot"]},
    }
    sample = {
        "tokens": random.integers(0, size, (48, 8)),
        "lengths": lengths,
        "target": random.integers(0, 3, 48),
    }
    return Tiny(config, sample, text)


def classifier_over(kind: str, **options: Any) -> Tiny:
    """The classifier of characters over another kind of layer, of 8 values."""
    tiny = classifier()
    over = layer("rnn", kind, "embedding", hidden=8, **options)
    layers = [over if own["name"] == "rnn" else own for own in tiny.config["layers"]]
    return replace(tiny, config={**tiny.config, "layers": layers})


def tagger_over_maps() -> Tiny:
    """The tagger of pictures whose state is maps."""
    tiny = tagger()
    layers = {own["name"]: own for own in tiny.config["layers"]}
    layers["rnn"] = layer("rnn", "conv_lstm", "pooled", width=4, kernel=3)
    layers["vector"] = layer("vector", "frame_vector", "rnn", by="mean")
    layers["head"] = layer("head", "linear", "vector", width="classes")
    order = ["pixels", "convolution", "pooled", "rnn", "vector", "head"]
    return replace(tiny, config={**tiny.config, "layers": [layers[name] for name in order]})


def answerer() -> Tiny:
    """An answerer of questions about pictures that looks at regions."""
    from edgernn.training.ask_network import AskModel, ask_network

    random, words = np.random.default_rng(4), "what colour is the small star"
    model = AskModel(image_size=32, hidden=8, embedding=6, joint=8, keys=5, values=7)
    vocabulary = 4 + len(words.split())  # and those that no word is
    config = ask_network(model, vocabulary=vocabulary, answers=("blue", "dark red", "no"))
    sample = {
        "image": random.integers(0, 256, (48, 32, 32, 3), np.uint8),
        "tokens": random.integers(4, vocabulary, (48, 6)),
        "lengths": random.integers(3, 7, 48),
        "target": random.integers(0, 3, 48),
    }
    return Tiny(config.model_dump(), sample, words, "caption")


def tagger() -> Tiny:
    """A tagger of pictures, whose labels come a frame late."""
    random, axes = np.random.default_rng(4), ["batch", "time", "height", "width", "channels"]
    pixels = {"width": 6, "kernel": 4, "stride": 2, "padding": 1, "normalise": True}
    config = {
        "family": "tagger",
        "inputs": [{"name": "frames", "dtype": "uint8", "axes": axes}],
        "sizes": {"height": 8, "width": 8, "channels": 3, "classes": 3},
        "layers": [
            layer("pixels", "frames", "frames"),
            layer("convolution", "frame_convolution", "pixels", activation="relu", **pixels),
            layer("pooled", "frame_pool", "convolution"),
            layer("vector", "frame_vector", "pooled"),
            layer("rnn", "recurrent", "vector", cell="gru", hidden=8),
            layer("head", "linear", "rnn", width="classes"),
        ],
        "outputs": {"logits": "head"},
        "labels": {"classes": ["still", "left", "right"]},
        "latency_frames": 1,
    }
    sample = {
        "frames": random.integers(0, 256, (40, 6, 8, 8, 3), np.uint8),
        "lengths": random.integers(3, 7, 40),
        "target": random.integers(-1, 3, (40, 6)),
    }
    return Tiny(config, sample)


def glimpses() -> Tiny:
    """A classifier of pictures that looks four times."""
    from edgernn.training.glimpse_network import GlimpseModel, glimpse_network

    random = np.random.default_rng(5)
    model = GlimpseModel(side=5, strides=(1, 2), hidden=8)
    config = glimpse_network(model, height=12, width=16, classes=("circle", "cross", "star"))
    sample = {
        "image": random.integers(0, 256, (48, 12, 16, 1), np.uint8),
        "location_noise": random.uniform(-0.5, 0.5, (48, 4, 2)).astype(np.float32),
        "lengths": np.full(48, 4),
        "target": random.integers(0, 3, 48),
    }
    return Tiny(config.model_dump(), sample)


def painter(form: str = "pixels") -> Tiny:
    """A painter of pictures of 6 x 8."""
    from edgernn.contract import validated
    from edgernn.training.paint_network import PaintModel, paint_network

    random = np.random.default_rng(6)
    model = validated(PaintModel, form=form, noise=4, hidden=8, embedding=3)
    config = paint_network(model, height=6, width=8, classes=("left", "right"))
    sample = {
        "label": random.integers(0, 2, 48),
        "noise": random.standard_normal((48, 3, 4)).astype(np.float32),
    }
    return Tiny(config.model_dump(), sample)


def translator() -> Tiny:
    """A translator of characters that looks at its source."""
    from edgernn.models.translator import TranslatorShape, translator_config

    random, text = np.random.default_rng(6), "abcdefg "
    vocabulary = 3 + len(set(text))
    shape = TranslatorShape(hidden=8, encoder=4, embedding=5)
    source, texts = np.zeros((40, 9), np.int64), np.zeros((40, 1, 9), np.int64)
    for row, length in enumerate(random.integers(2, 8, 40)):
        source[row, : length + 2] = random.integers(3, vocabulary, length + 2)
        words = random.integers(3, vocabulary, length)
        texts[row, 0, : length + 2] = [1, *words, 2]
    config = translator_config(shape, vocabulary, writes=pair_decoding(5))
    sample = {"source": source, "translations": texts}
    return Tiny(config.model_dump(), sample, text, "pairs", {"source": 11})


ROWS: dict[str, Callable[[], Tiny]] = {
    "answerer": answerer,
    "classifier": classifier,
    "tagger": tagger,
    "glimpses": glimpses,
    "painter": painter,
    "painter of strokes": partial(painter, "strokes"),
    "translator": translator,
}
LAYERS: dict[str, Callable[[], Tiny]] = {  # of a kind that no row above has
    "causal convolutions": partial(classifier_over, "causal_convolution", layers=2),
    "convolutional LSTM": tagger_over_maps,
    "binary weights": partial(classifier_over, "recurrent", cell="lstm", weights="binary"),
    "ternary weights": partial(classifier_over, "recurrent", cell="gru", weights="ternary"),
}


def export_tiny(word: str, out: Path, **options: Any) -> Path:
    """Export the network of a row of ``ROWS`` or ``LAYERS``, its weights drawn by a seed, to the
    bundle ``out``.
    """
    import torch

    from edgernn import formats
    from edgernn.export.pack import export_bundle
    from edgernn.export.source import ReducedOptions
    from edgernn.models.checkpoint import Checkpoint
    from edgernn.models.layered.description import NetworkConfig
    from edgernn.models.layered.network import Network

    tiny = {**ROWS, **LAYERS}[word]()
    torch.manual_seed(5)
    network = Network(NetworkConfig.model_validate(tiny.config)).eval()
    loaded = Checkpoint(network, _tokenizer(tiny), {"corpus": "a test"}, tiny.sample)
    if tiny.axes and any(row.fixed_sizes for row in formats.select(options["to"])):
        options["options"] = ReducedOptions(axes=tiny.axes)
    return export_bundle(loaded, out, **options).folder


def _tokenizer(tiny: Tiny) -> Tokenizer | None:
    if tiny.text is None or tiny.tokens != "pairs":
        text = tiny.text
        return None if text is None else Tokenizer.build([text], tiny.tokens, minimum_count=1)
    return pair_tokenizer([(tiny.text, "")])


def exported_and_verified(
    word: str, out: Path, to: str, precision: Sequence[str] = ()
) -> set[tuple[str, str]]:
    """Export a row's network to one format in some precisions, else in all, and verify it; return
    which files there are, by graph and precision. No check may fail, and the structure of each file
    must be proved.
    """
    from edgernn import formats
    from edgernn.bundle import Bundle
    from edgernn.parity.verify import verify_bundle

    precision = precision or formats.by_name(to).precisions
    bundle = Bundle.open(export_tiny(word, out, to=[to], precision=precision, steps=20))
    report = verify_bundle(bundle, steps=20)
    failed = [
        f"{artifact.path}: {check.name}: {check.status}: {check.detail}"
        for artifact in report.artifacts
        for check in artifact.checks
        if check.status == "failed" or (check.name == "structure" and check.status != "passed")
    ]
    assert report.passed and not failed, failed
    return {(artifact.graph, artifact.precision) for artifact in bundle.manifest.artifacts}
