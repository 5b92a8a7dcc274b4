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

from edgernn.contract import BATCH, FileContract
from edgernn.export.rounding.compression import Feeds
from edgernn.export.to_onnx.quantize import layer_name, products
from edgernn.families.base import Family
from edgernn.sessions.model import Model

_SEED = 7  # of inputs that are drawn


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


def row_by_row(
    feeds: Iterable[Mapping[str, np.ndarray]], file_contract: FileContract
) -> Iterator[dict[str, np.ndarray]]:
    """Yield ``feeds``, cut into as many rows as a file of ``file_contract`` takes; as they are
    where it takes any number.
    """
    rows, spec = file_contract.axis_size(BATCH), file_contract.spec
    along = {tensor.name: tensor.axis(BATCH) for tensor in spec.inputs}
    for feed in feeds:
        count = max((feed[n].shape[at] for n, at in along.items() if at is not None), default=0)
        if rows in {None, count}:
            yield dict(feed)
            continue
        for start in range(0, count, rows or 1):
            some = range(start, start + (rows or 1))
            yield {
                name: array
                if (at := along[name]) is None
                else np.take(array, some, axis=at, mode="wrap")  # the last one is filled up
                for name, array in feed.items()
            }


def feeds_from(
    family: Family, reference: Model, evaluation: Mapping[str, np.ndarray]
) -> Feeds | None:
    """Return what gives the calibration feeds of a held-out sample, or None where the sample is too
    small to spare any.

    Args:
        family: the kind of model, which says how it is fed.
        reference: the model, opened.
        evaluation: its held-out sample, or nothing; of some families a drawn one stands for it.
    """
    sample = evaluation or family.drawn(reference.contract, seed=_SEED)
    part = None if sample is None else family.spared(sample, reference.contract)
    return None if part is None else (lambda: family.calls(reference, part))


def _moment(rows: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # who takes them refuses what is not finite
        found: np.ndarray = rows.T @ rows / len(rows)
    return found
