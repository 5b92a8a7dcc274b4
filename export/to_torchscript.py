"""TorchScript: a traced module that ``torch.jit.load`` opens alone, the contract in an extra
file.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from edgernn import storage
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.export.base import Exporter
from edgernn.export.graphs import FlatGraph, drop_unused, example_inputs
from edgernn.formats.torchscript import TORCHSCRIPT
from edgernn.models.family import OperatorSet, RecurrentModel
from edgernn.sessions.torchscript.operators import PURE

OPERATORS = OperatorSet("a TorchScript file that edgernn lets in", PURE.__contains__)


class TorchScriptExporter(Exporter):
    """Writes ``.pt`` by tracing; the fused layers keep batch and time open."""

    format_name = TORCHSCRIPT.name

    def target(self, precision: str) -> str:
        """See ``Exporter.target``."""
        return "torch.jit"

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        return f"torch {torch.__version__}"

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        examples = example_inputs(file_contract, batch=2, time=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit warns that it is deprecated
            graph = FlatGraph(model.written_in(OPERATORS), file_contract.graph)
            drop_unused(graph, examples)
            module = torch.jit.trace(graph, examples)
            with storage.scratch() as folder:
                whole = folder / path.name
                torch.jit.save(module, str(whole), _extra_files=file_contract.to_metadata())
                copy_without_source(whole, path)
        return ()


_SOURCE = ".debug_pkl"  # beside the code: from which line of which Python file it was traced


def copy_without_source(whole: Path, path: Path) -> None:
    """Copy a TorchScript archive but for where its code came from: paths of this machine, which
    nothing but torch's error messages reads.

    torch's own writer keeps each tensor at a multiple of 64 bytes.
    """
    reader = torch._C.PyTorchFileReader(str(whole))
    writer = torch._C.PyTorchFileWriter(str(path))
    for name in reader.get_all_records():
        if not name.endswith(_SOURCE):
            content = reader.get_record(name)
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()
