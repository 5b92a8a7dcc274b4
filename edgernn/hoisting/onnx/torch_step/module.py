"""A foreign step as a torch module: every operator of its graph in torch's own, weights as layers
under the names of the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edgernn.hoisting.onnx.flow import RECURRENT, attribute, shown
from edgernn.hoisting.onnx.names import node_path, unlike
from edgernn.hoisting.onnx.torch_step.arithmetic import ARITHMETIC
from edgernn.hoisting.onnx.torch_step.call import Call, Value, as_tensor
from edgernn.hoisting.onnx.torch_step.layers import Convolution, Recurrent, linear
from edgernn.hoisting.onnx.torch_step.movement import MOVEMENT

_FEW = 64  # constants of more elements are weights, never shapes
_TABLE = {**ARITHMETIC, **MOVEMENT}
_LIMITED = ("Clip", "Pad")  # their numbers are known when the graph is built
_WINDOWS = ("Conv", "ConvTranspose")
KNOWN = frozenset((*_TABLE, *RECURRENT, *_WINDOWS, "MatMul", "Gemm"))


class TorchStep(nn.Module):
    """The graph of a foreign step; ``forward`` takes and gives tensors in the graph's order.

    Args:
        model_proto: the graph, with one frame a call along time.

    Raises:
        UsageError: an operator has no translation (named).
    """

    def __init__(self, model_proto: onnx.ModelProto) -> None:
        super().__init__()
        graph = model_proto.graph
        self._nodes = list(graph.node)
        self._opset = next(
            o.version for o in model_proto.opset_import if o.domain in ("", "ai.onnx")
        )
        self._inputs = [value.name for value in graph.input]
        self._outputs = [value.name for value in graph.output]
        self._known: dict[str, np.ndarray] = {}
        self._held: dict[str, str] = {}  # constant → the buffer that holds it
        self._layers: dict[int, str] = {}  # place of a node → the layer that computes it
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        for place, node in enumerate(self._nodes):
            self._add_layer(place, node, constants)
        used = {
            name
            for place, node in enumerate(self._nodes)
            for name in (node.input if place not in self._layers else _data_of(node))
        }
        limits = {n for node in self._nodes if node.op_type in _LIMITED for n in node.input[1:]}
        for name in sorted(used & constants.keys()):
            self._hold(name, constants[name], known=name in limits)

    def _add_layer(
        self, place: int, node: onnx.NodeProto, constants: Mapping[str, np.ndarray]
    ) -> None:
        call = Call(node, [constants.get(name) for name in node.input], self._opset)
        if node.op_type not in KNOWN or node.domain not in ("", "ai.onnx"):
            raise call.refused("is no operator that is known here")
        made: nn.Module | None = None
        weight = call.maybe(1)
        if node.op_type in RECURRENT:
            made = Recurrent(call)
        elif node.op_type in _WINDOWS and weight is not None:
            made = Convolution(call)
        elif node.op_type == "MatMul" and isinstance(weight, np.ndarray) and weight.ndim == 2:
            made = linear(call.tensor(1).T)
        elif node.op_type == "Gemm" and isinstance(weight, np.ndarray) and _is_linear(call):
            matrix = call.tensor(1) if call.get("transB", 0) else call.tensor(1).T
            bias = call.maybe(2)
            flat = isinstance(bias, np.ndarray) and bias.size == matrix.shape[0]
            made = linear(matrix, call.tensor(2).reshape(-1) if flat else None)
            if bias is not None and not flat:
                raise call.refused("adds something that is no bias")
        elif node.op_type in {*_WINDOWS, "Gemm"}:
            raise call.refused("has weights that are computed")
        if made is not None:
            taken = [*self._layers.values(), *dir(nn.Module)]
            name = unlike(node_path(node.name, node.op_type), taken)
            self._layers[place] = name
            self.add_module(name, made)

    def _hold(self, name: str, array: np.ndarray, *, known: bool) -> None:
        if (known or array.dtype.kind in "iub") and array.size <= _FEW:
            self._known[name] = array
            return
        self._held[name] = f"constant_{len(self._held)}"
        value = torch.from_numpy(array.copy())
        if array.dtype.kind == "f":
            self.register_parameter(self._held[name], nn.Parameter(value, requires_grad=False))
        else:
            self.register_buffer(self._held[name], value)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs."""
        values: dict[str, Value] = dict(zip(self._inputs, tensors, strict=True))
        values |= self._known
        values |= {name: getattr(self, buffer) for name, buffer in self._held.items()}
        for place, node in enumerate(self._nodes):
            given = [values.get(name) if name else None for name in node.input]
            made = self._computed(place, Call(node, given, self._opset))
            outputs = made if isinstance(made, tuple) else (made,)
            values.update(zip(node.output, outputs, strict=False))
        return tuple(as_tensor(value) for n in self._outputs if (value := values[n]) is not None)

    def _computed(self, place: int, call: Call) -> Value | tuple[Value, ...]:
        node = call.node
        if place not in self._layers:
            return (
                torch.matmul(*call.tensors())
                if node.op_type == "MatMul"
                else _TABLE[node.op_type](call)
            )
        layer = getattr(self, self._layers[place])
        if node.op_type in RECURRENT:
            starts = [call.tensor(at) if call.maybe(at) is not None else None for at in (5, 6)]
            found: tuple[Value, ...] = layer(call.tensor(), *starts)
            return found
        computed: Tensor = layer(call.tensor())
        return computed


def float_weights(model_proto: onnx.ModelProto) -> list[str]:
    """Return in words the operators whose weights are no matrix, which integers leave as they
    are.
    """
    constants = {tensor.name for tensor in model_proto.graph.initializer}
    return [
        shown(node)
        for node in model_proto.graph.node
        if node.op_type in _WINDOWS and node.input[1] in constants
    ]


def _data_of(node: onnx.NodeProto) -> list[str]:
    """Return the inputs of a node with weights that are none."""
    return [*node.input[:1], *(node.input[5:7] if node.op_type in RECURRENT else ())]


def _is_linear(call: Call) -> bool:
    plain = call.get("alpha", 1.0) == 1.0 and call.get("beta", 1.0) == 1.0
    return plain and not attribute(call.node, "transA", 0)
