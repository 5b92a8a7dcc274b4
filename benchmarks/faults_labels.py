"""Faults of labels: a file is called what it is not, so that it is held to a looser tolerance than
its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from _faulty import Fault, edit_manifest, sign
from faults_torchscript import Step, Three, retraced
from onnx import TensorProto, numpy_helper
from torch import Tensor

from edgernn.models.language import LanguageModel

Entry = dict[str, Any]
Change = Callable[[Path, dict[str, Entry]], None]
_STRUCTURE = ("structure",)
_ONNX, _SCRIPT = "onnx/step.onnx", "torchscript/step.pt"
_INT4, _DECODER = "onnx/step-int4.onnx", "onnx/generate-int4.onnx"
_HALF, _WHOLE = "coreml/step.mlpackage", "coreml/step-float32.mlpackage"


def _relabelled(change: Change) -> Callable[[Path], None]:
    """Change files and the manifest's entries of artifacts, by path, and make the digests right."""

    def apply(folder: Path) -> None:
        touched: list[str] = []

        def edit(manifest: dict[str, Any]) -> None:
            entries = {artifact["path"]: artifact for artifact in manifest["artifacts"]}
            change(folder, entries)
            touched.extend(entries)

        edit_manifest(folder, edit)
        for inner in touched:
            sign(folder, inner)

    return apply


def _scaled(folder: Path, inner: str, factor: float) -> None:
    """Multiply every float32 matrix of an ONNX file."""
    model = onnx.load(folder / inner)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            tensor.CopyFrom(
                numpy_helper.from_array(
                    numpy_helper.to_array(tensor) * np.float32(factor), tensor.name
                )
            )
    onnx.save(model, folder / inner)


def _called(
    precision: str, *, inner: str = _ONNX, factor: float = 1.03, claim: bool = False
) -> Change:
    """Call a float32 file another precision, its weights 3 % too large; ``claim``: list its weights
    as integers, too.
    """

    def change(folder: Path, entries: dict[str, Entry]) -> None:
        _scaled(folder, inner, factor)
        entry = entries[inner]
        weights = (
            [{**weight, "dtype": precision, "block_size": 32} for weight in entry["weights"]]
            if claim
            else []
        )
        entry.update(precision=precision, weights=weights)

    return change


def _entry(inner: str, **fields: Any) -> Change:
    return lambda folder, entries: entries[inner].update(fields)


def _weights(inner: str, **fields: Any) -> Change:
    """Say something else of the first matrix of a file."""

    def change(folder: Path, entries: dict[str, Entry]) -> None:
        entries[inner]["weights"][0].update(fields)

    return change


def _of_the_float_file(folder: Path, entries: dict[str, Entry]) -> None:
    """Put a file in float32 in the place of one in 4 bits: the encode graph stands beside it under
    its own name.
    """
    model = onnx.load(folder / _DECODER)
    for graph in _graphs(model.graph):
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "MatMulNBits" and attribute.name == "block_size":
                    attribute.i *= 2
    onnx.save(model, folder / _DECODER)


def _graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    inner = [
        attribute.g
        for node in graph.node
        for attribute in node.attribute
        if attribute.HasField("g")
    ]
    return [graph, *(found for own in inner for found in _graphs(own))]


class _InHalves(Step):
    """All weights in bfloat16, what comes out in float32."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model.bfloat16())

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h.bfloat16(), c.bfloat16())
        return logits.float(), h_next.float(), c_next.float()


def _loss(inner: str, **fields: Any) -> Change:
    def change(folder: Path, entries: dict[str, Entry]) -> None:
        loss = {
            "tokens": 90,
            "reference_perplexity": 4.0,
            "perplexity": 4.0,
            "mean_kl": 0.0,
            "top1": 1.0,
        }
        entries[inner]["loss"] = {**loss, **(entries[inner].get("loss") or {}), **fields}

    return change


def _biased(folder: Path, inner: str) -> None:
    """Make one token likelier than it is, in a file of 4 bits, whose weights are rough enough to
    hide that.
    """
    model = onnx.load(folder / inner)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("head.bias"))
    values = numpy_helper.to_array(bias).copy()
    values[1] += 2.5
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    onnx.save(model, folder / inner)


def _all_is_allowed(folder: Path, entries: dict[str, Entry]) -> None:
    _biased(folder, _INT4)
    _loss(_INT4, allowed=1e6)(folder, entries)


def _fault(name: str, imitates: str, change: Change, says: str, **more: Any) -> Fault:
    return Fault(
        name, imitates, _relabelled(change), more.pop("caught_by", _STRUCTURE), says, **more
    )


FAULTS = (
    _fault(
        "float32 called int8",
        "a label for a looser limit",
        _called("int8"),
        "no matrix is stored as int8",
    ),
    _fault("float32 called int4", "the same", _called("int4"), "no matrix is stored as int4"),
    _fault(
        "float32 called float16", "the same", _called("float16"), "no matrix is stored as float16"
    ),
    _fault(
        "float32 called smallest",
        "the same",
        _called("smallest"),
        "no matrix is stored as int4 or int8",
    ),
    _fault(
        "float32 called int8, and its weights too",
        "a list that was made for another file",
        _called("int8", claim=True),
        "the manifest lists int8 .* the file does not have it|no matrix is stored as int8",
    ),
    _fault(
        "4 bits called 8",
        "an upload under another name",
        _entry(_INT4, precision="int8", weights=[]),
        "no matrix is stored as int8|stored as int4, the precision is int8",
        honest="int4",
        artifact=_INT4,
    ),
    _fault(
        "a block size that is not so",
        "a list made before another export",
        _weights(_INT4, block_size=16),
        "in blocks of 16, the file does not have it",
        honest="int4",
        artifact=_INT4,
    ),
    _fault(
        "bits that are not so",
        "the same",
        _weights(_INT4, dtype="float32", block_size=0),
        "the manifest lists float32 .* the file does not have it",
        honest="int4",
        artifact=_INT4,
    ),
    _fault(
        "a matrix more than there is",
        "the same",
        _weights(_INT4, shape=[99, 99]),
        r"the manifest lists int. \[99, 99\]",
        honest="int4",
        artifact=_INT4,
    ),
    _fault(
        "a decoder of other blocks than its step file",
        "two exports mixed",
        _of_the_float_file,
        "onnx/step-int4.onnx has int4 .* this file does not",
        honest="int4",
        artifact=_DECODER,
    ),
    _fault(
        "Core ML float16 called palettized4",
        "a label for a looser limit",
        _entry(_HALF, precision="palettized4", weights=[]),
        "no matrix is stored as palettized4",
        honest="coreml",
        artifact=_HALF,
    ),
    _fault(
        "Core ML float32 called int8",
        "the same",
        _entry(_WHOLE, precision="int8", weights=[]),
        "no matrix is stored as int8",
        honest="coreml",
        artifact=_WHOLE,
    ),
    Fault(
        "TorchScript stored in bfloat16",
        "half of a model's bytes, unsaid",
        retraced(_InHalves),
        _STRUCTURE,
        "no matrix is stored as float32.* in bfloat16",
        artifact=_SCRIPT,
    ),
    _fault(
        "a manifest that allows itself any loss",
        "the limit set after the fact",
        _all_is_allowed,
        r"\+1\d*\.000% of perplexity was allowed at export",
        caught_by=("text",),
        honest="int4",
        artifact=_INT4,
    ),
    _fault(
        "a loss allowed in float32",
        "the limit set after the fact",
        lambda folder, entries: (
            _biased(folder, _ONNX),
            _loss(_ONNX, allowed=1e6)(folder, entries),
        )[1],
        r"at most \+0\.010%",
        caught_by=("text",),
    ),
)
