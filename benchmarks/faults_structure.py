"""Faults that no sample shows: right at every size that is tried, kept from call to call, drawn by
chance.
"""

from __future__ import annotations

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import Change, add_weight, cast, node, on_onnx, through_output
from onnx import TensorProto, helper

_STRUCTURE = ("structure",)
_GENERATE = "onnx/generate-int4.onnx"
_LONG, _MANY = 90, 3  # steps a call, rows a call: more than samples of short calls and few rows try


def _size_of_tokens(model: onnx.ModelProto, axis: int) -> list[onnx.NodeProto]:
    """Return operators that make ``size``, int64 ``[]``, of an axis of ``tokens``."""
    place = add_weight(model, "place", np.array(axis, np.int64))
    return [node("Shape", ["tokens"], "sizes"), node("Gather", ["sizes", place], "size")]


def _excess(axis: int, most: int) -> Change:
    """Add a thousandth of how far a size is above ``most`` to the logits, with no branch at all."""

    def change(model: onnx.ModelProto) -> None:
        through_output(
            model,
            "logits",
            *_size_of_tokens(model, axis),
            cast("size", "size_float", TensorProto.FLOAT),
            node("Sub", ["size_float", add_weight(model, "most", np.float32(most))], "above"),
            node("Relu", ["above"], "excess"),
            node("Mul", ["excess", add_weight(model, "small", np.float32(0.001))], "added"),
            node("Add", ["logits_raw", "added"], "logits"),
        )

    return change


def _chosen(axis: int, most: int) -> Change:
    """Give other logits where a size is above ``most``."""

    def change(model: onnx.ModelProto) -> None:
        through_output(
            model,
            "logits",
            *_size_of_tokens(model, axis),
            node("Greater", ["size", add_weight(model, "most", np.array(most, np.int64))], "large"),
            node(
                "Mul", ["logits_raw", add_weight(model, "other", np.float32(1.01))], "logits_other"
            ),
            node("Where", ["large", "logits_other", "logits_raw"], "logits"),
        )

    return change


def _branched(model: onnx.ModelProto) -> None:
    """The same with a branch."""
    out = helper.make_tensor_value_info("branch", TensorProto.FLOAT, None)
    add_weight(model, "other", np.float32(1.01))
    then = helper.make_graph([node("Mul", ["logits_raw", "other"], "branch")], "then", [], [out])
    same = helper.make_graph(
        [node("Identity", ["logits_raw"], "branch_same")], "same", [], [_named(out, "branch_same")]
    )
    through_output(
        model,
        "logits",
        *_size_of_tokens(model, 1),
        node("Greater", ["size", add_weight(model, "most", np.array(_LONG, np.int64))], "large"),
        node("If", ["large"], "logits", then_branch=then, else_branch=same),
    )


def _named(info: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    copied = onnx.ValueInfoProto()
    copied.CopyFrom(info)
    copied.name = name
    return copied


def _counted_in_data(model: onnx.ModelProto) -> None:
    """Count the steps of a call as a sum of ones, without ever reading a size."""
    through_output(
        model,
        "logits",
        node("Mul", ["logits_raw", add_weight(model, "nothing", np.float32(0))], "zeros"),
        node("Add", ["zeros", add_weight(model, "one", np.float32(1))], "ones"),
        node("ReduceSum", ["ones", add_weight(model, "over", np.array([1], np.int64))], "count"),
        node("Sub", ["count", add_weight(model, "most", np.float32(_LONG))], "above"),
        node("Relu", ["above"], "excess"),
        node("Add", ["logits_raw", "excess"], "logits"),
    )


def _later_steps_differ(model: onnx.ModelProto) -> None:
    """Cut a call after its 90th step and change what comes after."""
    for name, value in {"zero": 0, "cut": _LONG, "end": 1 << 62, "axis": 1}.items():
        add_weight(model, name, np.array([value], np.int64))
    through_output(
        model,
        "logits",
        node("Slice", ["logits_raw", "zero", "cut", "axis"], "early"),
        node("Slice", ["logits_raw", "cut", "end", "axis"], "late"),
        node("Mul", ["late", add_weight(model, "other", np.float32(1.01))], "late_other"),
        node("Concat", ["early", "late_other"], "logits", axis=1),
    )


def _running_sum(model: onnx.ModelProto) -> None:
    """Add what earlier steps of the same call gave, too little to see in a short call."""
    through_output(
        model,
        "logits",
        node("CumSum", ["logits_raw", add_weight(model, "axis", np.array(1, np.int64))], "sum"),
        node("Mul", ["sum", add_weight(model, "small", np.float32(1e-9))], "added"),
        node("Add", ["logits_raw", "added"], "logits"),
    )


def _counted_by_a_layer(model: onnx.ModelProto) -> None:
    """Count the steps of a call with a recurrent layer that begins anew at every call."""
    width = model.graph.output[0].type.tensor_type.shape.dim[2].dim_value
    weights = {"w": np.zeros((1, 1, width)), "r": np.ones((1, 1, 1)), "b": np.float32([[1, 0]])}
    names = [add_weight(model, name, value.astype(np.float32)) for name, value in weights.items()]
    add_weight(model, "first", np.array([1], np.int64))
    through_output(
        model,
        "logits",
        node("Transpose", ["logits_raw"], "by_time", perm=[1, 0, 2]),
        node("RNN", ["by_time", *names], "counts", hidden_size=1, activations=["Relu"]),
        node("Squeeze", ["counts", "first"], "count"),
        node("Transpose", ["count"], "count_by_row", perm=[1, 0, 2]),
        node("Sub", ["count_by_row", add_weight(model, "most", np.float32(_LONG))], "above"),
        node("Relu", ["above"], "excess"),
        node("Add", ["logits_raw", "excess"], "logits"),
    )


def _rows_from_a_table(model: onnx.ModelProto) -> None:
    """Take rows in an order that a table of four sets: right for up to four rows."""
    order = add_weight(model, "order", np.array([0, 1, 2, 3, 3, 3, 3, 3], np.int64))
    add_weight(model, "zero", np.array([0], np.int64))
    through_output(
        model,
        "logits",
        *_size_of_tokens(model, 0),
        node("Unsqueeze", ["size", "zero"], "rows"),
        node("Slice", [order, "zero", "rows", "zero"], "taken"),
        node("Gather", ["logits_raw", "taken"], "logits", axis=0),
    )


def _another_layout(model: onnx.ModelProto) -> None:
    """Exchange time and batch of the logits by a reshape: right where one of them is 1."""
    through_output(
        model,
        "logits",
        node("Transpose", ["logits_raw"], "by_time", perm=[1, 0, 2]),
        node("Shape", ["logits_raw"], "shape"),
        node("Reshape", ["by_time", "shape"], "logits"),
    )


def _noise(model: onnx.ModelProto) -> None:
    through_output(
        model,
        "logits",
        node("RandomNormalLike", ["logits_raw"], "noise", scale=1e-8),
        node("Add", ["logits_raw", "noise"], "logits"),
    )


def _tokens_that_occur(model: onnx.ModelProto) -> None:
    """Add how many tokens are not 0, times nothing."""
    through_output(
        model,
        "logits",
        node("NonZero", ["tokens"], "places"),
        node("Size", ["places"], "count"),
        cast("count", "count_float", TensorProto.FLOAT),
        node("Mul", ["count_float", add_weight(model, "nothing", np.float32(0))], "added"),
        node("Add", ["logits_raw", "added"], "logits"),
    )


def _late_tokens_differ(model: onnx.ModelProto) -> None:
    """In the loops that write: the likeliest token is another one from the 5,000th on."""
    for loop in [entry for entry in model.graph.node if entry.op_type == "Loop"][1:]:
        (body,) = (attribute.g for attribute in loop.attribute if attribute.name == "body")
        chosen = body.output[1].name  # carried on as the next token
        for inner in body.node:
            inner.output[:] = [f"{chosen}_raw" if name == chosen else name for name in inner.output]
        late, none = f"{body.name}_late", f"{body.name}_none"
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(5000, np.int64), late))
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(np.zeros((1, 1), np.int64), none)
        )
        body.node.append(node("Greater", [body.input[0].name, late], f"{body.name}_is_late"))
        body.node.append(node("Where", [f"{body.name}_is_late", none, f"{chosen}_raw"], chosen))


def _fault(name: str, imitates: str, change: Change, says: str, **more: str) -> Fault:
    return Fault(
        name,
        imitates,
        on_onnx(change, more.get("artifact", "onnx/step.onnx")),
        _STRUCTURE,
        says,
        **more,
    )


_SIZE = "computes with the size of an axis|makes a number of the size"
FAULTS = (
    _fault(
        "wrong in calls of more than 90 steps",
        "a table of positions that ends",
        _excess(1, _LONG),
        _SIZE,
    ),
    _fault("wrong with more than 3 rows", "memory for three rows", _excess(0, _MANY), _SIZE),
    _fault(
        "other logits in long calls",
        "a fast path for short prompts",
        _chosen(1, _LONG),
        "depends on a size",
    ),
    _fault(
        "other logits of many rows",
        "a fast path for single rows",
        _chosen(0, _MANY),
        "depends on a size",
    ),
    _fault(
        "a branch on the length of a call", "a path for prefill", _branched, r"If \(.*\) branches"
    ),
    _fault(
        "steps counted as a sum of ones",
        "a mask's sum",
        _counted_in_data,
        r"ReduceSum .* along the axis time mixes",
    ),
    _fault(
        "steps counted by a layer",
        "a state left out of the contract",
        _counted_by_a_layer,
        "RNN .* begins anew at every call",
    ),
    _fault(
        "steps after the 90th differ",
        "a window",
        _later_steps_differ,
        r"Slice .* along the axis time mixes",
    ),
    _fault(
        "earlier steps leak into later ones",
        "a running mean over a call",
        _running_sum,
        r"CumSum .* axis time mixes",
    ),
    _fault(
        "rows in the order of a table of eight",
        "indices of the example baked in",
        _rows_from_a_table,
        "size of an axis",
    ),
    _fault(
        "time and batch exchanged by a reshape",
        "a view for a transposition",
        _another_layout,
        "fits at one size alone",
    ),
    _fault(
        "noise too small to see",
        "dropout left in with a small rate",
        _noise,
        "RandomNormalLike .* draws random numbers",
    ),
    _fault(
        "tokens counted",
        "a mask made of the tokens",
        _tokens_that_occur,
        "NonZero .* size depends on data",
    ),
    _fault(
        "tokens after the 5,000th differ",
        "a counter that runs over",
        _late_tokens_differ,
        r"Greater .* is decided by the size of an axis or a count alone",
        honest="int4",
        artifact=_GENERATE,
    ),
)
