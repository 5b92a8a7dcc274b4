"""C99: the step face of one row and one step as ONNX, and the C that is generated from it.

An artifact is a folder: the header, the text and the weights of one graph, the ONNX graph that they
are generated from, and the contract. Whoever opens it generates the C again from that graph, and
compiles it where it is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import onnx
import torch

from edgernn import storage
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import BATCH, STEP, TIME, FileContract, GraphSpec, Narrowing
from edgernn.contract.file import METADATA_KEY
from edgernn.contract.interface import Interface
from edgernn.errors import ContractError, UsageError
from edgernn.export.base import Exporter
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.source import Source
from edgernn.export.to_c.few_layers import few_layers
from edgernn.export.to_c.front import refuse_open
from edgernn.export.to_c.generator import VERSION, generate
from edgernn.export.to_c.loops import c_name
from edgernn.export.to_c.options import PREFIX, Options
from edgernn.export.to_onnx.quantize import quantize_graph
from edgernn.export.to_onnx.smallest import SAFE, SEARCHED, Files, smallest_recipe
from edgernn.export.to_onnx.tracing import finish, step_graph, trace
from edgernn.export.to_onnx.weights import weight_table
from edgernn.formats.c import ACTIVATIONS, FEW, C
from edgernn.models.family import RecurrentModel
from edgernn.sessions.c_folder import CONTRACT, GRAPH, OPTIONS

_BITS = 32  # of a weight in float32


@dataclass(frozen=True)
class Form:
    """How a precision rounds: its matrices, and the bits of what they are multiplied with."""

    recipe: Recipe
    activations: int


_EIGHT, _FOUR = Recipe(Rounding(8, 256)), Recipe(Rounding(4, 64))
_RECIPES = {
    "int8": _EIGHT,
    "int4": _FOUR,
    "w8a8": _EIGHT,
    "w8a7": _EIGHT,
    "w4a8": _FOUR,
    **dict.fromkeys(FEW, _EIGHT),
    SEARCHED: Recipe(SAFE),
}
FORMS = {name: Form(_RECIPES[name], activations) for name, activations in ACTIVATIONS.items()}
_OPSET = 13  # from which on the operators below mean what the generator takes them for
_CHANGED = frozenset(("LogSoftmax", "Pad", "Softmax"))


class CExporter(Exporter):
    """Writes a folder of C, in float32 or in integers."""

    format_name = C.name

    @classmethod
    def recipe(cls, source: Source, precision: str) -> Recipe | None:
        """See ``Exporter.recipe``: every file that is tried is compiled and read with."""
        if precision != SEARCHED:
            return None
        own, options = (
            cls(axes=source.options.axes),
            Options(activations=FORMS[precision].activations),
        )
        narrowing = own.narrowed(source.loaded.model, source.contract.step, precision)
        return smallest_recipe(source, Files(C, narrowing, partial(_write_folder, options=options)))

    def target(self, precision: str) -> str:
        """See ``Exporter.target``."""
        return "C99"

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        return f"C generator {VERSION}, torch {torch.__version__}, onnx {onnx.__version__}"

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """As many rows as there are streams, one step."""
        tensors = (*graph_spec.inputs, *graph_spec.outputs)
        used = {axis for tensor in tensors for axis in tensor.axes}
        sizes = {BATCH: self.streams, TIME: 1}
        return Narrowing(axes={axis: size for axis, size in sizes.items() if axis in used})

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        interface = file_contract.interface()
        refuse_open((*interface.inputs, *interface.outputs))
        form = FORMS.get(C.precision_of(file_contract.graph, precision))
        options = self._options(16 if form is None else form.activations)
        _refuse_same_names(interface)
        if form is None:
            model_proto = _graph(model, file_contract)
        else:
            most = FEW.get(C.precision_of(file_contract.graph, precision))
            model_proto = self._rounded(model, file_contract, form.recipe, most)
        finish(model_proto, file_contract)
        _write_folder(model_proto, path, file_contract, options=options)
        return weight_table(model_proto, activations=options.activations)

    def _options(self, activations: int) -> Options:
        try:
            return Options(activations, PREFIX if self.prefix is None else self.prefix)
        except ContractError as error:
            raise UsageError(str(error)) from error

    def _rounded(
        self, model: RecurrentModel, file_contract: FileContract, own: Recipe, most: int | None
    ) -> onnx.ModelProto:
        """Return the graph with its matrices rounded to integers; ``most`` bits of the recurrent
        ones, which stay as they are.
        """
        compression = self.compression
        recipe = compression.recipe or own
        if compression.block_size is not None:
            default = Rounding(recipe.default.bits, compression.block_size)
            recipe = replace(recipe, default=default)
        model_proto, recipe = step_graph(model, file_contract, recipe, feeds=compression.feeds)
        if most is not None:
            recipe = replace(recipe, few=few_layers(model_proto, most))
        quantize_graph(model_proto, recipe)
        return model_proto


def _refuse_same_names(interface: Interface) -> None:
    """Raise ContractError where two tensors have one name in C."""
    seen: dict[str, str] = {}
    for name in dict.fromkeys(own.name for own in (*interface.inputs, *interface.outputs)):
        other = seen.setdefault(c_name(name), name)
        if other != name:
            raise ContractError(
                f"the tensors {other} and {name} are both {c_name(name)} in C, which keeps "
                f"{min(other, name, key=len)} to itself; rename one"
            )


def _write_folder(
    model_proto: onnx.ModelProto, path: Path, file_contract: FileContract, *, options: Options
) -> None:
    """Write the C of a finished graph, and what it is generated from, whole or not at all."""
    content = model_proto.SerializeToString(deterministic=True)
    files = {
        **generate(content, file_contract, options).files,
        GRAPH: content,
        OPTIONS: options.text().encode(),
        CONTRACT: file_contract.to_metadata()[METADATA_KEY].encode(),
    }
    with storage.replacing(path) as folder:
        folder.mkdir()
        for name, held in files.items():
            (folder / name).write_bytes(held)


def _graph(model: RecurrentModel, file_contract: FileContract) -> onnx.ModelProto:
    """Return a graph in float32 with every size fixed, a token's first product as a row of a table
    where that pays.
    """
    if model.own_file is not None:
        own = onnx.load_from_string(model.own_file.step)
        _refuse_old(own)
        return own
    folded = file_contract.graph == STEP and model.folding_pays(_BITS)
    return trace(model.step_face(folded=folded), file_contract)


def _refuse_old(model_proto: onnx.ModelProto) -> None:
    """Raise ContractError for an operator that meant another thing in the file's operator set."""
    versions = [own.version for own in model_proto.opset_import if own.domain in ("", "ai.onnx")]
    found = sorted(_CHANGED & {node.op_type for node in model_proto.graph.node})
    if found and versions and max(versions) < _OPSET:
        raise ContractError(
            f"c takes {', '.join(found)} as opset {_OPSET} and later mean it, and the file has "
            f"opset {max(versions)}; write it in a later opset, or leave c out"
        )
