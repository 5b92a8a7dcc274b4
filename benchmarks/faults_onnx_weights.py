"""Faults in the weights of an ONNX file and in the attributes that say how they are used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import safetensors.numpy
from _faulty import Fault, sign
from _faulty_onnx import ONNX, on_onnx, recurrent, reorder_gates, set_weight, weight
from onnx import helper

from edgernn.contract import TOKENS

_EVERYWHERE = ("rollout", "golden")
_WORST = r"worst \w+ .* at call \d+ \(tolerance 0\.0001\)"


def _gates_as_in_torch(model: onnx.ModelProto) -> None:
    reorder_gates(model, [0, 2, 3, 1])  # i, o, f, c → i, f, c, o


def _gru_gates_as_in_torch(model: onnx.ModelProto) -> None:
    reorder_gates(model, [1, 0, 2])  # z, r, h → r, z, h


def _reset_before_the_product(model: onnx.ModelProto) -> None:
    for node in recurrent(model):
        _attribute(node, "linear_before_reset").i = 0


def _gru_biases_merged(model: onnx.ModelProto) -> None:
    for node in recurrent(model):
        w_bias, r_bias = np.split(weight(model, node.input[3]), 2, axis=1)
        set_weight(model, node.input[3], np.concatenate([w_bias + r_bias, 0 * r_bias], axis=1))


def _recurrent_bias_dropped(model: onnx.ModelProto) -> None:
    name = recurrent(model)[1].input[3]
    w_bias, r_bias = np.split(weight(model, name), 2, axis=1)
    set_weight(model, name, np.concatenate([w_bias, 0 * r_bias], axis=1))


def _head_bias_dropped(model: onnx.ModelProto) -> None:
    set_weight(model, "model.head.bias", 0 * weight(model, "model.head.bias"))


def _one_block_by_one_percent(model: onnx.ModelProto) -> None:
    name = recurrent(model)[1].input[2]
    value = weight(model, name)  # [1, 4H, H]
    value[:, : value.shape[2]] *= 1.01
    set_weight(model, name, value)


def _layers_swapped(model: onnx.ModelProto) -> None:
    first, second = recurrent(model)
    for index in (1, 2, 3):
        first.input[index], second.input[index] = second.input[index], first.input[index]


def _embedding_off_by_one(model: onnx.ModelProto) -> None:
    set_weight(
        model, "model.embedding.weight", np.roll(weight(model, "model.embedding.weight"), 1, axis=0)
    )


def _one_embedding_row_lost(model: onnx.ModelProto) -> None:
    value = weight(model, "model.embedding.weight")
    value[-1] = 0
    set_weight(model, "model.embedding.weight", value)


def _not_a_number(model: onnx.ModelProto) -> None:
    name = recurrent(model)[0].input[2]
    value = weight(model, name)
    value[0, 3, 2] = np.nan
    set_weight(model, name, value)


def _head_bias_not_a_number(model: onnx.ModelProto) -> None:
    value = weight(model, "model.head.bias")
    value[2] = np.nan
    set_weight(model, "model.head.bias", value)


def _bfloat16_weights(model: onnx.ModelProto) -> None:
    for tensor in list(model.graph.initializer):
        value = weight(model, tensor.name)
        if value.dtype == np.float32:
            set_weight(
                model, tensor.name, (value.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
            )


def _activation_lost(model: onnx.ModelProto) -> None:
    for node in recurrent(model):
        node.attribute.remove(_attribute(node, "activations"))


def _read_backwards(model: onnx.ModelProto) -> None:
    for node in recurrent(model):
        node.attribute.append(helper.make_attribute("direction", "reverse"))


def _cells_clipped(model: onnx.ModelProto) -> None:
    for node in recurrent(model):
        node.attribute.append(helper.make_attribute("clip", 0.5))


def _head_tied_to_the_embedding(model: onnx.ModelProto) -> None:
    product = next(node for node in model.graph.node if node.op_type == "MatMul")
    set_weight(model, product.input[1], weight(model, "model.embedding.weight").T)


def _unvisited_row_lost(folder: Path) -> None:
    """Clear the row of a token that the golden run does not visit, if there is one; else the
    last.
    """
    visited = safetensors.numpy.load_file(folder / "golden.safetensors")[TOKENS]

    def change(model: onnx.ModelProto) -> None:
        value = weight(model, "model.embedding.weight")
        value[next((row for row in range(len(value)) if row not in visited), -1)] = 0
        set_weight(model, "model.embedding.weight", value)

    on_onnx(change)(folder)


def _weights_beside(folder: Path) -> None:
    """Move the weights into a file that the manifest does not list."""
    model = onnx.load(folder / ONNX)
    onnx.save(
        model, folder / ONNX, save_as_external_data=True, location="step.weights", size_threshold=0
    )
    sign(folder, ONNX)


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(attribute for attribute in node.attribute if attribute.name == name)


FAULTS = (
    Fault(
        "LSTM gates in torch's order",
        "i, f, g, o written where ONNX reads i, o, f, c",
        on_onnx(_gates_as_in_torch),
        _EVERYWHERE,
        _WORST,
    ),
    Fault(
        "GRU gates in torch's order",
        "r, z, n written where ONNX reads z, r, h",
        on_onnx(_gru_gates_as_in_torch),
        _EVERYWHERE,
        _WORST,
        honest="gru",
    ),
    Fault(
        "GRU resets before the product",
        "linear_before_reset left at its default (pytorch#189225)",
        on_onnx(_reset_before_the_product),
        _EVERYWHERE,
        _WORST,
        honest="gru",
    ),
    Fault(
        "GRU biases merged into one",
        "both biases added up, as is right for an LSTM only",
        on_onnx(_gru_biases_merged),
        _EVERYWHERE,
        _WORST,
        honest="gru",
    ),
    Fault(
        "one recurrent bias dropped",
        "a converter that writes b_ih alone",
        on_onnx(_recurrent_bias_dropped),
        _EVERYWHERE,
        _WORST,
    ),
    Fault(
        "bias of the head dropped",
        "a head without bias assumed",
        on_onnx(_head_bias_dropped),
        _EVERYWHERE,
        "worst logits",
    ),
    Fault(
        "one weight block 1 % off",
        "a bad scale of one block",
        on_onnx(_one_block_by_one_percent),
        _EVERYWHERE,
        _WORST,
    ),
    Fault(
        "two layers swapped",
        "layers collected in the wrong order",
        on_onnx(_layers_swapped),
        _EVERYWHERE,
        _WORST,
    ),
    Fault(
        "embedding one row off",
        "a padding row added or left out",
        on_onnx(_embedding_off_by_one),
        _EVERYWHERE,
        _WORST,
    ),
    Fault(
        "one row of the embedding lost",
        "a token added after training",
        on_onnx(_one_embedding_row_lost),
        ("rollout",),
        _WORST,
    ),
    Fault(
        "one row of the embedding lost, no reference",
        "the same in a release, for a token outside the golden run",
        _unvisited_row_lost,
        (),
        "worst|perplexity",
        honest="release",
    ),
    Fault(
        "weights in a file beside",
        "external data: the digests do not cover them and a packed bundle loses them",
        _weights_beside,
        (),
        r"step\.weights",
    ),
    Fault(
        "NaN in a recurrent weight",
        "half-precision overflow; gates hide it",
        on_onnx(_not_a_number),
        _EVERYWHERE,
        _WORST,
    ),
    Fault(
        "NaN in the head",
        "half-precision overflow",
        on_onnx(_head_bias_not_a_number),
        _EVERYWHERE,
        "worst logits inf",
    ),
    Fault(
        "bfloat16 weights sold as float32",
        "a lossy store before the export",
        on_onnx(_bfloat16_weights),
        _EVERYWHERE,
        _WORST,
    ),
    Fault(
        "ReLU network run with tanh",
        "an activation left at its default",
        on_onnx(_activation_lost),
        _EVERYWHERE,
        _WORST,
        honest="rnn_relu",
    ),
    Fault(
        "a call read from its end",
        "direction = reverse: a single step is right, a prefill is not",
        on_onnx(_read_backwards),
        ("rollout", "invariance"),
        "BROKEN: chunks",
    ),
    Fault(
        "a call read from its end, no reference",
        "the same in a bundle that carries a golden run alone",
        on_onnx(_read_backwards),
        ("invariance",),
        "BROKEN: chunks",
        honest="release",
    ),
    Fault(
        "gate inputs clipped",
        "the cell_clip of another framework",
        on_onnx(_cells_clipped),
        _EVERYWHERE,
        _WORST,
    ),
    Fault(
        "head tied to the embedding",
        "weight tying assumed where there is none",
        on_onnx(_head_tied_to_the_embedding),
        _EVERYWHERE,
        "worst logits",
    ),
)
