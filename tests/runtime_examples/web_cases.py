"""What the browser example is given beyond texts and captions, and what Python makes of it: two
models on one text, the state over a text, labels of texts and of words, frames of pictures and of
numbers, looks at a picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from family_networks import export_tiny, layer
from PIL import Image

from edgernn.bundle import Bundle
from edgernn.data.text.spaced import spaced_pipeline
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.families.loss import log_probabilities
from edgernn.sessions.model import choose_model
from edgernn.writing.classification import Classifier
from edgernn.writing.looks import Looker
from edgernn.writing.tags import TagWriter
from edgernn.writing.text import open_tokenizer, write_text


def read_text(bundle: Path, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return after each of T ids the log probabilities ``[T, V]`` of the next one, and the h of the
    first layer ``[T, H]``.
    """
    scores, states = [], []
    with Bundle.open(bundle) as opened:
        _, model = choose_model(opened, None)
        contexts, state = model.begin()
        for token in ids:
            outputs, state = model.step({"tokens": np.array([[token]]), **contexts}, state)
            scores.append(outputs["logits"][0, -1])
            states.append(state["h"][0, 0])
    return log_probabilities(np.stack(scores).astype(np.float64)), np.stack(states)


def compared(bundle: Path, other: Path, prompt: str, *, length: int) -> dict[str, Any]:
    """Where the greedy texts of two bundles part, and how far the second is from the first over
    the first one's: Kullback-Leibler divergences in nats.
    """
    texts = [
        write_text(each, prompt, length=length, temperature=0)["tokens"] for each in (bundle, other)
    ]
    parts = next(at for at, (a, b) in enumerate(zip(*texts, strict=True)) if a != b)
    ids = np.array([*open_tokenizer(Bundle.open(bundle)).encode(prompt), *texts[0]])
    p, q = (read_text(each, ids)[0] for each in (bundle, other))
    apart = (np.exp(p) * (p - q)).sum(-1)  # [T]
    told = {"mean": float(apart.mean()), "worst": float(apart.max()), "parts": parts}
    return {**told, "prompt": prompt, "length": length, "other": other.name}


def traced(bundle: Path, text: str) -> dict[str, Any]:
    """The range of the h of the first layer over a text."""
    states = read_text(bundle, open_tokenizer(Bundle.open(bundle)).encode(text))[1]
    ends = {"least": f"{states.min():.2f}", "most": f"{states.max():.2f}"}
    return {"text": text, "steps": len(states), "units": states.shape[1], **ends}


def tagged(folder: Path) -> dict[str, Any]:
    """Pictures of the size that a tagger sees, and the label of each."""
    bundle = export_tiny("tagger", folder / "tagged", to=["onnx"], steps=8)
    pictures = np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), np.uint8)
    (folder / "clip").mkdir()
    paths = [folder / "clip" / f"{at}.png" for at in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    with TagWriter(bundle) as writer:
        labels = [step.label for step in writer.tag(next(writer.sequences(folder / "clip")))]
    return {"bundle": bundle.name, "pictures": [str(path) for path in paths], "labels": labels}


def read(folder: Path) -> list[dict[str, Any]]:
    """A classifier of characters and a tagger of words that answers a word late; the text that each
    reads, and its shares of the labels at each token.
    """
    bundle = export_tiny("classifier", folder / "labelled", to=["onnx"], steps=8)
    with Classifier(bundle) as classifier:
        (found,) = classifier.classify([classifier.read("bad cafe").ids])
    whole = {"bundle": bundle.name, "text": "bad cafe", "tokens": [*"bad\u2423cafe"]}
    words = _tagger_of_words(folder / "tagged-words")
    with TagWriter(words) as writer:
        steps = writer.tag(writer.sentence("turn on the attic lamp"))
    each = {"bundle": words.name, "text": "turn on  the attic\nlamp"}
    return [
        {**whole, "shares": found.running.tolist(), "label": found.label},
        {**each, "tags": [[step.name, step.label, f"{step.probability:.1%}"] for step in steps]},
    ]


def _tagger_of_words(out: Path) -> Path:
    from edgernn.training.tag_network import described, word_layers

    random, words = np.random.default_rng(8), "turn on the lamp"
    ids = {word: place for place, word in enumerate([*words.split(), "<unk>"])}
    tokenizer = Tokenizer.from_json(spaced_pipeline(ids, unknown="<unk>").to_str())
    layers = [*word_layers(6), layer("rnn", "recurrent", "vector", cell="gru", hidden=8)]
    sizes = {"vocab": tokenizer.vocabulary_size}
    config = described(layers, sizes, ["other", "on", "off"], late=1)
    sample = {
        "tokens": random.integers(0, tokenizer.vocabulary_size, (40, 6)),
        "lengths": np.full(40, 6),
        "target": random.integers(0, 3, (40, 6)),
    }
    return _exported(config, sample, out, tokenizer)


def numbers(folder: Path) -> dict[str, Any]:
    """Frames of one number, and what a classifier says after the last."""
    random = np.random.default_rng(3)
    config = {
        "family": "classifier",
        "inputs": [{"name": "frames", "dtype": "float32", "axes": ["batch", "time", "features"]}],
        "sizes": {"features": 1, "classes": 2},
        "layers": [
            layer("rnn", "recurrent", "frames", cell="gru", hidden=8),
            layer("head", "linear", "rnn", width="classes"),
        ],
        "outputs": {"logits": "head"},
        "labels": {"classes": ["quiet", "loud"]},
    }
    sample = {
        "frames": random.normal(size=(40, 6, 1)).astype(np.float32),
        "lengths": np.full(40, 6),
        "target": random.integers(0, 2, 40),
    }
    bundle = _exported(config, sample, folder / "numbers")
    frames = np.round(random.normal(size=(9, 1)), 3).astype(np.float32)
    with Classifier(bundle) as classifier:
        (found,) = classifier.classify([frames])
    label, share = list(found.steps())[-1]
    rows = [f"{value:.3f}" for value in frames[:, 0]]
    return {
        "bundle": bundle.name,
        "rows": rows,
        "label": label,
        "share": f"{share:.1%}"[:-1] + " %",
    }


def looked(folder: Path, picture: Path) -> dict[str, Any]:
    """What is seen in a picture after six looks."""
    bundle = export_tiny("glimpses", folder / "looked", to=["onnx"], steps=8)
    with Looker(bundle) as looker:
        _, label, share = list(looker.look(picture, looks=6).steps())[-1]
    return {"bundle": bundle.name, "label": label, "share": f"{share:.1%}"[:-1] + " %"}


def _exported(
    config: dict[str, Any],
    sample: dict[str, np.ndarray],
    out: Path,
    tokenizer: Tokenizer | None = None,
) -> Path:
    import torch

    from edgernn.export.pack import export_bundle
    from edgernn.models.checkpoint import Checkpoint
    from edgernn.models.layered.description import NetworkConfig
    from edgernn.models.layered.network import Network

    torch.manual_seed(5)
    network = Network(NetworkConfig.model_validate(config)).eval()
    loaded = Checkpoint(network, tokenizer, {"corpus": "a test"}, sample)
    return export_bundle(loaded, out, to=["onnx"], steps=8).folder
