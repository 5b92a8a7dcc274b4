"""What each class of layer of Keras is in a network of layers: one row a class.

What a layer does in training alone (dropout, noise, regularisers) is left out. What needs frames
that have not come yet, or code of the user's own, is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgernn.errors import CheckpointError
from edgernn.importers.keras.architecture import KerasLayer
from edgernn.importers.keras.recurrent import base_of, recurrent_of, variable_count
from edgernn.importers.keras.task import Task


def _same(task: Task) -> str:
    return task.inputs[0]


def _masking(task: Task) -> str:
    task.sketch.told.append(
        f"the layer {task.layer.name!r} masks frames of {task.option('mask_value', 0.0)}: Keras "
        "leaves such steps out, here each is a step; feed none"
    )
    return task.inputs[0]


def _embedding(task: Task) -> str:
    if task.option("mask_zero"):
        task.sketch.told.append(
            f"the layer {task.layer.name!r} masks the id 0: Keras leaves such steps out, here each "
            "is a step; feed no 0"
        )
    (matrix,) = task.variables
    return task.add("embedding", {"weight": matrix}, width=int(matrix.shape[1]))


def _dense(task: Task) -> str:
    kernel = task.variables[0]  # [I, O]
    bias = task.variables[1] if len(task.variables) > 1 else None
    name, (taken,) = task.sketch.free(task.layer.name), task.inputs
    weight = np.ascontiguousarray(kernel.T)
    return task.activated(task.sketch.linear(name, taken, weight, bias, width=task.width))


def _recurrent(task: Task) -> str:
    _tell_of_last_frame(task)
    return _stepped(task)


def _stepped(task: Task) -> str:
    """Add a layer of its own for a recurrent layer, or for a cell, which has no time to say."""
    config = task.layer.config
    made = recurrent_of(task.layer.kind, config, task.variables, version=task.version)
    name = task.sketch.free(task.layer.name)
    return task.sketch.recurrent(
        name, made.cell, [made.block], *task.inputs, cell_options=made.options
    )


def _of_cells(task: Task) -> str:
    """``RNN`` over one cell, or over stacked ones: a layer for each."""
    _tell_of_last_frame(task)
    cell = task.option("cell")
    inner = cell.get("config", {}) if isinstance(cell, Mapping) else {}
    stacked = cell.get("class_name") == "StackedRNNCells" if inner else False
    cells = inner.get("cells", ()) if stacked else [cell]
    left, value = list(task.variables), task.inputs[0]
    for described in cells:
        kind, config = described.get("class_name", ""), described.get("config", {})
        if base_of(kind) is None:
            raise task.refusal(f"is made of the cell {kind}, which is code of its own")
        count = variable_count(kind, config)
        own, left = left[:count], left[count:]
        made = KerasLayer(kind, config.get("name", kind), config, ())
        one = replace(task, layer=made, variables=own, inputs=(value,))
        value = _stepped(one)
    return value


def _tell_of_last_frame(task: Task) -> None:
    if not task.option("return_sequences"):
        task.sketch.told.append(
            f"the layer {task.layer.name!r} gave its last frame alone; here every frame gets a "
            "result, and the last one is that of Keras"
        )


def _time_distributed(task: Task) -> str:
    inner = task.option("layer")
    if not isinstance(inner, Mapping) or inner.get("class_name") not in LAYERS:
        raise task.refusal("holds no layer that is taken")
    config = {"name": task.layer.name, **inner.get("config", {})}
    layer = KerasLayer(inner["class_name"], task.layer.name, config, task.layer.inputs)
    if base_of(layer.kind) is not None:
        raise task.refusal("runs a recurrent layer inside every frame")
    return put(replace(task, layer=layer))


def _activation(task: Task) -> str:
    return task.activated(task.inputs[0])


def _sloped(function: str, *keys: str) -> Callable[[Task], str]:
    def put_it(task: Task) -> str:
        found = next((task.option(key) for key in keys if task.option(key) is not None), None)
        return task.add("activation", function=function, slope=found)

    return put_it


def _relu(task: Task) -> str:
    unusual = [k for k in ("max_value", "negative_slope", "threshold") if task.option(k)]
    if unusual:
        raise task.refusal(f"has a {unusual[0]}, which is not taken")
    return task.add("activation", function="relu")


def _softmax(task: Task) -> str:
    return task.add("activation", function="softmax")


def _prelu(task: Task) -> str:
    slopes = task.variables[0]
    if slopes.ndim != 1 and slopes.size != slopes.shape[-1]:
        raise task.refusal(f"has slopes {list(slopes.shape)} that differ from frame to frame")
    return task.add("activation", {"weight": slopes.reshape(-1)}, function="prelu")


def _merged(kind: str) -> Callable[[Task], str]:
    return lambda task: task.add(kind)


def _concatenate(task: Task) -> str:
    if task.option("axis", -1) not in (-1, 2):
        raise task.refusal(f"joins along the axis {task.option('axis')}, expected the last one")
    return task.add("concat")


def _batch_normalisation(task: Task) -> str:
    left = list(task.variables)
    weight = left.pop(0) if task.option("scale", True) else None
    bias = left.pop(0) if task.option("center", True) else None
    mean, variance = left
    if task.option("axis", -1) not in (-1, 2, [2], [-1]):
        raise task.refusal(f"acts along the axis {task.option('axis')}, expected the last one")
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    return task.add(
        "normalise",
        {
            "weight": ones if weight is None else weight,
            "bias": zeros if bias is None else bias,
            "running_mean": mean,
            "running_var": variance,
        },
        eps=float(task.option("epsilon", 1e-3)),
    )


def _layer_normalisation(task: Task) -> str:
    left = list(task.variables)
    weight = left.pop(0) if task.option("scale", True) else None
    bias = left.pop(0) if task.option("center", True) else None
    if weight is None or bias is None:
        raise task.refusal("has no scale or no centre, which is not taken")
    return task.add(
        "layer_norm", {"weight": weight, "bias": bias}, eps=float(task.option("epsilon", 1e-3))
    )


def _convolution(task: Task) -> str:
    if task.option("padding") != "causal":
        raise task.refusal(
            f"pads {task.option('padding')!r}, so that a frame's result needs later frames or "
            "fewer come out; expected causal"
        )
    if task.option("strides", [1]) not in ([1], 1) or task.option("groups", 1) != 1:
        raise task.refusal("has a stride or groups, which are not taken")
    kernel = task.variables[0]  # [K, I, O]
    tensors = {"conv.weight": np.ascontiguousarray(kernel.transpose(2, 1, 0))}  # [O, I, K]
    if len(task.variables) > 1:
        tensors["conv.bias"] = task.variables[1]
    dilation = task.option("dilation_rate", [1])
    made = task.add(
        "convolution",
        tensors,
        width=int(kernel.shape[2]),
        kernel=int(kernel.shape[0]),
        dilation=int(dilation[0] if isinstance(dilation, list) else dilation),
        bias=len(tensors) > 1,
    )
    return task.activated(made)


LAYERS: dict[str, Callable[[Task], str]] = {
    "Embedding": _embedding,
    "Dense": _dense,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "SimpleRNN": _recurrent,
    "CuDNNLSTM": _recurrent,
    "CuDNNGRU": _recurrent,
    "RNN": _of_cells,
    "TimeDistributed": _time_distributed,
    "TimeDistributedDense": _dense,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _sloped("leaky_relu", "negative_slope", "alpha"),
    "ELU": _sloped("elu", "alpha"),
    "PReLU": _prelu,
    "Softmax": _softmax,
    "Masking": _masking,
    "Add": _merged("add"),
    "Multiply": _merged("multiply"),
    "Concatenate": _concatenate,
    "BatchNormalization": _batch_normalisation,
    "LayerNormalization": _layer_normalisation,
    "Conv1D": _convolution,
    **dict.fromkeys(
        (
            *("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
            *("ActivityRegularization", "Identity"),
        ),
        _same,
    ),
}


def stepwise_problem(layer: KerasLayer) -> str:
    """Say in one line why a layer has no step; empty where it may have one."""
    config, why = layer.config, ""
    if layer.kind == "Bidirectional":
        why = (
            "runs in both directions of time: its first result needs the last frame, so there is "
            "no step; export the whole network over whole sequences with the tools of Keras instead"
        )
    elif layer.kind not in (*LAYERS, "InputLayer"):
        why = (
            "is of no class that is taken: rebuild the network in torch, and give it to edgernn "
            "export FILE.py:NAME"
        )
    elif config.get("go_backwards"):
        why = "runs backwards, from the end of time: its first step needs the last frame"
    elif config.get("return_state"):
        why = "gives its state as a result; here states are explicit anyhow"
    return f"the layer {layer.name!r} ({layer.kind}) {why}" if why else ""


def first_problem(layers: Sequence[KerasLayer]) -> str:
    """Say in one line why layers have no step; empty where they may have one.

    A direction of time without one comes before a class that is not taken, for which there may be
    another way.
    """
    problems = [problem for layer in layers if (problem := stepwise_problem(layer))]
    return min(problems, key=lambda problem: " of time: " not in problem, default="")


def put(task: Task) -> str:
    """Put a layer of Keras into the sketch; return the name of the value that it gives.

    Raises:
        CheckpointError: it has no step, its class is not taken, or its variables are those of
            another layer.
    """
    if problem := stepwise_problem(task.layer):
        raise CheckpointError(problem)
    try:
        return LAYERS[task.layer.kind](task)
    except (ValueError, IndexError, TypeError) as error:
        shapes = [list(each.shape) for each in task.variables]
        raise task.refusal(
            f"has variables {shapes}, which do not fit its class; the weights are of another model"
        ) from error
