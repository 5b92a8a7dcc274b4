"""A graph of a model as ONNX in float32, and what is written on it last.

torch's TorchScript-based exporter is used on purpose: the graph-capture one freezes the example's T
in the declared shapes, fails on ``nn.RNN`` and slices recurrent weights at run time. What is
written is judged by running it: packing rolls every file out against the reference.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import onnx
import onnx.version_converter
import torch

from edgernn import storage
from edgernn.contract import FileContract, first_line
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError
from edgernn.export.graphs import FlatGraph, example_inputs
from edgernn.export.operators import IR_VERSION, OPSET
from edgernn.export.rounding.calibration import hessians, row_by_row
from edgernn.export.rounding.compression import Feeds
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.to_onnx.quantize import NEAREST_BITS
from edgernn.models.family import OperatorSet, RecurrentModel

_NEWEST = 20  # that torch's exporter writes
_EXAMPLE_BATCH, _EXAMPLE_TIME = 2, 3  # neither 1, which exporters may treat as a constant
_TABLE = Rounding(8, 128)


@cache
def _registry() -> Any:
    """Return torch's table of translations; each version's are in it once they are imported."""
    held = translations = "torch.onnx._internal.torchscript_exporter"
    if importlib.util.find_spec(held) is None:  # torch before 2.9
        held, translations = "torch.onnx._internal", "torch.onnx"
    for version in range(9, _NEWEST + 1):
        importlib.import_module(f"{translations}.symbolic_opset{version}")
    return importlib.import_module(f"{held}.registration").registry


# what its translations get wrong, or right at the sizes of the example alone
_BITWISE = "__and__ __or__ __xor__ bitwise_and bitwise_or bitwise_xor"
_AVOIDED = f"{_BITWISE} cosine_similarity div floor_divide remainder scatter_add threshold unfold"


def operator_set(opset: int) -> OperatorSet:
    """Return what torch's exporter writes in ``opset``."""

    def has(kind: str) -> bool:
        return bool(_registry().is_registered_op(kind.removesuffix("_"), min(opset, _NEWEST)))

    return OperatorSet("ONNX", has, frozenset(f"aten::{name}" for name in _AVOIDED.split()))


def trace(
    model: RecurrentModel, file_contract: FileContract, *, opset: int = OPSET
) -> onnx.ModelProto:
    """Return a graph of ``model`` in float32, with the contract's names, and its open axes open.

    Raises:
        ContractError: torch cannot write it, or its operators are not in ``opset``.
    """
    interface, model = file_contract.interface(), model.written_in(operator_set(opset))
    with warnings.catch_warnings(), storage.scratch() as scratch:
        path = scratch / "graph.onnx"
        warnings.simplefilter(
            "ignore"
        )  # the exporter warns that it is deprecated, and of a batch size it does not fix
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the graph, where it fails
                torch.onnx.export(
                    FlatGraph(model, file_contract.graph),
                    example_inputs(file_contract, batch=_EXAMPLE_BATCH, time=_EXAMPLE_TIME),
                    str(path),
                    dynamo=False,
                    opset_version=min(opset, _NEWEST),
                    input_names=[tensor.name for tensor in interface.inputs],
                    output_names=[tensor.name for tensor in interface.outputs],
                    dynamic_axes={
                        tensor.name: _open_axes(tensor)
                        for tensor in (*interface.inputs, *interface.outputs)
                    },
                )
        except (RuntimeError, ValueError, TypeError) as error:
            raise ContractError(
                f"torch.onnx could not write {file_contract.graph}: {first_line(error)}"
            ) from error
        return _converted(onnx.load(str(path)), opset)


def _converted(model_proto: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return the graph in ``opset`` where torch's exporter wrote the newest that it can."""
    if opset <= _NEWEST:
        return model_proto
    try:
        return onnx.version_converter.convert_version(model_proto, opset)
    except (RuntimeError, ValueError) as error:
        raise ContractError(
            f"the graph cannot be written in opset {opset}: {first_line(error)}; leave --opset out"
        ) from error


def step_graph(
    model: RecurrentModel,
    file_contract: FileContract,
    recipe: Recipe,
    *,
    feeds: Feeds | None = None,
    opset: int = OPSET,
) -> tuple[onnx.ModelProto, Recipe]:
    """Return the step face of ``model``, which is turned into it, in float32, and ``recipe`` with
    nothing left open.

    The embedding is folded where that pays and ``recipe`` does not say; a folded table keeps 8
    bits, for one row of it is read a step, and fewer would save no time. Calibration on ``feeds``
    is for 4 bits: 8 bits gain nothing by it.
    """
    folded = model.folding_pays(recipe.default.bits) if recipe.folded is None else recipe.folded
    layers = {**({model.folded_table: _TABLE} if folded else {}), **recipe.layers}
    products = model.step_face(folded=folded).in_products()
    model_proto = trace(products, file_contract, opset=opset)
    low = min(rounding.bits for rounding in (recipe.default, *layers.values()))
    seen = recipe.hessians
    if feeds is not None and low < NEAREST_BITS and not seen:
        calls = row_by_row(feeds(), file_contract)
        seen = hessians(_of_any_size(products, model_proto, file_contract, opset), calls)
    return model_proto, replace(recipe, folded=folded, layers=layers, hessians=seen)


def _of_any_size(
    products: RecurrentModel, made: onnx.ModelProto, file_contract: FileContract, opset: int
) -> onnx.ModelProto:
    """Return ``made``, or where it fixes axes that the contract leaves open, the same graph with
    these open: what is calibrated on has sizes of its own.
    """
    own, open_axes = file_contract.narrowing, file_contract.contract.open_axes
    kept = {axis: size for axis, size in own.axes.items() if axis not in open_axes}
    if kept == own.axes:
        return made
    narrowing = own.model_copy(update={"axes": kept})
    return trace(products, file_contract.model_copy(update={"narrowing": narrowing}), opset=opset)


def finish(
    model_proto: onnx.ModelProto, file_contract: FileContract, *, ir_version: int = IR_VERSION
) -> None:
    """Declare the contract's shapes, write it into the metadata, and check the graph, in place.

    Raises:
        ContractError: the graph is no valid model.
    """
    interface = file_contract.interface()
    model_proto.ir_version = ir_version
    _declare(model_proto, (*interface.inputs, *interface.outputs))
    onnx.helper.set_model_props(model_proto, file_contract.to_metadata())
    try:
        onnx.checker.check_model(model_proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ContractError(
            f"the onnx exporter wrote an invalid model: {first_line(error)}"
        ) from error


def _open_axes(tensor: FileTensor) -> dict[int, str]:
    return {index: size for index, size in enumerate(tensor.shape or ()) if isinstance(size, str)}


def _declare(model_proto: onnx.ModelProto, tensors: tuple[FileTensor, ...]) -> None:
    """Write the contract's shape on every in- and output: names on open dimensions, sizes on fixed
    ones.
    """
    shapes = {tensor.name: tensor.shape or () for tensor in tensors}
    for value in (*model_proto.graph.input, *model_proto.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        del dimensions[:]
        for size in shapes[value.name]:
            dimensions.add(
                **({"dim_param": size} if isinstance(size, str) else {"dim_value": size})
            )
    del model_proto.graph.value_info[:]  # shapes inferred for the example's sizes
