"""The honest bundles that faults are applied to: how each is made, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from _faulty_answerer import answerer_checkpoint
from _faulty_captioner import caption_checkpoint
from _faulty_module import export_module
from _faulty_stacks import described_checkpoint
from _faulty_translator import translator_checkpoint

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export import export_bundle
from edgernn.export.operators import Operators
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.models.cells.table import CELLS, FUSED
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.few_values import settle
from edgernn.models.language import LanguageConfig, LanguageModel

STEPS = 32
TEXT = "the quick brown fox jumps over the lazy dog.\nTHE END\n" * 8
_NAMES = [a + b + c for a in "abcde" for b in "abcdefghijkl" for c in "abcdefghijkl"]
_MANY_WORDS = "\n".join(_NAMES * 2)  # 720 words, more than the recorded text has
# more than 8 bits can number
_MANY_CHARACTERS = "".join(chr(0x4E00 + index) for index in range(300))
# for a run of some hundred steps to meet each
_TOO_MANY_CHARACTERS = "".join(chr(0x4E00 + index) for index in range(3000))


@dataclass(frozen=True)
class Recipe:
    """How an honest bundle is made: the model's options, the token kind, and what is exported.

    The kind ``caption`` makes a captioner, with words and pictures of its own, ``module`` a network
    of frames, see ``_faulty_module``, ``described`` one of ``_faulty_stacks``, ``translator`` a
    translator, and ``answerer`` an answerer of questions about pictures.
    """

    model: dict[str, Any]
    to: tuple[str, ...] = ("onnx",)
    kind: str = "char"
    text: str = TEXT
    options: dict[str, Any] = field(default_factory=dict)


def low(*precisions: str) -> dict[str, Any]:
    """Return the options of an export in reduced precision; of untrained weights no text is
    measured that could lose.
    """
    return {
        "precision": list(precisions),
        "decoding": True,
        "options": ReducedOptions(budget=Budget(perplexity=1.0)),
    }


def portable(*precisions: str) -> dict[str, Any]:
    """Return the options of an export of portable ONNX; see ``low``."""
    options = ReducedOptions(budget=Budget(perplexity=1.0), operators=Operators(portable=True))
    return {"precision": list(precisions), "options": options}


RECIPES = {
    "portable": Recipe({"cell": "lstm", "hidden": 16}, options=portable("float32", "int8")),
    "portable gru": Recipe({"cell": "gru"}, options=portable("float32")),
    "lstm": Recipe({"cell": "lstm"}, to=("onnx", "torchscript")),
    "gru": Recipe({"cell": "gru"}),
    "module": Recipe({}, kind="module", options={"precision": ["float32", "int8"]}),
    "rnn_relu": Recipe({"cell": "rnn_relu"}),
    "residual": Recipe({"cell": "lstm", "layers": 3, "between": "residual"}),
    "highway": Recipe({"cell": "gru", "layers": 3, "between": "highway"}),
    "conv_lstm": Recipe({"name": "conv_lstm"}, kind="described"),
    "causal_convolution": Recipe({"name": "causal_convolution"}, kind="described"),
    "labelled": Recipe({"name": "labelled"}, kind="described"),
    **{
        f"c {weights}": Recipe(
            {"cell": "lstm", "hidden": 16, "weights": weights},
            to=("c",),
            options={**low(weights), "decoding": False, "target": "literals"},
        )
        for weights in ("binary", "ternary")
    },
    "wide": Recipe({"cell": "lstm", "layers": 1}, text=_MANY_CHARACTERS),
    "large": Recipe({"cell": "lstm", "layers": 1}, text=_TOO_MANY_CHARACTERS),
    "large decoding": Recipe(
        {"cell": "lstm", "layers": 1}, text=_TOO_MANY_CHARACTERS, options={"decoding": True}
    ),
    "learned": Recipe({"cell": "lstm", "learned_initial_state": True}),
    "learned release": Recipe(
        {"cell": "lstm", "learned_initial_state": True}, options={"release": True}
    ),
    "release": Recipe({"cell": "lstm"}, to=("onnx", "torchscript"), options={"release": True}),
    "coreml": Recipe(
        {"cell": "lstm"}, to=("coreml",), options={"precision": ["float16", "float32"]}
    ),
    "learned coreml": Recipe(
        {"cell": "lstm", "learned_initial_state": True}, to=("coreml-mlstate",)
    ),
    "openvino": Recipe({"cell": "lstm"}, to=("openvino",)),
    "openvino low": Recipe(
        {"cell": "lstm", "hidden": 16}, to=("openvino",), options=low("float32", "int8", "int4")
    ),
    **{
        f"ncnn {precision}": Recipe(
            {"cell": "lstm", "hidden": 16},
            to=("ncnn",),
            options={**low(precision), "decoding": False},
        )
        for precision in ("float32", "float16", "int8")
    },
    "ncnn gru": Recipe({"cell": "gru"}, to=("ncnn",)),
    "ncnn relu": Recipe({"cell": "rnn_relu"}, to=("ncnn",)),
    "int4": Recipe({"cell": "lstm", "hidden": 16}, options=low("int4")),
    "executorch": Recipe(
        {"cell": "lstm"},
        to=("executorch",),
        options={
            "precision": ["float32", "int8"],
            "options": ReducedOptions(budget=Budget(perplexity=1.0)),
        },
    ),
    **{
        f"c {precision}": Recipe(
            {"cell": "lstm", "hidden": 16},
            to=("c",),
            options={
                "precision": precision,
                "target": "literals",
                "options": ReducedOptions(budget=Budget(perplexity=1.0)),
            },
        )
        for precision in ("float32", "int8", "int4", "w8a8")
    },
    "captioner": Recipe({"conditioning": "soft-attention"}, kind="caption"),
    "captioner release": Recipe(
        {"conditioning": "soft-attention"}, kind="caption", options={"release": True}
    ),
    "captioner coreml": Recipe({"conditioning": "soft-attention"}, to=("coreml",), kind="caption"),
    "translator": Recipe({}, kind="translator"),
    "answerer": Recipe({}, kind="answerer"),
    "decoding": Recipe({"cell": "lstm"}, options={"decoding": True}),
    "caption decoding": Recipe(
        {"conditioning": "soft-attention"}, kind="caption", options={"decoding": True}
    ),
    "many words": Recipe({"cell": "lstm", "layers": 1}, kind="word", text=_MANY_WORDS),
    "many words release": Recipe(
        {"cell": "lstm", "layers": 1}, kind="word", text=_MANY_WORDS, options={"release": True}
    ),
    "captioner every-step": Recipe({"conditioning": "every-step"}, kind="caption"),
    **{cell: Recipe({"cell": cell, "layers": 1}) for cell in CELLS if cell not in FUSED},
}

_CHECKPOINTS = {
    "caption": caption_checkpoint,
    "described": described_checkpoint,
    "translator": translator_checkpoint,
    "answerer": answerer_checkpoint,
}


def make_bundle(recipe: Recipe, folder: Path) -> None:
    """Export a seeded model without training; no parameter is zero, so that a lost one shows."""
    if recipe.kind == "module":
        export_module(folder, to=recipe.to, steps=STEPS, more=recipe.options)
        return
    made = (
        _CHECKPOINTS[recipe.kind](**recipe.model)
        if recipe.kind in _CHECKPOINTS
        else _text_checkpoint(recipe)
    )
    export_bundle(made, folder, to=recipe.to, steps=STEPS, **recipe.options)


def _text_checkpoint(recipe: Recipe) -> Checkpoint:
    tokenizer = Tokenizer.build([recipe.text], recipe.kind)
    evaluation = {"tokens": tokenizer.encode(recipe.text)}
    return Checkpoint(make_model(tokenizer, **recipe.model), tokenizer, evaluation=evaluation)


def make_model(tokenizer: Tokenizer, *, seed: int = 3, **options: Any) -> LanguageModel:
    """Return a tiny model; embedding = hidden, so that layers could be taken for one another."""
    config = {"vocabulary": tokenizer.vocabulary_size, "hidden": 8, "layers": 2, **options}
    torch.manual_seed(seed)
    model = LanguageModel(LanguageConfig.model_validate({"embedding": config["hidden"], **config}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        settle(model.recurrent, model.config.weights)
        if model.config.cell == "rnn_relu":  # nothing else bounds its state
            for name, parameter in model.recurrent.named_parameters():
                if "weight_hh" in name:
                    parameter.mul_(0.9 / torch.linalg.matrix_norm(parameter, 2))
    return model.eval()
