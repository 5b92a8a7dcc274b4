"""Faults in what an ONNX file says of itself: names, shapes, dtypes, operator set and metadata."""

from __future__ import annotations

import json

import onnx
from _faulty import Fault
from _faulty_onnx import Change, cast, on_onnx, rename, through_input
from onnx import TensorProto, helper

from edgernn.contract import METADATA_KEY

_CONTRACT = ("contract",)


def _axis_frozen(axis: str, size: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for value in (*model.graph.input, *model.graph.output):
            for dimension in value.type.tensor_type.shape.dim:
                if dimension.dim_param == axis:
                    dimension.dim_value = size

    return change


def _input_renamed(model: onnx.ModelProto) -> None:
    rename(model, "h", "hidden_in")
    model.graph.input[1].name = "hidden_in"


def _output_renamed(model: onnx.ModelProto) -> None:
    rename(model, "c_next", "cell_out")
    model.graph.output[2].name = "cell_out"


def _outputs_reordered(model: onnx.ModelProto) -> None:
    logits, h, c = model.graph.output
    outputs = [logits, c, h]
    del model.graph.output[:]
    model.graph.output.extend(outputs)


def _state_output_missing(model: onnx.ModelProto) -> None:
    del model.graph.output[2]


def _half_state_declared(model: onnx.ModelProto) -> None:
    for value in model.graph.input[1:]:
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
        through_input(model, value.name, cast(value.name, f"{value.name}_used", TensorProto.FLOAT))


def _int32_tokens_declared(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def _metadata_of_another(model: onnx.ModelProto) -> None:
    own = json.loads(model.metadata_props[0].value)
    own["contract"]["sizes"]["hidden"] = 512
    helper.set_model_props(model, {METADATA_KEY: json.dumps(own)})


def _metadata_missing(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def _metadata_damaged(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = model.metadata_props[0].value[:-9]


def _newer_than_promised(model: onnx.ModelProto) -> None:
    model.ir_version = 10
    model.opset_import[0].version = 21


def _newer_container(model: onnx.ModelProto) -> None:
    model.ir_version = 10


FAULTS = (
    Fault(
        "time frozen in the shapes",
        "the exporter froze the example's T (pytorch#191855)",
        on_onnx(_axis_frozen("time", 3)),
        _CONTRACT,
        r"tokens has shape \[batch, 3\], expected \[batch, time\]",
    ),
    Fault(
        "batch frozen in the shapes",
        "the exporter froze the example's B (onnxruntime#8581)",
        on_onnx(_axis_frozen("batch", 2)),
        _CONTRACT,
        r"h has shape \[2, 2, 8\], expected \[2, batch, 8\]",
    ),
    Fault(
        "input renamed",
        "clients broke (WhisperLive#254)",
        on_onnx(_input_renamed),
        _CONTRACT,
        "inputs are .*hidden_in",
    ),
    Fault(
        "output renamed",
        "a new exporter's own names",
        on_onnx(_output_renamed),
        _CONTRACT,
        "outputs are .*cell_out",
    ),
    Fault(
        "outputs reordered",
        "hosts that bind by position",
        on_onnx(_outputs_reordered),
        _CONTRACT,
        "outputs are .*'c_next', 'h",
    ),
    Fault(
        "a state output missing",
        "pruned as unused",
        on_onnx(_state_output_missing),
        _CONTRACT,
        r"outputs are \['logits', 'h_n",
    ),
    Fault(
        "float16 states declared",
        "the whole graph halved",
        on_onnx(_half_state_declared),
        _CONTRACT,
        "h is float16, expected",
    ),
    Fault(
        "int32 tokens declared",
        "ids narrowed for a phone",
        on_onnx(_int32_tokens_declared),
        _CONTRACT,
        "tokens is int32, exp",
    ),
    Fault(
        "metadata of another model",
        "a file copied over",
        on_onnx(_metadata_of_another),
        _CONTRACT,
        "metadata is another one",
    ),
    Fault(
        "metadata missing",
        "an optimiser dropped them",
        on_onnx(_metadata_missing),
        _CONTRACT,
        "no contract in its metadata",
    ),
    Fault(
        "metadata damaged",
        "cut off by a tool",
        on_onnx(_metadata_damaged),
        _CONTRACT,
        "damaged .* metadata",
    ),
    Fault(
        "operator set newer than the target",
        "upgraded after the export: the browser's runtime refuses it",
        on_onnx(_newer_than_promised),
        _CONTRACT,
        "written for opset 21, IR 10, the manifest says opset 17, IR 9",
    ),
    Fault(
        "IR newer than the target",
        "saved again by a newer onnx package",
        on_onnx(_newer_container),
        (),
        r"\bIR\b",
    ),
)
