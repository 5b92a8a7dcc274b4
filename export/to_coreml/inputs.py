"""What goes into a Core ML file, and what comes out: floats of 32 bits at most, integers and truth
values of 32 bits, and pictures as pixel buffers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgernn.contract import BATCH, CHANNELS, HEIGHT, PICTURE, WIDTH, TensorSpec
from edgernn.contract.file import FileDType

_BUFFER = (BATCH, HEIGHT, WIDTH, CHANNELS)  # the axes of what a pixel buffer stands for


def input_dtype(tensor: TensorSpec) -> FileDType:
    """Return the dtype by which a Core ML file takes ``tensor``: of integers it has int32 alone,
    and a picture comes as a pixel buffer.
    """
    if tensor.is_picture and tensor.axes == _BUFFER:
        return PICTURE
    return plain_dtype(tensor)


def plain_dtype(tensor: TensorSpec) -> FileDType:
    """Return the dtype of the numbers by which a Core ML file takes or gives ``tensor``."""
    if tensor.kind in "iub":
        return "int32"
    return "float32" if tensor.dtype == "float64" else tensor.dtype


class AsInFile(nn.Module):
    """A graph that is given, and gives, the dtypes of the file; and each output is a value of its
    own: coremltools gives two outputs that are one value one name, and takes no input as an output.

    Args:
        graph: in the contract's dtypes.
        given, made: the contract's dtype of each input and the file's of each output, None where
            there is nothing to change.
        examples: what it is called with.
    """

    def __init__(
        self,
        graph: nn.Module,
        given: Sequence[torch.dtype | None],
        made: Sequence[torch.dtype | None],
        examples: Sequence[Tensor],
    ) -> None:
        super().__init__()
        self.flat, self.given, self.made = graph, given, made
        self.again: frozenset[int] = frozenset()
        self.again = _repeated(self(*examples), examples)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the graph."""
        own = (x if d is None else x.to(d) for x, d in zip(inputs, self.given, strict=True))
        results: tuple[Tensor, ...] = self.flat(*own)
        cast = [y if d is None else y.to(d) for y, d in zip(results, self.made, strict=True)]
        return tuple(torch.maximum(y, y) if n in self.again else y for n, y in enumerate(cast))


def in_file(
    graph: nn.Module,
    given: Sequence[torch.dtype | None],
    made: Sequence[torch.dtype | None],
    examples: Sequence[Tensor],
) -> nn.Module:
    """Return ``graph``, as ``AsInFile`` where there is anything to change."""
    changed = AsInFile(graph, given, made, examples)
    return changed if any((*given, *made)) or changed.again else graph


def _repeated(results: Sequence[Tensor], given: Sequence[Tensor]) -> frozenset[int]:
    """Return the places of what is an input as it came, or the same as something before it."""
    return frozenset(
        place
        for place, one in enumerate(results)
        if any(one is each for each in given)
        or any(one.dtype == o.dtype and torch.equal(one, o) for o in results[:place])
    )


class FromPictures(nn.Module):
    """A graph whose pictures come as Core ML hands them over: colour planes ``[1, 3, H, W]``, of a
    grey one ``[1, 1, H, W]``, 0 to 255, of a float dtype.
    """

    def __init__(self, graph: nn.Module, pictures: list[bool]) -> None:
        super().__init__()
        self.flat, self.pictures = graph, pictures  # "graph" is what a traced module calls its own

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the graph."""
        rows = (
            x.permute(0, 2, 3, 1) if picture else x  # [1, H, W, C]
            for x, picture in zip(inputs, self.pictures, strict=True)
        )
        results: tuple[Tensor, ...] = self.flat(*rows)
        return results


def planes(image: Tensor) -> Tensor:
    """Return a picture ``[1, H, W, C]`` as Core ML hands it over."""
    return image.permute(0, 3, 1, 2).float()  # [1, C, H, W]
