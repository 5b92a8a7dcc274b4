"""Faults between a captioner's two graphs: contexts and first states that do not arrive, and halves
that do not match.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from _faulty import OPENING, Fault, edit_manifest, on_arrays, sign
from _faulty_captioner import make_captioner
from _faulty_onnx import Change, add_weight, node, on_onnx, rename, through_input, through_output
from torch import nn

from edgernn.bundle.manifest import parse_manifest
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.models.captioner import Captioner

ENCODE, STEP = "onnx/encode.onnx", "onnx/step.onnx"
_GOLDEN, _SAMPLE = "golden.safetensors", "evaluation/held_out.safetensors"
_BOTH = ("rollout", "golden")
_SEEN = r"worst (features|feature_keys|h|c) .* at call \d+"
_SAID = r"worst (logits|attention|[hc]_next) .* at call \d+"
_GATED = "captioner every-step"
_END = np.iinfo(np.int64)


def _times(name: str, factor: float) -> Change:
    def change(model: onnx.ModelProto) -> None:
        weight = add_weight(model, f"{name}_factor", np.float32(factor))
        through_input(model, name, node("Mul", [name, weight], f"{name}_used"))

    return change


def _output_times(name: str, factor: float) -> Change:
    def change(model: onnx.ModelProto) -> None:
        weight = add_weight(model, f"{name}_factor", np.float32(factor))
        through_output(model, name, node("Mul", [f"{name}_raw", weight], name))

    return change


def _rows_rolled(name: str) -> Change:
    """Give every row the context of the row before it, the first that of the last."""

    def change(model: onnx.ModelProto) -> None:
        for bound, value in (("first", 0), ("last", -1), ("end", _END.max)):
            add_weight(model, bound, np.int64([value]))
        through_input(
            model,
            name,
            node("Slice", [name, "last", "end", "first"], f"{name}_last"),
            node("Slice", [name, "first", "last", "first"], f"{name}_rest"),
            node("Concat", [f"{name}_last", f"{name}_rest"], f"{name}_used", axis=0),
        )

    return change


def _regions_reversed(model: onnx.ModelProto) -> None:
    for name, value in (("start", -1), ("end", _END.min), ("axis", 1), ("by", -1)):
        add_weight(model, name, np.int64([value]))
    through_output(
        model, "features", node("Slice", ["features_raw", "start", "end", "axis", "by"], "features")
    )


def _baked_keys(model: onnx.ModelProto) -> None:
    """Give the keys of one picture, whatever the picture."""
    output = next(value for value in model.graph.output if value.name == "feature_keys")
    _, regions, width = (dim.dim_value for dim in output.type.tensor_type.shape.dim)
    add_weight(
        model, "baked", np.random.default_rng(0).normal(size=(1, regions, width)).astype(np.float32)
    )
    add_weight(model, "nothing", np.float32(0))
    through_output(
        model,
        "feature_keys",
        node("Mul", ["feature_keys_raw", "nothing"], "feature_keys_none"),
        node("Add", ["feature_keys_none", "baked"], "feature_keys"),
    )


def _first_states_swapped(model: onnx.ModelProto) -> None:
    rename(model, "h", "held")
    rename(model, "c", "h")
    rename(model, "held", "c")


def _energies(model: onnx.ModelProto) -> None:
    through_output(model, "attention", node("Log", ["attention_raw"], "attention"))


def _exported_again(
    inner: str, change: Callable[[Captioner], None], *, seed: int = 3
) -> Callable[[Path], None]:
    """Replace a file by an honest export of another model: ``change`` of the same, or one of
    another seed.
    """

    def apply(folder: Path) -> None:
        manifest = parse_manifest(
            (folder / "manifest.json").read_text(encoding="utf-8"), source=folder.name
        )
        options = {
            name: value for name, value in manifest.provenance.model.items() if name != "vocabulary"
        }
        model = make_captioner(Tokenizer.load(folder / "tokenizer.json"), seed=seed, **options)
        change(model)
        graph: Any = "encode" if inner == ENCODE else "step"
        OnnxExporter().export(
            model, folder / inner, precision="float32", decoding=manifest.decoding, graph=graph
        )
        sign(folder, inner)

    return apply


def _nothing(model: Captioner) -> None:
    """Leave the model as it is."""


def _statistics_lost(model: Captioner) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()


def _word_left_out(model: Captioner) -> None:
    torch.nn.init.zeros_(model.conditioning.get_parameter("query_word.weight"))


def _encode_left_out(folder: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["artifacts"] = [
            artifact for artifact in manifest["artifacts"] if artifact["path"] != ENCODE
        ]

    edit_manifest(folder, change)
    (folder / ENCODE).unlink()


def _zeros_said(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["contract"].update(initial_state={}))


def _encode(
    name: str, imitates: str, change: Change, says: str, *, honest: str = "captioner"
) -> Fault:
    return Fault(
        name, imitates, on_onnx(change, ENCODE), _BOTH, says, honest=honest, artifact=ENCODE
    )


def _step(
    name: str, imitates: str, change: Change, says: str = _SAID, *, honest: str = "captioner"
) -> Fault:
    return Fault(name, imitates, on_onnx(change, STEP), _BOTH, says, honest=honest, artifact=STEP)


def _halves(
    name: str,
    imitates: str,
    apply: Callable[[Path], None],
    caught_by: tuple[str, ...],
    says: str,
    *,
    artifact: str = STEP,
) -> Fault:
    return Fault(name, imitates, apply, caught_by, says, honest="captioner", artifact=artifact)


_another_encode = _exported_again(ENCODE, _nothing, seed=5)
FAULTS = (
    _encode(
        "h and c of encode swapped",
        "outputs bound by position",
        _first_states_swapped,
        "worst [hc] ",
    ),
    _encode("first state of zeros", "encode's states never fed", _output_times("h", 0), "worst h "),
    _encode(
        "regions in another order",
        "a grid flattened from the other end",
        _regions_reversed,
        "worst features ",
    ),
    _encode(
        "attention keys of another picture",
        "a constant baked in by tracing",
        _baked_keys,
        "worst feature_keys ",
    ),
    _encode(
        "gates of encode doubled",
        "added twice",
        _output_times("image_gates", 2),
        "worst image_gates ",
        honest=_GATED,
    ),
    _step("features of zeros", "a context never fed", _times("features", 0)),
    _step("attention keys of zeros", "a context never fed", _times("feature_keys", 0)),
    _step(
        "a step that ignores image_gates",
        "an input left unconnected",
        _times("image_gates", 0),
        honest=_GATED,
    ),
    _step(
        "energies in place of attention",
        "a map that does not sum to 1",
        _energies,
        "worst attention",
    ),
    _halves(
        "contexts of another row",
        "one user's picture in another's caption",
        on_onnx(_rows_rolled("features"), STEP),
        ("rollout", "invariance"),
        "BROKEN: .*rows",
    ),
    _halves(
        "attention deaf to the word",
        "an input optimised away",
        _exported_again(STEP, _word_left_out),
        _BOTH,
        _SAID,
    ),
    _halves(
        "encode of another training",
        "two exports mixed",
        _another_encode,
        _BOTH,
        _SEEN,
        artifact=ENCODE,
    ),
    _halves(
        "encode of another training beside a right step",
        "the same, seen in the captions",
        _another_encode,
        ("text", "greedy"),
        r"\d+ of \d+ captions differ; the greedy caption of picture \d+ is",
    ),
    _halves(
        "batch statistics lost",
        "exported before they were loaded",
        _exported_again(ENCODE, _statistics_lost),
        _BOTH,
        _SEEN,
        artifact=ENCODE,
    ),
    _halves(
        "encode file left out",
        "an incomplete bundle",
        _encode_left_out,
        ("text", "greedy"),
        "has no encode file of onnx",
    ),
    _halves(
        "first state said to be zeros",
        "a contract written by hand",
        _zeros_said,
        (OPENING,),
        "encode gives the state h, which starts otherwise",
    ),
    _halves(
        "golden run with another picture",
        "recorded from another file",
        on_arrays(_GOLDEN, lambda arrays: {**arrays, "image": 255 - arrays["image"]}),
        ("golden",),
        "1 recorded picture; " + _SEEN,
        artifact=ENCODE,
    ),
    _halves(
        "golden run with features of zeros",
        "recorded without encode",
        on_arrays(_GOLDEN, lambda arrays: {**arrays, "features": 0 * arrays["features"]}),
        ("golden",),
        _SAID,
    ),
    _halves(
        "held-out captions of another vocabulary",
        "ids of another tokenizer",
        on_arrays(_SAMPLE, lambda arrays: {**arrays, "captions": arrays["captions"] + 1000}),
        ("text",),
        "has the id 1.*, the vocabulary has",
    ),
)
