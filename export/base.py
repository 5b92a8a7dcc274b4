"""The interface of every exporter; it judges the written file against the contract before anyone
else sees it.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from edgernn import formats
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import (
    BATCH,
    STEP,
    TIME,
    Decoding,
    FileContract,
    GraphSpec,
    GraphWord,
    Narrowing,
    file_problems,
)
from edgernn.contract.in_graph import file_interface
from edgernn.errors import ContractError, UsageError
from edgernn.export.operators import Operators
from edgernn.export.rounding.compression import Compression
from edgernn.export.rounding.recipe import Recipe
from edgernn.export.source import Source
from edgernn.models.family import RecurrentModel


@dataclass(frozen=True)
class Written:
    """What an exporter tells of the file it wrote.

    ``weights`` are as read back from it, empty where nothing is rounded; ``requires`` is package →
    the lowest version that runs it, where that is above edgernn's own floor; ``notes`` are lines
    for whoever ships the file; ``portable`` is proved of the file where it was asked for; ``told``
    is what runs what of it, in words.
    """

    narrowing: Narrowing
    target: str
    exporter: str
    weights: tuple[StoredWeight, ...] = ()
    requires: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    portable: bool | None = None
    told: str = ""


class Exporter(ABC):
    """Writes one graph of a model in one format.

    Subclasses set ``format_name`` and implement ``narrowing``, ``target``, ``versions`` and
    ``_write``; ``recipe`` where a precision is searched for.

    Args:
        compression: how weights are rounded; for exporters that round themselves.
        way: one of ``ways``.
        prefix: of names in generated source; None takes the format's own.
        streams: how many rows a file has whose format fixes their number.
        operators: which operators files of onnx have; other formats have no such choice.
        axes: axis that the contract leaves open → the size that a file of fixed sizes takes.
    """

    format_name: str
    ways: tuple[str, ...] = ("",)  # how the file can be written, the first choice first
    target_read: bool = False  # whether what a file was written for is read from the file itself

    def __init__(
        self,
        compression: Compression | None = None,
        way: str = "",
        *,
        prefix: str | None = None,
        streams: int = 1,
        operators: Operators | None = None,
        axes: Mapping[str, int] | None = None,
    ) -> None:
        self.compression, self.way = compression or Compression(), way or self.ways[0]
        self.prefix, self.streams = prefix, streams
        self.operators, self.axes = operators or Operators(), dict(axes or {})

    def export(
        self,
        model: RecurrentModel,
        path: Path,
        *,
        precision: str,
        decoding: Decoding | None,
        graph: GraphWord = STEP,
    ) -> Written:
        """Write one graph of ``model`` to ``path``, and read the file back to check it against the
        contract.

        The model is copied first and never changed.

        Raises:
            UsageError: the format does not offer ``precision`` or ``graph``.
            ContractError: what was written does not keep the contract: an exporter's defect,
                nothing is packed.
        """
        row = formats.by_name(self.format_name)
        if precision not in row.precisions:
            raise UsageError(
                f"{row.name} does not offer {precision!r}; it offers {', '.join(row.precisions)}"
            )
        if graph not in (*row.graphs, *row.decoders) or not row.offers(graph, precision):
            raise UsageError(
                f"{row.name} does not write {graph} in {precision}; it writes "
                f"{', '.join(row.graphs)} in {row.precisions[0]}"
            )
        contract = model.config.contract()
        decodes = graph in row.decoders
        narrowing = (
            Narrowing(axes={BATCH: 1})
            if decodes
            else self.narrowed(model, contract.graph(graph), precision)
        )
        file_contract = FileContract(
            contract=contract, graph=graph, narrowing=narrowing, decoding=decoding
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with quiet_copy(model) as clone:
            weights = self._write(clone, path, file_contract=file_contract, precision=precision)
        session = formats.resolve(
            row.session, needed_for=f"checking {row.name}", extra=row.export_extra
        )
        found = session.describe(path)
        problems = file_problems(found, file_contract, file_interface(file_contract))
        if problems:
            raise ContractError(
                f"the {row.name} exporter broke the contract in {path.name}: {'; '.join(problems)}"
            )
        own = found.target if self.target_read or model.own_file is not None else None
        return Written(
            narrowing,
            own or self.target(precision),
            self.versions(),
            weights,
            dict(found.requires),
            self.notes(file_contract),
            self.proved_portable(path),
            self.told(path),
        )

    @classmethod
    def recipe(cls, source: Source, precision: str) -> Recipe | None:
        """Return how each layer is rounded in a precision that is searched for on held-out data;
        None for the precision's own way.

        Raises:
            UsageError, ContractError: see the search.
        """
        return None

    def told(self, path: Path) -> str:
        """Say what runs what of the file at ``path``, in words; nothing unless a format says so."""
        return ""

    def proved_portable(self, path: Path) -> bool | None:
        """Return whether the file at ``path`` is proved to be portable; None where a format has no
        such claim, or it was not asked for.

        Raises:
            ContractError: it was asked for, and the file is not.
        """
        return None

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """Say how the file of ``graph`` will be narrower than the contract; not at all unless a
        format says so.
        """
        return Narrowing()

    def narrowed(self, model: RecurrentModel, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """Return ``narrowing``, and one time step a call where ``model`` cannot be traced with any
        number of them; a step has as many frames as the contract says. Where files take fixed
        sizes, open axes get those that were asked for.
        """
        own = self._sized(self.narrowing(graph_spec, precision), graph_spec)
        timed = any(TIME in tensor.axes for tensor in graph_spec.inputs)
        fused = model.open_time and model.fused_in(formats.select(self.format_name)[0].family)
        if TIME in own.axes or (timed and not fused):
            frames = model.config.contract().step_frames
            return own.model_copy(update={"axes": {**own.axes, TIME: frames}})
        return own

    def _sized(self, narrowing: Narrowing, graph_spec: GraphSpec) -> Narrowing:
        used = {axis for t in (*graph_spec.inputs, *graph_spec.outputs) for axis in t.axes}
        sizes = {axis: size for axis, size in self.axes.items() if axis in used}
        if not sizes or not formats.by_name(self.format_name).fixed_sizes:
            return narrowing
        return narrowing.model_copy(update={"axes": {**narrowing.axes, **sizes}})

    def notes(self, file_contract: FileContract) -> tuple[str, ...]:
        """Say what whoever ships the file must know, a line each; nothing unless a format says
        so.
        """
        return ()

    @abstractmethod
    def target(self, precision: str) -> str:
        """Return the opset, deployment target or runtime version that a file in ``precision`` is
        written for.
        """

    @abstractmethod
    def versions(self) -> str:
        """Return the packages that write the file, with versions."""

    @abstractmethod
    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        """Write a graph of ``model`` (a private copy in evaluation mode, float32, on the CPU) to
        ``path`` with the metadata.

        Returns:
            What the weights are stored as, or nothing where all are as in the model.
        """


@contextmanager
def quiet_copy(model: RecurrentModel) -> Iterator[RecurrentModel]:
    """Yield a copy in evaluation mode, float32, on the CPU, without gradients."""
    with torch.no_grad():
        yield copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
