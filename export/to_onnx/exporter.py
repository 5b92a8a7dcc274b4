"""ONNX: one fused recurrent operator per layer, batch and time open and declared so, the contract
in metadata_props.

In 8 and 4 bits the step face is written instead, for its products can be quantised: T = 1, and
faster at it. Opening T again with a ``Scan`` around it was measured: 15 to 25 µs more a step, and a
prompt no faster than step by step.

A portable file has the step face, too, where a fused operator needs what some runtime leaves out,
and integers by ONNX's own operators, one row a call; see ``portable`` and ``standard_integers``.

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
from edgernn.contract import BATCH, ENCODE, TIME, FileContract, GraphSpec, Narrowing
from edgernn.contract.in_graph import DECODERS, GENERATE
from edgernn.errors import ContractError, UsageError
from edgernn.export.base import Exporter, quiet_copy
from edgernn.export.operators import Operators
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.source import Source
from edgernn.export.to_onnx.caption_loop import caption_model
from edgernn.export.to_onnx.capture import capture
from edgernn.export.to_onnx.generate_loop import generate_model
from edgernn.export.to_onnx.half import store_half
from edgernn.export.to_onnx.portable import leave_out_defaults, problems_of, prove_portable
from edgernn.export.to_onnx.quantize import quantize_graph
from edgernn.export.to_onnx.smallest import SEARCHED, smallest_recipe
from edgernn.export.to_onnx.standard_integers import round_to_standard
from edgernn.export.to_onnx.tracing import finish, step_graph, trace
from edgernn.export.to_onnx.weights import weight_table
from edgernn.formats.onnx import ONNX
from edgernn.models.family import RecurrentModel

_TRACED, _CAPTURED = "traced", "captured"
RECIPES = {"int8": Recipe(Rounding(8, 256)), "int4": Recipe(Rounding(4, 128))}
_PORTABLE_INTEGERS = "int8"  # the one precision in integers that ONNX's own operators multiply in


@dataclass(frozen=True)
class Pass:
    """One change of a graph, in place."""

    name: str
    run: Callable[[onnx.ModelProto], None]


def passes(
    file_contract: FileContract,
    recipe: Recipe | None,
    *,
    half: bool,
    operators: Operators | None = None,
) -> tuple[Pass, ...]:
    """Return what is done to a traced graph, in order: ``recipe`` rounds its matrices to integers,
    ``half`` stores constants in float16; both as ``operators`` says.
    """
    operators, rounded = operators or Operators(), list[Pass]()
    if recipe is not None:
        run = round_to_standard if operators.portable else partial(quantize_graph, recipe=recipe)
        rounded = [Pass("round", run)]
    return (
        *rounded,
        *((Pass("half", store_half),) if half else ()),
        *((Pass("portable", leave_out_defaults),) if operators.portable else ()),
        Pass("finish", partial(finish, file_contract=file_contract, ir_version=operators.ir)),
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
        return f"opset {self.operators.version}, IR {self.operators.ir}"

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        if self.way == _CAPTURED:
            own = f", onnxscript {metadata.version('onnxscript')}"
            return f"torch {torch.__version__} by graph capture{own}, onnx {onnx.__version__}"
        return f"torch {torch.__version__}, onnx {onnx.__version__}"

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """One step a call where integers are asked for; see the module's docstring."""
        if not ONNX.promise(precision).integers:
            return Narrowing()
        fixed = (TIME, BATCH) if self.operators.portable else (TIME,)
        found = {axis for tensor in graph_spec.inputs for axis in tensor.axes}
        return Narrowing(axes={axis: 1 for axis in fixed if axis in found})

    def narrowed(self, model: RecurrentModel, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """See ``Exporter.narrowed``: what came as an ONNX file is not traced. A portable file takes
        one step a call where its fused operators need what some runtime leaves out.
        """
        if self.operators.portable:
            self._refuse_unportable(precision)
        whole = super().narrowed(model, graph_spec, precision)
        if model.own_file is not None and not model.own_file.one_step:
            own = self.narrowing(graph_spec, precision)
            return own if self._as_it_came(model) else whole
        if not self.operators.portable or TIME in whole.axes or not graph_spec.has_time:
            return whole
        contract = model.config.contract()
        file_contract = FileContract(contract=contract, graph=graph_spec.name, narrowing=whole)
        with quiet_copy(model) as clone:
            fused = self._float(clone, file_contract)
        leave_out_defaults(fused)
        if not problems_of(fused):
            return whole
        return whole.model_copy(update={"axes": {**whole.axes, TIME: contract.step_frames}})

    def proved_portable(self, path: Path) -> bool | None:
        """See ``Exporter.proved_portable``."""
        if not self.operators.portable:
            return None
        prove_portable(path)
        return True

    def _refuse_unportable(self, precision: str) -> None:
        if ONNX.promise(precision).integers and precision != _PORTABLE_INTEGERS:
            raise UsageError(
                f"--portable does not go with {precision}: ONNX's own operators multiply 8 bits; "
                f"choose {_PORTABLE_INTEGERS}, float16 or float32"
            )
        if ONNX.promise(precision).integers and self.compression.block_size is not None:
            raise UsageError(
                "--portable gives each row of a matrix one scale; leave --block-size out"
            )

    def _refuse_another_opset(self) -> None:
        if self.operators.opset is not None:
            raise UsageError(
                f"--opset is {self.operators.opset}, and an ONNX file keeps its own operators; "
                "leave it out"
            )

    def _as_it_came(self, model: RecurrentModel) -> bool:
        """Whether a model that came as an ONNX file is written as that file's own graph."""
        if model.own_file is None:
            return False
        if not self.operators.portable:
            return True
        graph = onnx.load_from_string(model.own_file.step)
        leave_out_defaults(graph)
        return not problems_of(graph)

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
            model_proto, recipe = step_graph(
                model, file_contract, recipe, feeds=feeds, opset=self.operators.version
            )
        elif model.own_file is not None and self._as_it_came(model):
            self._refuse_another_opset()
            model_proto = onnx.load_from_string(model.own_file.step)
        else:
            fused = file_contract.axis_size(TIME) is None and model.fused_in(ONNX.family)
            model_proto = self._written_anew(model if fused else model.step_face(), file_contract)
        for change in passes(file_contract, recipe, half=promise.half, operators=self.operators):
            change.run(model_proto)
        for key, text in () if model.own_file is None else model.own_file.metadata:
            model_proto.metadata_props.add(key=key, value=text)
        return model_proto

    def _written_anew(self, model: RecurrentModel, file_contract: FileContract) -> onnx.ModelProto:
        if model.own_file is None:
            return self._float(model, file_contract)
        try:
            return self._float(model, file_contract)
        except UsageError as error:
            why = problems_of(onnx.load_from_string(model.own_file.step))[0]
            raise UsageError(
                f"the file cannot be portable: {why}; and nothing else says the same. Leave "
                "--portable out"
            ) from error

    def _float(self, model: RecurrentModel, file_contract: FileContract) -> onnx.ModelProto:
        if self.way == _CAPTURED:
            return capture(model, file_contract, opset=self.operators.version)
        return trace(model, file_contract, opset=self.operators.version)

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
