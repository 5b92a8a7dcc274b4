"""What the fault suite is made of: a fault, the honest bundles it is applied to, and the verdict on
it.

A bundle is exported honestly, one thing in it is made wrong, and the digests in its manifest are
made right again: what is left is a bundle whose files are whole and whose content lies. ``verify``
must say so, by the check whose task it is.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
import torch
from _faulty_answerer import answerer_checkpoint
from _faulty_captioner import caption_checkpoint
from _faulty_module import export_module
from _faulty_stacks import described_checkpoint
from _faulty_translator import translator_checkpoint

from edgernn.bundle import digest
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import EdgernnError
from edgernn.export import export_bundle
from edgernn.export.operators import Operators
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.models.cells.table import CELLS, FUSED
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.few_values import settle
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.parity.report.data import ArtifactReport, VerifyReport
from edgernn.parity.verify import verify_bundle

OPENING = "opening"  # stands among the names of checks for what is refused before any check is made
STEPS = 32
TEXT = "the quick brown fox jumps over the lazy dog.\nTHE END\n" * 8
_NAMES = [a + b + c for a in "abcde" for b in "abcdefghijkl" for c in "abcdefghijkl"]
_MANY_WORDS = "\n".join(_NAMES * 2)  # 720 words, more than the recorded text has
# more than 8 bits can number
_MANY_CHARACTERS = "".join(chr(0x4E00 + index) for index in range(300))
# for a run of some hundred steps to meet each
_TOO_MANY_CHARACTERS = "".join(chr(0x4E00 + index) for index in range(3000))

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fault:
    """One thing made wrong in an honest bundle.

    Attributes:
        name: unique, a few words.
        imitates: what goes wrong in the field and looks like this.
        apply: makes the thing wrong in a bundle folder, and its digests right.
        caught_by: the checks that must fail, or ``OPENING``; of these, what the honest bundle does
            not pass here is left out. Empty: whichever check says it.
        says: a pattern that must be found in what they say.
        honest: which of ``RECIPES`` it is applied to.
        artifact: the model file that is verified.
        awaits: what verify lacks to catch it; empty where it must be caught.
        trust, strict: verified with ``--trust``, which runs programs as they lie there; with
            ``--strict``, which takes what could not be checked for failed.
    """

    name: str
    imitates: str
    apply: Callable[[Path], None]
    caught_by: tuple[str, ...]
    says: str
    honest: str = "lstm"
    artifact: str = "onnx/step.onnx"
    awaits: str = ""
    trust: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Verdict:
    """What came of one fault: by which checks it was caught, and what they said.

    ``mute``: caught, but no message names the cause. ``crashed``: verify broke off with an error
    that is not edgernn's.
    """

    outcome: Literal["caught", "mute", "missed", "crashed", "not judged"]
    caught_by: tuple[str, ...]
    message: str


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


class Workshop:
    """Makes each honest bundle once, below ``scratch``, and judges faults on copies of it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.honest = cache(self._honest)
        self.honest_report = cache(self._honest_report)

    def judge(self, fault: Fault) -> Verdict:
        """Apply ``fault`` to a fresh copy of its honest bundle, verify it, and say what came of
        it.
        """
        able = {
            check.name
            for check in self.honest_report(fault.honest, fault.artifact).checks
            if check.status == "passed"
        }
        wanted = [name for name in fault.caught_by if name in able or name == OPENING]
        if fault.caught_by and not wanted:
            return Verdict(
                "not judged", (), f"verify does not make {' or '.join(fault.caught_by)} of it here"
            )
        folder = self.scratch / "faulty"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.honest(fault.honest), folder)
        fault.apply(folder)
        try:
            strict = able if fault.strict else ()
            found = complaints(folder, fault.artifact, trust=fault.trust, strict=strict)
        except Exception as error:  # noqa: BLE001 - whatever verify lets through is a finding
            return Verdict("crashed", (), f"{type(error).__name__}: {error}")
        if not found or not found.keys() >= set(wanted):
            return Verdict(
                "missed", tuple(found), "; ".join(found.values()) or "every check passes"
            )
        telling = [
            text
            for name, text in found.items()
            if name in (wanted or found) and re.search(fault.says, text)
        ]
        return Verdict(
            "caught" if telling else "mute", tuple(found), (telling or list(found.values()))[0]
        )

    def _honest(self, name: str) -> Path:
        folder = self.scratch / name
        make_bundle(RECIPES[name], folder)
        return folder

    def _honest_report(self, name: str, artifact: str) -> ArtifactReport:
        return _of(verify(self.honest(name), artifact), artifact)


def complaints(
    folder: Path, artifact: str, *, trust: bool = False, strict: Collection[str] = ()
) -> dict[str, str]:
    """Return what verify says against one file: check → message; ``OPENING`` where it refuses the
    whole bundle. Of the checks in ``strict`` also why one was not run.
    """
    try:
        report = _of(verify(folder, artifact, trust=trust), artifact)
    except EdgernnError as error:
        return {OPENING: str(error).replace(str(folder), folder.name)}
    failed = [
        check
        for check in report.checks
        if check.status == "failed" or (check.status == "not run" and check.name in strict)
    ]
    return {check.name: check.detail.replace(str(folder), folder.name) for check in failed}


def verify(folder: Path, artifact: str, *, trust: bool = False) -> VerifyReport:
    """Verify the artifacts in the family of ``artifact``."""
    return verify_bundle(folder, to=[artifact.split("/", maxsplit=1)[0]], steps=STEPS, trust=trust)


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


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest of a bundle folder in place."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def on_arrays(inner: str, change: Callable[[Arrays], Arrays]) -> Callable[[Path], None]:
    """Change the arrays of one safetensors file, and sign it."""

    def apply(folder: Path) -> None:
        arrays = change(safetensors.numpy.load_file(folder / inner))
        safetensors.numpy.save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / inner
        )
        sign(folder, inner)

    return apply


def sign(folder: Path, inner: str) -> None:
    """Make the digest of a changed file right in the manifest."""
    found = digest(folder / inner).model_dump()

    def change(manifest: dict[str, Any]) -> None:
        entries = {artifact["path"]: artifact for artifact in manifest["artifacts"]} | manifest[
            "files"
        ]
        entries[inner].update(found)

    edit_manifest(folder, change)


def _of(report: VerifyReport, artifact: str) -> ArtifactReport:
    return next(entry for entry in report.artifacts if entry.path == artifact)
