"""ONNX: one fused recurrent operator per layer, batch and time open and declared so, the contract
in metadata_props.

In 8 and 4 bits the step face is written instead, for its products can be quantised: T = 1, and
faster at it. Opening T again with a ``Scan`` around it was measured: 15 to 25 µs more a step, and a
prompt no faster than step by step.

A graph is traced (``tracing``), then changed by the passes of ``passes``, in that order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path

import onnx
import torch

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import ENCODE, TIME, FileContract, GraphSpec, Narrowing
from edgernn.contract.in_graph import DECODERS, GENERATE
from edgernn.errors import ContractError
from edgernn.export.base import Exporter
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.source import Source
from edgernn.export.to_onnx.caption_loop import caption_model
from edgernn.export.to_onnx.capture import capture
from edgernn.export.to_onnx.generate_loop import generate_model
from edgernn.export.to_onnx.half import store_half
from edgernn.export.to_onnx.quantize import quantize_graph
from edgernn.export.to_onnx.smallest import SEARCHED, smallest_recipe
from edgernn.export.to_onnx.tracing import IR_VERSION, OPSET, finish, step_graph, trace
from edgernn.export.to_onnx.weights import weight_table
from edgernn.formats.onnx import ONNX
from edgernn.models.family import RecurrentModel

_TRACED, _CAPTURED = "traced", "captured"
RECIPES = {"int8": Recipe(Rounding(8, 256)), "int4": Recipe(Rounding(4, 128))}


@dataclass(frozen=True)
class Pass:
    """One change of a graph, in place."""

    name: str
    run: Callable[[onnx.ModelProto], None]


def passes(file_contract: FileContract, recipe: Recipe | None, *, half: bool) -> tuple[Pass, ...]:
    """Return what is done to a traced graph, in order: ``recipe`` rounds its matrices to integers,
    ``half`` stores constants in float16.
    """
    rounded = () if recipe is None else (Pass("round", partial(quantize_graph, recipe=recipe)),)
    return (
        *rounded,
        *((Pass("half", store_half),) if half else ()),
        Pass("finish", partial(finish, file_contract=file_contract)),
    )


class OnnxExporter(Exporter):
    """Writes ``.onnx`` with torch's exporter, rounds its weights as asked, and declares the
    contract's shapes.
    """

    format_name = ONNX.name
    ways = (_TRACED, _CAPTURED)

    @classmethod
    def recipe(cls, source: Source, precision: str) -> Recipe | None:
        """See ``Exporter.recipe``."""
        return smallest_recipe(source) if precision == SEARCHED else None

    def target(self, precision: str) -> str:
        """See ``Exporter.target``: the same in all."""
        return f"opset {OPSET}, IR {IR_VERSION}"

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        if self.way == _CAPTURED:
            own = f", onnxscript {metadata.version('onnxscript')}"
            return f"torch {torch.__version__} by graph capture{own}, onnx {onnx.__version__}"
        return f"torch {torch.__version__}, onnx {onnx.__version__}"

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """One step a call where integers are asked for; see the module's docstring."""
        timed = any(TIME in tensor.axes for tensor in graph_spec.inputs)
        return (
            Narrowing(axes={TIME: 1}) if ONNX.promise(precision).integers and timed else Narrowing()
        )

    def narrowed(self, model: RecurrentModel, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """See ``Exporter.narrowed``: what came as an ONNX file is not traced."""
        if model.own_file is not None and not model.own_file.one_step:
            return self.narrowing(graph_spec, precision)
        return super().narrowed(model, graph_spec, precision)

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        if file_contract.graph in DECODERS:
            model_proto = self._decoder(model, file_contract, precision)
        else:
            model_proto = self._graph(model, file_contract, precision)
        onnx.save(model_proto, str(path))
        # those are the weights of the step file
        return () if file_contract.graph in DECODERS else weight_table(model_proto)

    def _graph(
        self, model: RecurrentModel, file_contract: FileContract, precision: str
    ) -> onnx.ModelProto:
        """Return one graph of the contract in ``precision``."""
        promise = ONNX.promise(ONNX.precision_of(file_contract.graph, precision))
        recipe = self._recipe(precision) if promise.integers else None
        if recipe is not None:
            if self.way == _CAPTURED:
                raise ContractError("integers are made of the traced graph alone")
            feeds = self.compression.feeds
            model_proto, recipe = step_graph(model, file_contract, recipe, feeds=feeds)
        elif model.own_file is not None:
            model_proto = onnx.load_from_string(model.own_file.step)
        else:
            fused = file_contract.axis_size(TIME) is None and model.fused_in(ONNX.family)
            model_proto = self._float(model if fused else model.step_face(), file_contract)
        for change in passes(file_contract, recipe, half=promise.half):
            change.run(model_proto)
        for key, text in () if model.own_file is None else model.own_file.metadata:
            model_proto.metadata_props.add(key=key, value=text)
        return model_proto

    def _float(self, model: RecurrentModel, file_contract: FileContract) -> onnx.ModelProto:
        if self.way == _CAPTURED:
            return capture(model, file_contract, opset=OPSET)
        return trace(model, file_contract)

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
        if file_contract.graph == GENERATE:
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
