"""What a step graph multiplies its matrices with on real input: the second moments by which
rounding errors are made good.

Calibration data is the end of the held-out sample, which the loss is not measured on, or a text
that the user gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import onnx
import onnxruntime

from edgernn.contract import CAPTIONS, IMAGE, TOKENS
from edgernn.data.pictures.captions import PAD_ID
from edgernn.export.rounding.compression import Feeds
from edgernn.export.to_onnx.quantize import layer_name, products
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model

_TOKENS, _PICTURES = 1024, 64  # what more of them change is not worth their time
_FEWEST_TOKENS, _FEWEST_PICTURES = 128, 8


def hessians(
    model_proto: onnx.ModelProto, feeds: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return by layer the mean of ``x xᵀ``, ``[K, K]``, over the inputs of its product.

    Args:
        model_proto: a float32 step graph; it is not changed.
        feeds: every input of it by name, call by call.
    """
    layers: dict[str, list[str]] = {}
    for node in products(model_proto):
        layers.setdefault(node.input[0], []).append(layer_name(node))
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model_proto)
    declared = {value.name for value in model_proto.graph.output}
    tapped.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in layers if name not in declared
    )
    session = onnxruntime.InferenceSession(
        tapped.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    activations: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    for feed in feeds:
        for name, array in zip(layers, session.run(list(layers), dict(feed)), strict=True):
            activations[name].append(array.reshape(-1, array.shape[-1]))
    moments = {name: _moment(np.concatenate(rows)) for name, rows in activations.items() if rows}
    return {
        layer: moments[name]
        for name, shared in layers.items()
        for layer in shared
        if name in moments
    }


def feeds_from(reference: Model, held_out: Mapping[str, np.ndarray]) -> Feeds | None:
    """Return what gives the calibration feeds of a held-out sample, or None where the sample is too
    small to spare any.

    Args:
        reference: the model, opened.
        held_out: ``tokens [N]``, or ``image [N, S, S, 3]`` and ``captions [N, K, T]``, or nothing.
    """
    step = reference.step
    if TOKENS in held_out and len(held_out[TOKENS]) >= 2 * _FEWEST_TOKENS:
        tokens = held_out[TOKENS][-min(_TOKENS, len(held_out[TOKENS]) // 2) :]
        return lambda: text_feeds(step, tokens)
    if IMAGE in held_out and len(held_out[IMAGE]) >= 2 * _FEWEST_PICTURES:
        count = min(_PICTURES, len(held_out[IMAGE]) // 2)
        return lambda: _caption_feeds(
            reference, held_out[IMAGE][-count:], held_out[CAPTIONS][-count:, 0]
        )
    return None


def text_feeds(step: Session, tokens: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of ``step`` at each of ``tokens``, int64 ``[N]``, on the reference's own
    state.
    """
    state = step.initial_state(1)
    for token in tokens:
        inputs = {TOKENS: np.array([[token]], np.int64)}
        yield {**inputs, **state}
        _, state = step.step(inputs, state)


def _caption_feeds(
    reference: Model, images: np.ndarray, captions: np.ndarray
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of the step at each word of ``captions [N, T]``, all pictures in one
    batch.
    """
    contexts, state = reference.look(images)
    longest = int((captions != PAD_ID).sum(1).max())
    for t in range(longest - 1):
        inputs = {TOKENS: captions[:, t : t + 1], **contexts}
        yield {**inputs, **state}
        _, state = reference.step(inputs, state)


def _moment(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows.T @ rows / len(rows)
    return found
