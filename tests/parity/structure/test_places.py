"""What is proved of graphs that read a sequence of any length: masks of padding and places within a
row pass, what is right at one size alone does not.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn.contract.interface import FileTensor, Interface
from edgernn.parity.structure.onnx_rules import follow as follow_onnx
from edgernn.parity.structure.sizes import SizeError, UnknownError
from edgernn.parity.structure.torchscript_rules import follow as follow_script
from edgernn.sessions.ort.guard import refuse_foreign
from edgernn.sessions.torchscript.reading import method_graphs
from edgernn.sessions.torchscript.session import load_unread

IDS = FileTensor("source", "int64", ("batch", "source"))
VECTORS = FileTensor("y", "float32", ("batch", "source", 4))
PER_ROW = FileTensor("y", "float32", ("batch", 4))


class Reading(nn.Module):
    """Vectors of ids; subclasses say what is made of them."""

    out = VECTORS

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, source: Tensor) -> Tensor:
        return self.made(self.table(source), source)

    def made(self, x: Tensor, source: Tensor) -> Tensor:
        raise NotImplementedError


class Masked(Reading):
    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return x * (source != 0).float().unsqueeze(2)


class Chosen(Reading):
    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return torch.where((source == 0).unsqueeze(2), x * 2.0, x)


class LastOfEach(Reading):
    out = PER_ROW

    def places(self, source: Tensor) -> Tensor:
        last = ((source != 0).float().sum(1, keepdim=True) - 1.0).clamp(min=0.0).long()
        return (self.start(source) + last).flatten()

    def start(self, source: Tensor) -> Tensor:
        return torch.arange(source.shape[0]).unsqueeze(1) * source.shape[1]

    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return x.flatten(0, 1).index_select(0, self.places(source))


class Attended(Reading):
    out = PER_ROW

    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return torch.bmm(torch.softmax(x.sum(2).unsqueeze(1), -1), x).squeeze(1)


class FrozenLength(Reading):
    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return x * (torch.arange(source.shape[1]) < 7).float().unsqueeze(0).unsqueeze(2)


class FrozenSize(LastOfEach):
    def start(self, source: Tensor) -> Tensor:
        return torch.arange(source.shape[0]).unsqueeze(1) * 6


class PlaceBeforeTheFirst(LastOfEach):
    """One of an empty row would be that of the row before."""

    def places(self, source: Tensor) -> Tensor:
        last = ((source != 0).float().sum(1, keepdim=True) - 1.0).long()
        return (self.start(source) + last).flatten()


class PlaceAfterTheLast(LastOfEach):
    """One too far: that of the next row, where a row has no padding."""

    def places(self, source: Tensor) -> Tensor:
        last = (source != 0).float().sum(1, keepdim=True).clamp(min=0.0).long()
        return (self.start(source) + last).flatten()


class OverRows(LastOfEach):
    def places(self, source: Tensor) -> Tensor:
        last = ((source != 0).float().sum(0, keepdim=True) - 1.0).clamp(min=0.0).long()
        return (self.start(source) + last).flatten()


class AttendedOverRows(Reading):
    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return torch.softmax(x, 0)


class AnotherId(Reading):
    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return x * (source != 5).float().unsqueeze(2)


class CountAsData(Reading):
    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return x + torch.relu((source != 0).float().sum(1).unsqueeze(1).unsqueeze(2) - 90)


class PlaceAsData(Reading):
    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return x + torch.arange(source.shape[1]).float().unsqueeze(0).unsqueeze(2)


class CountedAsASum(Reading):
    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return x + torch.relu((x * 0 + 1).sum(1, keepdim=True) - 90)


class CountedByAProduct(Reading):
    """A product with ones in place of the weights of a softmax."""

    out = PER_ROW

    def made(self, x: Tensor, source: Tensor) -> Tensor:
        return torch.bmm(x.sum(2).unsqueeze(1) * 0 + 1, x).squeeze(1)


class CountedNarrow(LastOfEach):
    """A count in a type that has no whole numbers after 2,048."""

    def places(self, source: Tensor) -> Tensor:
        last = ((source != 0).half().sum(1, keepdim=True) - 1.0).clamp(min=0.0).long()
        return (self.start(source) + last).flatten()


class FromAnotherRow(LastOfEach):
    """Rows of another length than they have."""

    def start(self, source: Tensor) -> Tensor:
        return torch.arange(source.shape[0]).unsqueeze(1) * 5 + 1


HONEST = (Masked, Chosen, LastOfEach, Attended)
WRONG = {
    FrozenLength: (SizeError, "compares places along an axis with 7"),
    FrozenSize: (SizeError, "multiplies places along an axis by 6, which is no size"),
    OverRows: (SizeError, "along the axis batch mixes"),
    AttendedOverRows: (SizeError, "along the axis batch mixes"),
    PlaceBeforeTheFirst: (UnknownError, "takes where rows start"),
    PlaceAfterTheLast: (UnknownError, "takes a count of ids"),
    AnotherId: (UnknownError, "decides by ids"),
    CountAsData: (UnknownError, "takes a count of ids along the axis source as data"),
    PlaceAsData: (UnknownError, "takes places along the axis source as data"),
    CountedAsASum: (UnknownError, "whose size encode chooses"),
    CountedByAProduct: (UnknownError, "whose size encode chooses"),
    CountedNarrow: (UnknownError, "whose size encode chooses|takes where rows start"),
}


WRONG_AT_ONE_LENGTH = {
    PlaceBeforeTheFirst: (UnknownError, "takes a count of ids along the axis 6 as data"),
    PlaceAfterTheLast: WRONG[PlaceAfterTheLast],
    AnotherId: WRONG[AnotherId],
    CountAsData: (UnknownError, "takes a count of ids along the axis 6 as data"),
    FromAnotherRow: (UnknownError, "takes places within a row"),
}


def prove(kind: type[Reading], form: str, folder: Path, rows: int = 2) -> int:
    """Write a graph of ``kind`` and follow it; return how many operators it has."""
    network, source = kind().eval(), torch.randint(1, 9, (rows, 6))
    source[:, -1] = 0
    interface = Interface((IDS,), (kind.out,))
    if form == "torchscript":
        path = folder / "graph.pt"
        torch.jit.trace(network, source, check_trace=False).save(str(path))
        module, _ = load_unread(path)
        graph = next(graph for name, graph in method_graphs(module) if name == "forward")
        return follow_script(module, graph, interface)
    path, fixed = folder / "graph.onnx", form == "one length"
    torch.onnx.export(
        network,
        (source,),
        str(path),
        input_names=["source"],
        output_names=["y"],
        dynamic_axes=None if fixed else {"source": {0: "batch", 1: "source"}},
        dynamo=False,
        opset_version=17,
    )
    if fixed:
        sizes = {"batch": rows, "source": 6}
        shapes = [
            tuple(sizes.get(str(size), size) for size in t.shape or ()) for t in (IDS, kind.out)
        ]
        given, made = (
            replace(t, shape=own) for t, own in zip((IDS, kind.out), shapes, strict=True)
        )
        return follow_onnx(refuse_foreign(path).graph, Interface((given,), (made,)), {"source"})
    return follow_onnx(refuse_foreign(path).graph, interface)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["onnx", "torchscript"])
@pytest.mark.parametrize("kind", HONEST)
def test_masks_and_places_within_a_row_are_followed(
    kind: type[Reading], form: str, tmp_path: Path
) -> None:
    assert prove(kind, form, tmp_path) > 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["onnx", "torchscript"])
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_right_at_some_sizes_alone_is_not(
    kind: type[Reading], form: str, tmp_path: Path
) -> None:
    error, says = WRONG[kind]
    with pytest.raises(error, match=says):
        prove(kind, form, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("kind", HONEST)
def test_those_of_one_length_are_followed(kind: type[Reading], rows: int, tmp_path: Path) -> None:
    assert prove(kind, "one length", tmp_path, rows) > 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("kind", WRONG_AT_ONE_LENGTH)
def test_what_decides_by_ids_at_one_length_is_not(
    kind: type[Reading], rows: int, tmp_path: Path
) -> None:
    error, says = WRONG_AT_ONE_LENGTH[kind]
    with pytest.raises(error, match=says):
        prove(kind, "one length", tmp_path, rows)
