"""OpenVINO: the ONNX graph of a model in OpenVINO's own format, the contract in its information
about the model.

In floats the fused face is written, batch and time open: one recurrent operator a layer, which
OpenVINO runs over time two to four times as fast as step by step. In integers the step face: its
products can be rounded, the recurrent ones too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from edgernn import storage
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import BATCH, TIME, FileContract, GraphSpec, Narrowing
from edgernn.contract.file import METADATA_KEY
from edgernn.export.base import Exporter
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.to_onnx.tracing import finish, step_graph, trace
from edgernn.export.to_openvino.integers import round_matrices
from edgernn.export.to_openvino.reading import as_openvino, declare, name_evenly
from edgernn.export.to_openvino.stateful import keep_states, refuse_stateless, refuse_unkept
from edgernn.formats.openvino import OPENVINO, OPENVINO_STATEFUL
from edgernn.models.family import RecurrentModel
from edgernn.parity.structure.stored_openvino import weight_table
from edgernn.sessions.openvino.checked import CONSTANTS
from edgernn.sessions.openvino.described import CONTRACT, HOW
from edgernn.sessions.openvino.ir import BIN, XML
from edgernn.sessions.openvino.package import openvino
from edgernn.sessions.openvino.reading import read_network

_RECIPES = {"int8": Recipe(Rounding(8, 128)), "int4": Recipe(Rounding(4, 64))}
_NO_DIGEST = "constants are not written yet"
HOW_TO = (
    "compile with INFERENCE_PRECISION_HINT=f32: left to itself the runtime computes in bfloat16 on "
    "processors that have it, and the state drifts"
)


class OpenVinoExporter(Exporter):
    """Writes a folder with ``model.xml`` and ``model.bin``, the state as inputs and outputs."""

    format_name = OPENVINO.name

    def target(self, precision: str) -> str:
        """See ``Exporter.target``."""
        return "OpenVINO IR 11"

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        version = openvino.__version__.split("-")[0]
        return f"openvino {version}, torch {torch.__version__}, onnx {onnx.__version__}"

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """One step a call where integers are asked for."""
        timed = any(TIME in tensor.axes for tensor in graph_spec.inputs)
        integers = OPENVINO.promise(precision).integers
        return Narrowing(axes={TIME: 1}) if integers and timed else Narrowing()

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        made = self._model(model, file_contract, precision)
        promise = OPENVINO.promise(precision)
        write_folder(made, path, file_contract, half=promise.half)
        return weight_table(read_network(path))

    def _model(self, model: RecurrentModel, file_contract: FileContract, precision: str) -> Any:
        """Return one graph of the contract as a model of OpenVINO."""
        recipe = self._recipe(precision)
        if recipe is None:
            model_proto = _float_graph(model, file_contract)
            _finish(model_proto, file_contract)
            return as_openvino(model_proto, folded=True)
        feeds = self.compression.feeds
        model_proto, recipe = step_graph(model, file_contract, recipe, feeds=feeds)
        _finish(model_proto, file_contract)
        made = as_openvino(model_proto, folded=False)
        round_matrices(made, model_proto, recipe)
        return made

    def _recipe(self, precision: str) -> Recipe | None:
        recipe, size = _RECIPES.get(precision), self.compression.block_size
        if recipe is None or size is None:
            return recipe
        return replace(recipe, default=Rounding(recipe.default.bits, size))


class OpenVinoStateExporter(OpenVinoExporter):
    """Writes a folder whose state the runtime keeps itself, under the contract's names: of one row,
    for a variable of open size would begin with no rows.
    """

    format_name = OPENVINO_STATEFUL.name

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """One row; as the explicit form otherwise."""
        explicit = super().narrowing(graph_spec, precision)
        used = {axis for tensor in graph_spec.inputs for axis in tensor.axes}
        own = {BATCH: 1} if BATCH in used else {}
        return Narrowing(axes={**own, **explicit.axes}, runtime_state=True)

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        refuse_stateless(file_contract)
        refuse_unkept(file_contract)
        first = _first_values(model, file_contract)
        plain = file_contract.narrowing.model_copy(update={"runtime_state": False})
        explicit = file_contract.model_copy(update={"narrowing": plain})
        made = self._model(model, explicit, precision)
        declare(made, explicit.interface().outputs)
        half = OPENVINO.promise(precision).half
        write_folder(keep_states(made, first), path, file_contract, half=half)
        return weight_table(read_network(path))


def _first_values(model: RecurrentModel, file_contract: FileContract) -> dict[str, np.ndarray]:
    """Return what each state holds before the first step; zeros where ``encode`` makes it, which a
    host then writes.
    """
    contract = file_contract.contract
    zeros = {
        spec.name: np.zeros(contract.shape(spec, batch=1), spec.dtype)
        for spec in file_contract.spec.states
    }
    if not (stored := {spec.name for spec in contract.starting("stored")}):
        return zeros
    own = zip(zeros, model.initial_state(1), strict=True)
    return zeros | {name: values.numpy() for name, values in own if name in stored}


def _float_graph(model: RecurrentModel, file_contract: FileContract) -> onnx.ModelProto:
    if model.own_file is not None:
        return onnx.load_from_string(model.own_file.step)
    fused = file_contract.axis_size(TIME) is None and model.fused_in(OPENVINO.family)
    return trace(model if fused else model.step_face(), file_contract)


def _finish(model_proto: onnx.ModelProto, file_contract: FileContract) -> None:
    finish(model_proto, file_contract)
    del model_proto.metadata_props[:]  # the contract has its own place


def write_folder(model: Any, path: Path, file_contract: FileContract, *, half: bool) -> None:
    """Write ``model`` with the contract in it, whole or not at all.

    ``half`` stores constants in float16, which are computed with in float32.
    """
    declare(model, file_contract.interface().outputs)
    name_evenly(model)
    model.set_friendly_name(file_contract.graph)
    said = {
        CONTRACT: file_contract.to_metadata()[METADATA_KEY],
        HOW: HOW_TO,
        CONSTANTS: _NO_DIGEST,
    }
    for key, text in said.items():
        model.set_rt_info(text, [METADATA_KEY, key])
    with storage.replacing(path) as folder:
        folder.mkdir()
        openvino.save_model(model, str(folder / XML), compress_to_fp16=half)
        text = (folder / XML).read_text(encoding="utf-8")
        digest = storage.sha256(folder / BIN)
        (folder / XML).write_text(text.replace(_NO_DIGEST, digest), encoding="utf-8")
