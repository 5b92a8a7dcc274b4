"""A foreign ``.onnx`` file, read by edgernn's own guard before the onnx package sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from edgernn.contract import first_line
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.flow import shown, subgraphs
from edgernn.sessions.ort.graph import OnnxGraph
from edgernn.sessions.ort.guard import foreign_needs
from edgernn.sessions.ort.reading import read_model
from edgernn.storage.identify import identify

_MOST_BYTES = (1 << 31) - 1  # of one protocol-buffer message
_DRAWING = frozenset(
    (
        *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"),
        *("RandomUniform", "RandomUniformLike"),
    )
)
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
KINDS = ("onnx", "onnx-ours")  # as ``identify`` calls what is read here


def is_onnx(path: Path) -> bool:
    """Return whether ``path`` holds an ONNX model, by its content; or is named like one."""
    return identify(path).key in KINDS or (path.suffix == ".onnx" and not path.is_dir())


def read_foreign(path: Path) -> onnx.ModelProto:
    """Return the model at ``path``, which is whole and uses ONNX's own operators alone.

    Raises:
        UsageError: it is no ONNX file, or edgernn's own; it is too large for one; it keeps weights
            in another file, brings functions, has a weight that is NaN,
            or uses an operator of somebody else's (named).
        ContractError: it is damaged.
    """
    kind = identify(path)
    if kind.key == "onnx-ours":
        raise UsageError(
            f"{path} was exported by edgernn and has its contract; give the bundle it came in, or "
            "the network it was made from"
        )
    if kind.key not in KINDS:
        raise UsageError(f"{path} is {kind.name}, expected an ONNX model; {kind.advise(path)}")
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise UsageError(f"{path} has {size} bytes, an ONNX file has {_MOST_BYTES} or fewer")
    model = read_model(path)
    if any("\ufffd" in name for name in _names(model.graph)):
        raise UsageError(f"{path} has a name that is not UTF-8; export it again")
    for need in foreign_needs(model):
        raise UsageError(f"{path} {need}; {_remedy(need)}")
    try:
        model_proto = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise UsageError(
            f"{path} cannot be read as an ONNX model ({first_line(error)}); export it again"
        ) from error
    for what in _drawn(model_proto.graph):
        raise UsageError(
            f"{path} draws random numbers in {what}, so it does not give the same twice; export "
            "the network in evaluation mode"
        )
    for name in _not_numbers(model_proto.graph):
        raise UsageError(
            f"{path} has a weight that is not finite: {name} holds NaN; export the network again, "
            "from a checkpoint whose weights are finite"
        )
    if not model_proto.graph.node:
        raise UsageError(f"{path} has no operators, expected a network; export it again")
    return model_proto


def _names(graph: OnnxGraph) -> Iterator[str]:
    """Yield every name of a graph and those inside it."""
    for inner in graph.all_graphs():
        yield from inner.constants
        for tensors in (inner.inputs, inner.outputs):
            yield from tensors
            yield from (dim for dims in tensors.values() for dim in dims if isinstance(dim, str))
        for node in inner.nodes:
            yield from (node.op, node.name, node.domain, *node.inputs, *node.outputs)
            yield from node.attributes


def _drawn(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield in words the nodes that draw random numbers."""
    truths = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.BOOL}
    for node in graph.node:
        training = node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] in truths
        if training:
            held = next(t for t in graph.initializer if t.name == node.input[2])
            training = bool(onnx.numpy_helper.to_array(held).any())
        if training or node.op_type in _DRAWING:
            yield shown(node)
        for inner in subgraphs(node):
            yield from _drawn(inner)


def _not_numbers(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield the weights that hold NaN; infinities are masks and bounds."""
    for tensor in graph.initializer:
        if tensor.data_type in _FLOATS and np.isnan(onnx.numpy_helper.to_array(tensor)).any():
            yield tensor.name


def _remedy(need: str) -> str:
    if "in another file" in need:
        return "save it as one file: onnx.save(onnx.load(FILE), OUT)"
    if "functions of its own" in need:
        return (
            "write them out: onnx.save(onnx.inliner.inline_local_functions(onnx.load(FILE)), OUT)"
        )
    return "export it again with ONNX's own operators"
