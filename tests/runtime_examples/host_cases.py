"""What the native examples are tried on alike: texts, tokenizers of every kind, damaged
manifests, short recordings.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch

from edgernn.bundle import summary
from edgernn.data.text.spaced import spaced_pipeline
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError
from edgernn.export.pack import export_bundle
from edgernn.families.step import LOGITS
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel

KINDS = ("char", "byte", "word", "bpe", "caption", "spaced", "spaced-unknown", "caption-of-others")
SAMPLE = (
    "the quick brown fox; don't stop\nthe Éclair of 1.50 €, naïve Grüße! 你好 世界 привет мир ٣٤ "
    "\U0001f98a fox_fox  the\n"
)
POOL = (
    "abcdefghij THE.,;!?'-_()\n\n\t  "
    "0123456789éèüßÉ€你好世界приветмир٣٤\u0301\u0e33\u200d\U0001f98a\U0001d11e"
    "\u00a0\u3000\u0085\u2028\u00bd\u2167\u2019\u2010\u00aa\u0130\u03a3\ufb01\u1e9e"
    "\u0937\u094d\u0000\x1f"
)
BLOCKS = (
    (0x20, 0x250),
    (0x300, 0x370),
    (0x900, 0xA00),
    (0x3040, 0x30FF),
    (0xAC00, 0xAC20),
    (0x1F600, 0x1F620),
    (0x10, 0x30),
)


# what a reader of regular expressions must know beyond the patterns that are written today
PATTERNS = (
    r"[一-鿿]|(?:(?![一-鿿])[\p{L}\p{M}\p{N}_])+|[^\s\p{L}]+|\s",
    r"\p{L}+(?=\s)|\P{L}?[a-z0-9]+|[^a-z]+",
    r"(?:a|ab|abc)+| ?[^\S\n]+|[\-\]x-z]+|q?u?i+k*",
)


def texts(seed: int, count: int, *, newest: int = 0x10FFFF) -> list[str]:
    """Return seeded texts: words of the sample, characters that pipelines treat apart, and
    whole blocks of Unicode.
    """
    draw = random.Random(seed)
    words = SAMPLE.split(" ")
    made = ["", " ", "\n", "  \n ", "a", SAMPLE]
    while len(made) < count:
        parts = []
        for _ in range(draw.randrange(1, 12)):
            low, high = draw.choice(BLOCKS)
            anywhere = (
                chr(draw.randrange(0xE000, newest))
                if draw.random() < 0.1
                else chr(draw.randrange(low, high))
            )
            parts.append(
                draw.choice(
                    (draw.choice(words), " ", draw.choice(POOL), draw.choice(POOL), anywhere)
                )
            )
        made.append("".join(parts))
    return made


def made_of_kind(kind: str, folder: Path) -> Path:
    """Write a bundle of an untrained network whose tokens are of a kind; return its folder."""
    made = tokenizer_of(kind)
    torch.manual_seed(0)
    model = LanguageModel(LanguageConfig(vocabulary=made.vocabulary_size, hidden=12, embedding=8))
    export_bundle(Checkpoint(model, made, {}, {}), folder, to=["onnx"], steps=4)
    return folder


def tokenizer_of(kind: str) -> Tokenizer:
    """Return a small tokenizer of a kind, learned from the sample; of those of networks that others
    trained, with ids in an order of their own.
    """
    if kind in KINDS[-3:]:
        captions, unknown = kind == "caption-of-others", None if kind == "spaced" else "UNK"
        text = SAMPLE.lower() if captions else SAMPLE
        words = [*sorted({*text.split()}, reverse=True), "##x", *(["UNK"] if unknown else [])]
        words += [] if captions else ["\n"]
        vocabulary = {word: token_id for token_id, word in enumerate(words)}
        made = spaced_pipeline(vocabulary, unknown=unknown, captions=captions)
        return Tokenizer.from_json(made.to_str())
    size = 300 if kind == "bpe" else None
    return Tokenizer.build([SAMPLE] * 3, kind, minimum_count=1, vocabulary_size=size)


def with_pattern(tokenizer: Tokenizer, pattern: str) -> Tokenizer:
    """Return a tokenizer of words that cuts a text by another pattern."""
    document = json.loads(tokenizer.to_json())
    document["pre_tokenizer"]["pattern"]["Regex"] = pattern
    return Tokenizer.from_json(json.dumps(document))


def reference(tokenizer: Tokenizer, text: str) -> list[int] | None:
    """Return the ids of a text, or None where the tokenizer lacks a character."""
    try:
        return [int(token) for token in tokenizer.encode(text)]
    except DataError:
        return None


def id_lists(tokenizer: Tokenizer, seed: int, count: int) -> list[list[int]]:
    """Return seeded lists of ids, whose bytes are rarely whole characters."""
    draw = random.Random(seed)
    return [
        [draw.randrange(tokenizer.vocabulary_size) for _ in range(draw.randrange(20))]
        for _ in range(count)
    ]


def with_tokenizer(source: Path, out: Path, tokenizer: Tokenizer) -> Path:
    """Copy a bundle and give it another tokenizer, for reading tokenizers alone: the model no
    longer fits.
    """
    shutil.copytree(source, out)
    replace(out, "tokenizer.json", tokenizer.to_json().encode())
    recorded = [int(token) for token in tokenizer.encode(SAMPLE.lower(), on_unknown="skip")]

    def change(manifest: dict[str, Any]) -> None:
        manifest["tokenizer"].update(kind=tokenizer.kind, text=SAMPLE.lower(), ids=recorded)
        manifest["tokenizer"]["vocabulary_size"] = manifest["contract"]["sizes"]["vocab"] = (
            tokenizer.vocabulary_size
        )

    edit(out, change)
    return out


def copied(source: Path, out: Path) -> Path:
    """Copy a bundle, to be changed."""
    shutil.copytree(source, out)
    return out


def changed(source: Path, out: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Copy a bundle and change its manifest."""
    edit(copied(source, out), change)
    return out


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest of a bundle."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def replace(folder: Path, name: str, content: bytes) -> None:
    """Write a file of a bundle with its new size and digest, so that what it holds is what is
    judged.
    """
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit(folder, lambda manifest: manifest["files"].update({name: digest}))


def promise(**promised: Any) -> Callable[[dict[str, Any]], None]:
    """Return an edit that takes from each artifact what its golden run allows, and gives this."""

    def edit(manifest: dict[str, Any]) -> None:
        for artifact in manifest["artifacts"]:
            for name in ("tolerance", "forced", "parity"):
                artifact.pop(name, None)
            artifact.update(promised)

    return edit


_TIGHT, _WIDE = 1e-12, 9.0  # what no file keeps, and what every file keeps
_FLOAT, _ROUNDED = "onnx/step.onnx", "onnx/step-int8.onnx"
# what a manifest promises for a file, what the check then allows, and whether layer by layer
PROMISES: dict[str, tuple[Callable[[dict[str, Any]], None], str, float, bool]] = {
    "its own": (promise(tolerance=_TIGHT, forced=False), _FLOAT, _TIGHT, False),
    "its own, forced": (promise(tolerance=_WIDE, forced=True), _FLOAT, _WIDE, True),
    "its own, chained": (promise(tolerance=_WIDE), _ROUNDED, _WIDE, False),
    "its own before that of version 1": (
        promise(tolerance=_WIDE, forced=False, parity={"tolerance": _TIGHT}),
        _ROUNDED,
        _WIDE,
        False,
    ),
    "that of version 1": (promise(parity={"tolerance": _TIGHT}), _FLOAT, _TIGHT, False),
    "that of version 1, in integers": (promise(parity={"tolerance": _WIDE}), _ROUNDED, _WIDE, True),
}


def empty_vectors(folder: Path, key: str) -> None:
    """Leave none of the sampler's recorded ``uniforms`` or ``tokens``."""
    vectors = json.loads((folder / "sampler.json").read_text("utf-8"))
    replace(folder, "sampler.json", json.dumps({**vectors, key: []}).encode())


def shorten_golden(folder: Path, *, columns: int = 5, largest: int = 4) -> None:
    """Record of the logits what a run of a large vocabulary has: some columns, the largest
    values and the log-sum.
    """
    tensors = safetensors.numpy.load_file(folder / "golden.safetensors")
    logits = tensors.pop(LOGITS)
    ids = np.round(np.linspace(0, logits.shape[-1] - 1, columns)).astype(np.int64)
    top = np.argsort(-logits, axis=-1, kind="stable")[..., :largest].astype(np.int64)
    tensors |= {f"{LOGITS}.columns": ids, f"{LOGITS}.largest_ids": top}
    tensors |= {
        name: np.ascontiguousarray(part)
        for name, part in summary.summarise(LOGITS, logits, columns=ids, ids=top).items()
    }
    replace(folder, "golden.safetensors", safetensors.numpy.save(tensors))


def damaged_manifests(manifest: dict[str, Any], seed: int, count: int) -> list[bytes]:
    """Return seeded manifests, each with one thing changed: a value, a field, a name; or a byte
    of its text.
    """
    draw = random.Random(seed)
    values: Sequence[Any] = (
        None,
        -1,
        0,
        1,
        0.5,
        1e26,
        2**63,
        2**31,
        True,
        "",
        "x",
        "\ud800",
        "\x00",
        "../x",
        [],
        [[]],
        {},
        {"a": 1},
    )
    made = []
    while len(made) < count:
        copy = json.loads(json.dumps(manifest))
        places = list(_places(copy))
        parent, key = draw.choice(places)
        how = draw.randrange(5)
        if how == 0:
            del parent[key]
        elif how == 1 and isinstance(parent, dict):
            parent[f"{key}x"] = parent.pop(key)
        elif how == 2:
            other, at = draw.choice(places)
            parent[key] = json.loads(json.dumps(other[at]))
        else:
            parent[key] = draw.choice(values)
        content = bytearray(json.dumps(copy).encode())
        if how == 4:
            content[draw.randrange(len(content))] = draw.randrange(256)
        made.append(bytes(content))
    return made


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = (
        list(value)
        if isinstance(value, dict)
        else list(range(len(value)))
        if isinstance(value, list)
        else []
    )
    return [place for key in keys for place in ((value, key), *_places(value[key]))]
