"""ExecuTorch: the step face as a ``.pte`` file, its products run by XNNPACK, the state as in- and
outputs.

torch's recurrent layers would be unrolled and, in 8 bits, be left in floats without a word, so
every cell is written as linear layers. A file takes one row and one step a call. It holds no names:
a second method returns the contract as JSON, and inputs and outputs stand in its order.

In 8 bits the weights of linear layers and the tables are integers with one scale a row; XNNPACK
rounds what it multiplies them by at each call, and all else is float32.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from edgernn import storage
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import BATCH, TIME, FileContract, GraphSpec, Narrowing, first_line
from edgernn.errors import ContractError
from edgernn.export.base import Exporter
from edgernn.export.programs import exported_program
from edgernn.export.to_executorch.lowering import lower
from edgernn.export.to_executorch.refusals import refuse_open, refuse_undelegated
from edgernn.export.to_executorch.weights import weight_table
from edgernn.formats.executorch import EXECUTORCH
from edgernn.models.family import RecurrentModel
from edgernn.sessions.pte.program import read_program
from edgernn.sessions.pte.stored import FORWARD, graphs_of
from edgernn.sessions.pte.told import delegation
from edgernn.sessions.quiet import quiet


class ExecuTorchExporter(Exporter):
    """Writes ``.pte`` for one row and one step a call."""

    format_name = EXECUTORCH.name
    target_read = True

    def target(self, precision: str) -> str:
        """See ``Exporter.target``: the backend that runs the products; of a file without any, its
        own word.
        """
        return "XNNPACK"

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """One row and one step."""
        used = {a for tensor in (*graph_spec.inputs, *graph_spec.outputs) for a in tensor.axes}
        sizes = {BATCH: self.streams, TIME: 1}
        return Narrowing(axes={axis: size for axis, size in sizes.items() if axis in used})

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        packages = ("executorch", "torchao", "torch")
        return ", ".join(f"{package} {metadata.version(package)}" for package in packages)

    def told(self, path: Path) -> str:
        """See ``Exporter.told``: what XNNPACK runs, and what is left to slower operators."""
        program = read_program(path)
        method = program.by_name[FORWARD]
        return delegation(method, graphs_of(program, method))

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        refuse_open(file_contract.interface())
        program = exported_program(model, file_contract)
        integers = EXECUTORCH.promise(precision).integers
        try:
            with quiet():
                made = lower(program, integers=integers, texts=file_contract.to_metadata())
        except Exception as error:  # torchao and ExecuTorch share no narrower base class
            raise ContractError(
                f"ExecuTorch could not convert {file_contract.graph}: {first_line(error)}"
            ) from error
        storage.write_bytes(path, made.buffer)
        refuse_undelegated(path)
        return weight_table(path, model)
