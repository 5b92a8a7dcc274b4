"""Foreign ONNX files, made as other programs make them: by torch's exporter and node by node."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

FEATURES, HIDDEN, OUT = 5, 8, 3
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Axes = Mapping[str, dict[int, str]]


def export(
    module: nn.Module,
    examples: Sequence[Tensor],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: Axes,
) -> Path:
    """Write a module with torch's exporter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(examples),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(own) for name, own in axes.items()},
        )
    return path


class Recurrent(nn.Module):
    """A recurrent layer with a head; its state is an argument, or nobody's."""

    def __init__(
        self, kind: str = "GRU", *, layers: int = 1, batch_first: bool = True, **more: object
    ) -> None:
        super().__init__()
        torch.manual_seed(3)
        made: Callable[..., nn.Module] = getattr(nn, kind)
        self.layer = made(FEATURES, HIDDEN, layers, batch_first=batch_first, **more)
        width = HIDDEN * (2 if more.get("bidirectional") else 1)
        self.head = nn.Linear(width, OUT)
        self.start: nn.Parameter | None = None

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        given = state if len(state) > 1 else state[0] if state else None
        if self.start is not None:
            h = self.start.expand(-1, x.shape[0], -1).contiguous()
            given = (h, 2 * h) if isinstance(self.layer, nn.LSTM) else h
        y, left = self.layer(x, given)
        out = self.head(y)
        return (out, *(left if isinstance(left, tuple) else (left,))) if state else (out,)


BATCH_TIME = {0: "batch", 1: "seq"}


def hidden_file(path: Path, kind: str = "LSTM", *, start: bool = False, **more: object) -> Path:
    """A layer without a way in for its state; with ``start`` it begins at a stored value."""
    module = Recurrent(kind, **more)
    if start:
        layers = module.layer.num_layers
        module.start = nn.Parameter(torch.linspace(-0.5, 0.5, layers * HIDDEN).view(layers, 1, -1))
    names = {"inputs": ["x"], "outputs": ["y"]}
    return export(module, [torch.randn(2, 4, FEATURES)], path, **names, axes={"x": BATCH_TIME})


def given_file(
    path: Path, kind: str, inputs: Sequence[str], outputs: Sequence[str], *, layers: int = 2
) -> Path:
    """A layer whose state goes in and out under the given names; the first of each is no state."""
    count = 2 if kind == "LSTM" else 1
    states = [torch.randn(layers, 2, HIDDEN) for _ in range(count)]
    axes = {inputs[0]: BATCH_TIME, **{name: {1: "batch"} for name in inputs[1:]}}
    module = Recurrent(kind, layers=layers)
    examples = [torch.randn(2, 4, FEATURES), *states]
    return export(module, examples, path, inputs=inputs, outputs=outputs, axes=axes)


def value(name: str, kind: int, shape: Sequence[int | str] | None) -> onnx.ValueInfoProto:
    """Declare a tensor."""
    return helper.make_tensor_value_info(name, kind, shape)


def graph_file(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    domains: Sequence[str] = (),
) -> Path:
    """Write a graph that was put together node by node."""
    held = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), held)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(name, 1) for name in domains)]
    model_proto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.save(model_proto, str(path))
    return path


def weights(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Draw weights."""
    return (0.4 * random.standard_normal(shape)).astype(np.float32)


def lstm_cell_nodes(
    x: str, h: str, c: str, h_after: str, c_after: str, *, width: int
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """An LSTM cell of plain operators."""
    random = np.random.default_rng(7)
    node = helper.make_node
    constants = {
        "wx": weights(random, width, 4 * HIDDEN),
        "wh": weights(random, HIDDEN, 4 * HIDDEN),
        "b": weights(random, 4 * HIDDEN),
    }
    nodes = [
        node("MatMul", [x, "wx"], ["px"]),
        node("MatMul", [h, "wh"], ["ph"]),
        node("Add", ["px", "ph"], ["p"]),
        node("Add", ["p", "b"], ["gates"]),
        node("Split", ["gates"], ["i0", "f0", "g0", "o0"], axis=1),
        *(node("Sigmoid", [f"{n}0"], [n]) for n in "ifo"),
        node("Tanh", ["g0"], ["g"]),
        node("Mul", ["f", c], ["kept"]),
        node("Mul", ["i", "g"], ["new"]),
        node("Add", ["kept", "new"], [c_after]),
        node("Tanh", [c_after], ["bent"]),
        node("Mul", ["o", "bent"], [h_after]),
    ]
    return nodes, constants


def cell_file(path: Path, states: Sequence[str], after: Sequence[str]) -> Path:
    """An LSTM cell of plain operators; its two states have one shape."""
    nodes, constants = lstm_cell_nodes("x", *states, *after, width=FEATURES)
    head = weights(np.random.default_rng(1), HIDDEN, OUT)
    nodes.append(helper.make_node("MatMul", [after[0], "head"], ["y"]))
    shape = ["batch", HIDDEN]
    return graph_file(
        path,
        nodes,
        [value("x", FLOAT, ["batch", FEATURES]), *(value(n, FLOAT, shape) for n in states)],
        # the other way round than they go in
        [value("y", FLOAT, ["batch", OUT]), *(value(n, FLOAT, shape) for n in reversed(after))],
        {**constants, "head": head},
    )


def chained(
    path: Path, feeds: Sequence[Mapping[str, np.ndarray]], states: Mapping[str, np.ndarray],
    pairs: Mapping[str, str],
) -> list[dict[str, np.ndarray]]:  # fmt: skip
    """Run the file itself call by call, its states fed back by ``pairs``; return every output."""
    import onnxruntime

    run = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names, made, state = [o.name for o in run.get_outputs()], [], dict(states)
    for call in feeds:
        found = dict(zip(names, run.run(names, {**call, **state}), strict=True))
        state = {name: found[output] for name, output in pairs.items()}
        made.append(found)
    return made
