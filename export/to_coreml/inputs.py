"""What goes into a Core ML file: integers of 32 bits, and pictures as pixel buffers."""

from __future__ import annotations

from torch import Tensor, nn

from edgernn.contract import BATCH, CHANNELS, HEIGHT, PICTURE, WIDTH, TensorSpec
from edgernn.contract.file import FileDType
from edgernn.export.graphs import FlatGraph

_BUFFER = (BATCH, HEIGHT, WIDTH, CHANNELS)  # the axes of what a pixel buffer stands for


def input_dtype(tensor: TensorSpec) -> FileDType:
    """Return the dtype by which a Core ML file takes ``tensor``: of integers it has int32 alone,
    and a picture comes as a pixel buffer.
    """
    if tensor.is_picture and tensor.axes == _BUFFER:
        return PICTURE
    return "int32" if tensor.kind in "iu" else tensor.dtype


class FromPictures(nn.Module):
    """A graph whose pictures come as Core ML hands them over: colour planes ``[1, 3, H, W]``, 0 to
    255, of a float dtype.
    """

    def __init__(self, graph: FlatGraph, pictures: list[bool]) -> None:
        super().__init__()
        self.flat, self.pictures = graph, pictures  # "graph" is what a traced module calls its own

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the graph."""
        rows = (
            x.permute(0, 2, 3, 1) if picture else x  # [1, H, W, 3]
            for x, picture in zip(inputs, self.pictures, strict=True)
        )
        results: tuple[Tensor, ...] = self.flat(*rows)
        return results


def planes(image: Tensor) -> Tensor:
    """Return a picture ``[1, H, W, 3]`` as Core ML hands it over."""
    return image.permute(0, 3, 1, 2).float()  # [1, 3, H, W]
