"""Faults in how a captioner takes its pictures: prepared twice, in another order of colours or
pixels, mixed within a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import safetensors.numpy
from _faulty import Fault, sign
from _faulty_captioner import SIZE
from _faulty_onnx import Change, add_weight, cast, node, on_onnx, through_input
from onnx import TensorProto

ENCODE, PACKAGE = "onnx/encode.onnx", "coreml/encode.mlpackage"
_SAMPLE = "evaluation/held_out.safetensors"
_BOTH = ("rollout", "golden")
_SEEN = r"worst (features|feature_keys|h|c) .* at call \d+"


def _on_pixels(*makers: Callable[[onnx.ModelProto], onnx.NodeProto]) -> Change:
    """Put operators between the picture, as float32, and all that read it."""

    def change(model: onnx.ModelProto) -> None:
        chain = [make(model) for make in makers]
        names = [*(f"pixels{place}" for place in range(len(chain))), "image_used"]
        for operator, source, result in zip(chain, names, names[1:], strict=False):
            operator.input[0], operator.output[0] = source, result
        through_input(model, "image", cast("image", names[0], TensorProto.FLOAT), *chain)

    return change


def _divided(model: onnx.ModelProto) -> onnx.NodeProto:
    return node("Div", ["", add_weight(model, "largest", np.float32(255))], "")


def _mean_added(model: onnx.ModelProto) -> onnx.NodeProto:
    return node("Add", ["", add_weight(model, "mean", np.float32([123.675, 116.28, 103.53]))], "")


def _blue_first(model: onnx.ModelProto) -> onnx.NodeProto:
    return node("Gather", ["", add_weight(model, "order", np.int64([2, 1, 0]))], "", axis=3)


def _turned(model: onnx.ModelProto) -> onnx.NodeProto:
    return node("Transpose", [""], "", perm=[0, 2, 1, 3])


def _planes(model: onnx.ModelProto) -> onnx.NodeProto:
    return node("Transpose", [""], "", perm=[0, 3, 1, 2])


def _as_rows(model: onnx.ModelProto) -> onnx.NodeProto:
    return node("Reshape", ["", add_weight(model, "rows", np.int64([-1, SIZE, SIZE, 3]))], "")


def _batch_mean(model: onnx.ModelProto) -> None:
    """Each picture less a tenth of its distance from the batch's mean: exact for one picture."""
    through_input(
        model,
        "image",
        cast("image", "pixels", TensorProto.FLOAT),
        node("ReduceMean", ["pixels"], "mean_of_batch", axes=[0], keepdims=1),
        node("Sub", ["pixels", "mean_of_batch"], "away"),
        node("Mul", ["away", add_weight(model, "tenth", np.float32(0.1))], "leak"),
        node("Sub", ["pixels", "leak"], "image_used"),
    )


def _buffer_blue_first(folder: Path) -> None:
    import coremltools as ct

    path = folder / PACKAGE / "Data" / "com.apple.CoreML" / "model.mlmodel"
    spec = ct.proto.Model_pb2.Model.FromString(path.read_bytes())
    spaces = ct.proto.FeatureTypes_pb2.ImageFeatureType.ColorSpace
    spec.description.input[0].type.imageType.colorSpace = spaces.Value("BGR")
    path.write_bytes(spec.SerializeToString())
    sign(folder, PACKAGE)


def _smaller_sample(folder: Path) -> None:
    arrays = safetensors.numpy.load_file(folder / _SAMPLE)
    arrays["image"] = np.ascontiguousarray(arrays["image"][:, ::2, ::2])
    safetensors.numpy.save_file(arrays, folder / _SAMPLE)
    sign(folder, _SAMPLE)


def _fault(
    name: str,
    imitates: str,
    change: Change,
    *,
    caught_by: tuple[str, ...] = _BOTH,
    says: str = _SEEN,
    honest: str = "captioner",
) -> Fault:
    return Fault(
        name, imitates, on_onnx(change, ENCODE), caught_by, says, honest=honest, artifact=ENCODE
    )


FAULTS = (
    _fault(
        "picture divided by 255 twice",
        "preprocessing in the file and in the app",
        _on_pixels(_divided),
    ),
    _fault("picture with blue first", "OpenCV's order of colours", _on_pixels(_blue_first)),
    _fault(
        "picture with blue first, as it is written",
        "the same, seen in the captions",
        _on_pixels(_blue_first),
        caught_by=("text", "greedy"),
        says=r"\d+ of \d+ captions differ; the greedy caption of picture \d+ is",
    ),
    _fault(
        "picture with blue first, no reference",
        "the same in a release",
        _on_pixels(_blue_first),
        honest="captioner release",
    ),
    _fault(
        "mean of the pixels not subtracted", "left to an app that does not", _on_pixels(_mean_added)
    ),
    _fault("picture lying on its side", "width and height exchanged", _on_pixels(_turned)),
    _fault("colour planes read as rows", "[C, H, W] for [H, W, C]", _on_pixels(_planes, _as_rows)),
    _fault(
        "pictures of a batch leak",
        "batch normalisation left in training",
        _batch_mean,
        caught_by=("rollout", "invariance"),
        says="BROKEN: .*rows",
    ),
    Fault(
        "pixel buffer declared blue first",
        "a package edited after its export",
        _buffer_blue_first,
        ("contract",),
        "image is BGR picture, expected picture",
        honest="captioner coreml",
        artifact=PACKAGE,
    ),
    Fault(
        "held-out pictures of another size",
        "a sample made for another model",
        _smaller_sample,
        ("text", "greedy"),
        r"has pictures of \[16, 16, 3\], expected \[32, 32, 3\]",
        honest="captioner",
    ),
)
