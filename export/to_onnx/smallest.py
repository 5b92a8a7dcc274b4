"""The smallest file within a budget: 4 or 8 bits and the block size of each layer, chosen by what
they lose.

Each layer is tried alone in every way while the others keep 8 bits; what that costs, the KL
divergence on held-out data, is taken to add up. Then layers go down in the order of bytes saved for
loss; the files on that way are measured as a whole from the smallest on, and the first within the
budget is taken.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
import torch

from edgernn import storage
from edgernn.bundle.nats import rise_text
from edgernn.bundle.records import LossRecord
from edgernn.bundle.stored_weights import OTHERS, StoredWeight
from edgernn.contract import TIME, FileContract, Narrowing
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.export.judging import loss_of, open_written
from edgernn.export.rounding.blocks import Blocks
from edgernn.export.rounding.compression import Budget
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.source import Source
from edgernn.export.to_onnx.quantize import layer_name, lookups, products, quantize_graph
from edgernn.export.to_onnx.tracing import finish, step_graph
from edgernn.export.to_onnx.weights import weight_table
from edgernn.formats import Format
from edgernn.formats.onnx import ONNX
from edgernn.formats.promise import Tolerance

SEARCHED = "smallest"  # the precision whose recipe is searched for
SAFE = Rounding(8, 128)
LOWER = (Rounding(4, 32), Rounding(4, 64), Rounding(4, 128), Rounding(4, 256))


def _save(model_proto: onnx.ModelProto, path: Path, file_contract: FileContract) -> None:
    onnx.save(model_proto, str(path))


@dataclass(frozen=True)
class Files:
    """What is searched among, and measured: files of a format.

    Attributes:
        row: their format.
        narrowing: how each is narrower than the contract.
        write: writes a rounded and finished graph as such a file.
    """

    row: Format = ONNX
    narrowing: Narrowing = field(default_factory=lambda: Narrowing(axes={TIME: 1}))
    write: Callable[[onnx.ModelProto, Path, FileContract], None] = _save


@dataclass(frozen=True, eq=False)
class _Tried:
    """One whole file that was measured."""

    layers: Mapping[str, Rounding]
    weights: tuple[StoredWeight, ...]
    loss: LossRecord

    @property
    def bytes(self) -> int:
        """What the rounded weights take."""
        return sum(weight.bytes for weight in self.weights)


def smallest_recipe(source: Source, files: Files | None = None) -> Recipe:
    """Return the recipe of the smallest step file that stays within the budget of ``source``; by
    default of ONNX files.

    Raises:
        UsageError: no budget is given, or no held-out data to measure it on.
        UnavailableError: what runs the files is not here.
        ContractError: the budget cannot be met even by 8 bits everywhere; says how near it came.
    """
    budget = source.options.budget
    if budget.perplexity is None and budget.cider is None:
        raise UsageError(
            "the smallest file needs to know how much may be lost; give "
            "--max-perplexity-increase, as 1%"
        )
    with storage.scratch() as scratch:
        search = _Search(source, files or Files(), scratch)
        return replace(search.recipe, layers=_smallest_layers(search))


def _smallest_layers(search: _Search) -> Mapping[str, Rounding]:
    safe = search.measure(dict.fromkeys(search.names, SAFE))
    if not search.within(safe.loss):
        budget = search.source.options.budget
        allowed = " and ".join(
            f"{share:.2%}" for share in (budget.perplexity, budget.cider) if share is not None
        )
        increase = f"raise the perplexity by {rise_text(safe.loss.increase, sign='')}"
        drop = (
            ""
            if safe.loss.cider_drop is None
            else f" and lower the CIDEr-D by {safe.loss.cider_drop:.2%}"
        )
        raise ContractError(
            f"even 8 bits in every layer {increase}{drop}, more than the {allowed} allowed; "
            "nothing was written"
        )
    # each of more bytes than the one before
    down = (search.measure(layers) for layers in reversed(search.way_down(safe)))
    best = next((tried for tried in down if search.within(tried.loss)), safe)
    search.source.tell(_words(best, safe))
    return best.layers


class _Search:
    """Measures step files of one model, written to the folder ``scratch``, each layer rounded in
    its own way.
    """

    def __init__(self, source: Source, files: Files, scratch: Path) -> None:
        self.source, self.files, self.scratch = source, files, scratch
        self.limit: Tolerance = files.row.promise(SEARCHED)
        self.file_contract = FileContract(
            contract=source.contract, narrowing=files.narrowing, decoding=source.decoding
        )
        with torch.no_grad():
            choices = [self._step(folded) for folded in (False, True)]
        self.model_proto, self.recipe = min(choices, key=lambda choice: self._lowest_bytes(*choice))
        self.names = [
            layer_name(node) for node in (*lookups(self.model_proto), *products(self.model_proto))
        ]
        self._rounded: dict[tuple[str, Rounding], Blocks] = {}

    def _step(self, folded: bool) -> tuple[onnx.ModelProto, Recipe]:
        """Return the float32 step graph, and its recipe, in which every layer is still as low as it
        can go.
        """
        model = copy.deepcopy(self.source.loaded.model).requires_grad_(False)
        return step_graph(
            model, self.file_contract, Recipe(LOWER[-1], folded=folded), feeds=self.source.feeds
        )

    def _lowest_bytes(self, model_proto: onnx.ModelProto, recipe: Recipe) -> int:
        lowest = onnx.ModelProto()
        lowest.CopyFrom(model_proto)
        quantize_graph(lowest, replace(recipe, hessians={}))
        return sum(weight.bytes for weight in weight_table(lowest))

    def measure(self, layers: Mapping[str, Rounding], *, budget: Budget | None = None) -> _Tried:
        """Write the file of ``layers`` and let it read the held-out data; ``budget`` says what of
        the loss to measure.
        """
        model_proto = onnx.ModelProto()
        model_proto.CopyFrom(self.model_proto)
        quantize_graph(model_proto, replace(self.recipe, layers=layers), rounded=self._rounded)
        finish(model_proto, self.file_contract)
        row, path = self.files.row, self.scratch / f"step{self.files.row.suffix}"
        self.files.write(model_proto, path, self.file_contract)
        candidate = open_written(path, self.file_contract, row=row, source=self.source)
        if candidate is None:
            raise UnavailableError(
                f"the smallest {row.name} file is searched for by running every one, which this "
                "machine cannot; export it where edgernn doctor says that the format runs"
            )
        loss = loss_of(candidate, self.source, limit=self.limit, budget=budget)
        if loss is None:
            raise UsageError(
                "the checkpoint holds no held-out data to measure the loss on; train with a "
                "validation text"
            )
        return _Tried(
            layers,
            tuple(weight for weight in weight_table(model_proto) if weight.name != OTHERS),
            loss,
        )

    def within(self, loss: LossRecord) -> bool:
        """Return whether ``loss`` stays within the budget."""
        budget = self.source.options.budget
        perplexity = budget.perplexity is None or loss.is_within(budget.perplexity)
        return perplexity and (budget.cider is None or (loss.cider_drop or 0.0) <= budget.cider)

    def way_down(self, safe: _Tried) -> list[Mapping[str, Rounding]]:
        """Return files of ever fewer bytes: at each, one more layer goes to what saves most bytes
        for its loss.
        """
        alone = {
            (name, rounding): self.measure({**safe.layers, name: rounding}, budget=Budget())
            for name in self.names
            for rounding in LOWER
        }
        saved = {key: safe.bytes - tried.bytes for key, tried in alone.items()}
        lost = {
            key: max(tried.loss.mean_kl - safe.loss.mean_kl, 0.0) for key, tried in alone.items()
        }
        layers = dict(safe.layers)
        spent = dict.fromkeys(self.names, (0, 0.0))  # by layer: bytes saved and loss taken so far
        way: list[Mapping[str, Rounding]] = []
        while True:
            prices = {  # of each byte saved, in loss
                key: (lost[key] - spent[key[0]][1]) / (saved[key] - spent[key[0]][0])
                for key in alone
                if saved[key] > spent[key[0]][0]
            }
            if not prices:
                return way
            name, rounding = min(prices, key=lambda key: prices[key])
            spent[name] = (saved[name, rounding], lost[name, rounding])
            layers = {**layers, name: rounding}
            way.append(layers)


def _words(best: _Tried, safe: _Tried) -> str:
    low = [
        f"{weight.name} {weight.dtype} in blocks of {weight.block_size}" for weight in best.weights
    ]
    drop = "" if best.loss.cider_drop is None else f", CIDEr-D {-best.loss.cider_drop:+.2%}"
    return (
        f"smallest within the budget: {best.bytes} bytes of weights ({safe.bytes} with 8 bits "
        "everywhere), perplexity "
        f"{rise_text(best.loss.increase)}{drop}: {', '.join(low)}"
    )
