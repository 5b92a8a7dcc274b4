"""Faults of answerers of questions about pictures: weights of another kind, regions that are not
counted, what the question says that is lost, and contexts exchanged.
"""

from __future__ import annotations

import onnx
from _faulty import Fault
from _faulty_onnx import Change, on_onnx, rename, set_weight, weight
from onnx import helper

_ENCODE, _STEP = "onnx/encode.onnx", "onnx/step.onnx"
_FAR = r"worst \w+ .* at call \d+ \(tolerance 0\.0001\)"


def _one(model: onnx.ModelProto, op: str) -> onnx.NodeProto:
    """Return the operator ``op`` that there is once, or the last of them."""
    return [node for node in model.graph.node if node.op_type == op][-1]


def _softmax(model: onnx.ModelProto) -> None:
    sigmoid = _one(model, "Sigmoid")  # the gates' is before it
    sigmoid.op_type = "Softmax"
    sigmoid.attribute.append(helper.make_attribute("axis", -1))


def _not_summed(model: onnx.ModelProto) -> None:
    """Give the mean where the count is to be."""
    reduced = _one(model, "ReduceSum")
    reduced.op_type = "ReduceMean"
    del reduced.input[1:]  # its axes, which are an attribute of a mean in this opset
    reduced.attribute.append(helper.make_attribute("axes", [-1]))


def _count_left_out(model: onnx.ModelProto) -> None:
    """Take what the gist makes of the count for what is counted."""
    counted = next(
        node for node in model.graph.node if _one(model, "ReduceSum").output[0] in node.input
    )
    counted.op_type = "Identity"
    counted.input[:] = [name for name in counted.input if "ReduceSum" not in name]


def _zero(part: str) -> Change:
    """Set a bias to zero."""

    def change(model: onnx.ModelProto) -> None:
        name = f"model.layers.{part}"
        set_weight(model, name, 0 * weight(model, name))

    return change


def _keys_for_values(model: onnx.ModelProto) -> None:
    """Look for keys where values are, and the reverse."""
    rename(model, "features", "held")
    rename(model, "feature_keys", "features")
    rename(model, "held", "feature_keys")


def _other_keys(model: onnx.ModelProto) -> None:
    """Make the keys with the matrix of the values."""
    values, keys = [node for node in model.graph.node if node.op_type == "MatMul"]
    keys.input[1] = values.input[1]


def _noise_left_in(model: onnx.ModelProto) -> None:
    """Add to the gist what training adds: numbers drawn anew at every call."""
    gist = _one(model, "Tanh").output[0]
    rename(model, gist, "gist_drawn")
    nodes = list(model.graph.node)
    at = next(place for place, node in enumerate(nodes) if "gist_drawn" in node.output)
    nodes[at].output[0] = gist
    drawn = [
        helper.make_node("RandomNormalLike", [gist], ["noise"], scale=0.1, seed=1.0),
        helper.make_node("Add", [gist, "noise"], ["gist_drawn"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*nodes[: at + 1], *drawn, *nodes[at + 1 :]])


def _fault(
    name: str,
    imitates: str,
    change: Change,
    artifact: str = _STEP,
    caught_by: tuple[str, ...] = ("rollout", "golden"),
) -> Fault:
    return Fault(
        name,
        imitates,
        on_onnx(change, artifact),
        caught_by,
        _FAR,
        honest="answerer",
        artifact=artifact,
    )


FAULTS = (
    _fault("sigmoid exchanged for softmax", "the usual attention", _softmax),
    _fault("the count of regions a mean", "another reduction", _not_summed),
    _fault("the count of regions dropped", "an operator passed over", _count_left_out),
    _fault("the threshold's bias dropped", "a bias lost", _zero("look.threshold.bias")),
    _fault("the query's bias dropped", "a bias lost", _zero("look.query.bias")),
    _fault("keys taken for values", "bound by position", _keys_for_values),
    _fault("keys from the values' matrix", "another layer's weights", _other_keys, _ENCODE),
    _fault("noise of training left in", "exported in training mode", _noise_left_in),
)
