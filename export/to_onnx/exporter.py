"""ONNX: one fused recurrent operator per layer, batch and time open and declared so, the contract
in metadata_props.

In 8 and 4 bits the step face is written instead, for its products can be quantised: T = 1, and
faster at it. Opening T again with a ``Scan`` around it was measured: 15 to 25 µs more a step, and a
prompt no faster than step by step.

torch's TorchScript-based exporter is used on purpose: the graph-capture one freezes the example's T
in the declared shapes, fails on ``nn.RNN`` and slices recurrent weights at run time. What is
written is judged by running it: packing rolls every file out against the reference.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from pathlib import Path

import onnx
import torch

from edgernn import storage
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import ENCODE, STEP, TIME, FileContract, GraphSpec, Narrowing, first_line
from edgernn.contract.in_graph import DECODERS
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError
from edgernn.export.base import Exporter
from edgernn.export.graphs import FlatGraph, example_inputs
from edgernn.export.rounding.calibration import hessians
from edgernn.export.rounding.compression import Feeds
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.to_onnx.caption_loop import caption_model
from edgernn.export.to_onnx.generate_loop import generate_model
from edgernn.export.to_onnx.half import store_half
from edgernn.export.to_onnx.quantize import NEAREST_BITS, quantize_graph
from edgernn.export.to_onnx.weights import weight_table
from edgernn.models.family import RecurrentModel
from edgernn.sessions.ort.graph import read_model
from edgernn.sessions.runtime_versions import required_by

OPSET = (
    17  # with IR version 9 the newest that every runtime in the field reads, the browser's included
)
IR_VERSION = 9
RECIPES = {"int8": Recipe(Rounding(8, 256)), "int4": Recipe(Rounding(4, 128))}
_EXAMPLE_BATCH, _EXAMPLE_TIME = 2, 3  # neither 1, which exporters may treat as a constant
_TABLE = {"embedding": Rounding(8, 128)}


class OnnxExporter(Exporter):
    """Writes ``.onnx`` with torch's exporter, rounds its weights as asked, and declares the
    contract's shapes.
    """

    format_name = "onnx"
    target = f"opset {OPSET}, IR {IR_VERSION}"

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        return f"torch {torch.__version__}, onnx {onnx.__version__}"

    def requires(self, path: Path) -> dict[str, str]:
        """See ``Exporter.requires``: what the file's operators need."""
        return required_by(read_model(path))

    def narrowing(self, graph: GraphSpec, precision: str) -> Narrowing:
        """One step a call where integers are asked for; see the module's docstring."""
        timed = any(TIME in tensor.axes for tensor in graph.inputs)
        return Narrowing(axes={TIME: 1}) if precision in _INTEGERS and timed else Narrowing()

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        if file_contract.graph in DECODERS:
            graph = self._decoder(model, file_contract, precision)
        else:
            graph = self._graph(model, file_contract, precision)
        onnx.save(graph, str(path))
        return (
            () if file_contract.graph in DECODERS else weight_table(graph)
        )  # those are the weights of the step file

    def _graph(
        self, model: RecurrentModel, file_contract: FileContract, precision: str
    ) -> onnx.ModelProto:
        """Return one graph of the contract in ``precision``."""
        recipe = self._recipe(precision)
        if recipe is not None and file_contract.graph == STEP:
            graph, recipe = step_graph(model, file_contract, recipe, feeds=self.compression.feeds)
            quantize_graph(graph, recipe)
        else:
            graph = trace(
                model if file_contract.axis_size(TIME) is None else model.step_face(), file_contract
            )
        if precision == "float16":
            store_half(graph)
        finish(graph, file_contract)
        return graph

    def _decoder(
        self, model: RecurrentModel, file_contract: FileContract, precision: str
    ) -> onnx.ModelProto:
        """Return the graph that writes a whole text or caption with the step file's own
        operators.
        """
        contract, decoding = file_contract.contract, file_contract.decoding_defaults
        step = FileContract(
            contract=contract,
            narrowing=self.narrowed(model, contract.step, precision),
            decoding=decoding,
        )
        if contract.encode is None:
            return generate_model(
                self._graph(model, step, precision), file_contract, decoding=decoding
            )
        encode = self._graph(
            copy.deepcopy(model), step.model_copy(update={"graph": ENCODE}), precision
        )
        return caption_model(
            encode, self._graph(model, step, precision), file_contract, decoding=decoding
        )

    def _recipe(self, precision: str) -> Recipe | None:
        recipe, size = (
            self.compression.recipe or RECIPES.get(precision),
            self.compression.block_size,
        )
        if recipe is None or size is None:
            return recipe
        return replace(recipe, default=Rounding(recipe.default.bits, size))


_INTEGERS = frozenset(RECIPES) | {"smallest"}


def trace(model: RecurrentModel, file_contract: FileContract) -> onnx.ModelProto:
    """Return a graph of ``model`` in float32, with the contract's names, and its open axes open."""
    interface = file_contract.interface()
    with warnings.catch_warnings(), storage.scratch() as scratch:
        path = scratch / "graph.onnx"
        warnings.simplefilter(
            "ignore"
        )  # the exporter warns that it is deprecated, and of a batch size it does not fix
        torch.onnx.export(
            FlatGraph(model, file_contract.graph),
            example_inputs(file_contract, batch=_EXAMPLE_BATCH, time=_EXAMPLE_TIME),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[tensor.name for tensor in interface.inputs],
            output_names=[tensor.name for tensor in interface.outputs],
            dynamic_axes={
                tensor.name: _open_axes(tensor)
                for tensor in (*interface.inputs, *interface.outputs)
            },
        )
        return onnx.load(str(path))


def step_graph(
    model: RecurrentModel,
    file_contract: FileContract,
    recipe: Recipe,
    *,
    feeds: Feeds | None = None,
) -> tuple[onnx.ModelProto, Recipe]:
    """Return the step face of ``model``, which is turned into it, in float32, and ``recipe`` with
    nothing left open.

    The embedding is folded where that pays and ``recipe`` does not say; a folded table keeps 8
    bits, for one row of it is read a step, and fewer would save no time. Calibration on ``feeds``
    is for 4 bits: 8 bits gain nothing by it.
    """
    folded = model.folding_pays(recipe.default.bits) if recipe.folded is None else recipe.folded
    layers = {**(_TABLE if folded else {}), **recipe.layers}
    graph = trace(model.step_face(folded=folded), file_contract)
    low = min(rounding.bits for rounding in (recipe.default, *layers.values()))
    seen = (
        hessians(graph, feeds())
        if feeds is not None and low < NEAREST_BITS and not recipe.hessians
        else recipe.hessians
    )
    return graph, replace(recipe, folded=folded, layers=layers, hessians=seen)


def finish(graph: onnx.ModelProto, file_contract: FileContract) -> None:
    """Declare the contract's shapes, write it into the metadata, and check the graph, in place.

    Raises:
        ContractError: the graph is no valid model.
    """
    interface = file_contract.interface()
    graph.ir_version = IR_VERSION
    _declare(graph, (*interface.inputs, *interface.outputs))
    onnx.helper.set_model_props(graph, file_contract.to_metadata())
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ContractError(
            f"the onnx exporter wrote an invalid model: {first_line(error)}"
        ) from error


def _open_axes(tensor: FileTensor) -> dict[int, str]:
    return {index: size for index, size in enumerate(tensor.shape or ()) if isinstance(size, str)}


def _declare(graph: onnx.ModelProto, tensors: tuple[FileTensor, ...]) -> None:
    """Write the contract's shape on every in- and output: names on open dimensions, sizes on fixed
    ones.
    """
    shapes = {tensor.name: tensor.shape or () for tensor in tensors}
    for value in (*graph.graph.input, *graph.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        del dimensions[:]
        for size in shapes[value.name]:
            dimensions.add(
                **({"dim_param": size} if isinstance(size, str) else {"dim_value": size})
            )
    del graph.graph.value_info[:]  # shapes inferred for the example's sizes
