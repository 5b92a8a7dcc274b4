"""Image encoders: a normalised picture ``[B, 3, S, S]`` to a grid of region vectors ``[B, F, G,
G]``.

``compact`` is trained from scratch on small pictures, and so is ``small``, which is narrower and
learns forms apart from colours. The ResNets (He et al. 2016, https://arxiv.org/abs/1512.03385) name
their parameters as torchvision does, so that its weight files load; what comes after the last
feature map is cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgernn.errors import CheckpointError, UsageError
from edgernn.models.weights import fit_problem, read_weights
from edgernn.wording import expected_one_of

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HEADS = ("fc.",)  # parameters behind the last feature map


class ImageEncoder(nn.Module):
    """What every encoder is. Subclasses set the attributes and implement ``forward``.

    Args:
        image_size: S, the side of the pictures in pixels.

    Attributes:
        width: F, the channels of the last feature map.
        near: how many of them, the first, see hardly more than their own region. Attention's keys
            are made of these: a deep feature tells of a thing from several regions away, and
            attention that goes by it looks beside the thing.
        stride: how many pixels one side of a region has.
        grid: G, ``S / stride``.

    Raises:
        UsageError: the regions do not tile the picture.
    """

    width: int
    near: int
    stride: ClassVar[int]

    def __init__(self, image_size: int) -> None:
        super().__init__()
        if image_size % self.stride:
            raise UsageError(
                f"image size is {image_size}, expected a multiple of {self.stride}, the "
                f"encoder's stride, as {_nearest(image_size, self.stride)}"
            )
        self.grid = image_size // self.stride


class CompactEncoder(ImageEncoder):
    """Four convolutions, each with batch normalisation (Ioffe & Szegedy 2015) and ReLU; regions of
    8 × 8 pixels.

    The first cuts the picture into patches of 4 × 4 pixels; no later one with a stride overlaps
    either, so that a region's features are centred on it. The near features are the mean of a
    region's four patches: they see nothing else. Every patch's coordinates from -1 to 1 are two
    more channels (Liu et al. 2018, https://arxiv.org/abs/1807.03247): a mean over regions could not
    tell "above" from "below" without them.

    Args:
        image_size: as every encoder takes it.
        patch, deep: the channels of the first two convolutions, and of the last two.
    """

    stride = 8

    def __init__(self, image_size: int, *, patch: int = 64, deep: int = 128) -> None:
        super().__init__(image_size)
        self.near, self.width = patch + 2, patch + 2 + deep
        self.patches = _convolution(3, patch, size=4, stride=4)
        self.body = nn.Sequential(
            _convolution(patch + 2, patch, size=3),
            _convolution(patch, deep, size=2, stride=2),
            _convolution(deep, deep, size=3),
        )
        line = torch.linspace(-1, 1, 2 * self.grid)
        where = torch.stack(torch.meshgrid(line, line, indexing="ij"))[None]
        self.register_buffer("where", where, persistent=False)  # [1, 2, S/4, S/4]

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``x [B, 3, S, S]`` to ``[B, F, S/8, S/8]``."""
        x = self.placed(self.patches(x))
        return torch.cat((nn.functional.avg_pool2d(x, 2), self.body(x)), 1)

    def placed(self, x: Tensor) -> Tensor:
        """Return patches ``[B, patch, S/4, S/4]`` with their coordinates as two more channels."""
        where = self.get_buffer("where").to(x.dtype).expand(x.shape[0], -1, -1, -1)
        return torch.cat((x, where), 1)


def _nearest(size: int, stride: int) -> str:
    """Return the sizes that fit beside ``size``, in words."""
    below = size // stride * stride
    return f"{below} or {below + stride}" if below else f"{stride}"


def _convolution(inputs: int, outputs: int, *, size: int, stride: int = 1) -> nn.Sequential:
    padding = size // 2 if stride == 1 else 0
    layer = nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class SmallEncoder(CompactEncoder):
    """The layers of ``compact``, of fewer channels; the later ones see the picture in patches of
    their own, and in training in other colours.

    Each picture's colours are then turned by an angle of its own about the axis of greys, which
    leaves light and contrast. A form is so learned from things of all colours at once, also for a
    colour in which it was never seen; the near features have the true colours.
    """

    def __init__(self, image_size: int) -> None:
        super().__init__(image_size, patch=16, deep=24)
        self.forms = _convolution(3, 16, size=4, stride=4)

    def forward(self, x: Tensor) -> Tensor:
        """See ``CompactEncoder.forward``."""
        near = nn.functional.avg_pool2d(self.placed(self.patches(x)), 2)
        forms = self.forms(_turned(x) if self.training else x)
        return torch.cat((near, self.body(self.placed(forms))), 1)


def _turned(x: Tensor) -> Tensor:
    """Turn the colours of pictures ``x [B, 3, S, S]``, each by a random angle t: by Rodrigues'
    formula about (1, 1, 1), ``cos t · I + (1 - cos t) / 3 · J + sin t / √3 · K``.
    """
    angle = 2 * torch.pi * torch.rand(len(x), 1, 1, device=x.device)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=x.device)
    own, all_of_it = torch.eye(3, device=x.device), torch.ones(3, 3, device=x.device)
    turn = angle.cos() * own + (1 - angle.cos()) / 3 * all_of_it + angle.sin() / 3**0.5 * cross
    return torch.bmm(turn.to(x.dtype), x.flatten(2)).view_as(x)


class _Block(nn.Module):
    """A residual block: ``relu(body(x) + shortcut(x))``; the names of its layers are
    torchvision's.
    """

    expansion = 1

    def _shortcut(self, inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
        if stride == 1 and inputs == outputs:
            return None
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
        )


class BasicBlock(_Block):
    """Two 3 × 3 convolutions."""

    def __init__(self, inputs: int, planes: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = self._shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, planes, H/stride, W/stride]``."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(_Block):
    """1 × 1, 3 × 3 (which holds the stride, as torchvision's does) and 1 × 1 to four times the
    width.
    """

    expansion = 4

    def __init__(self, inputs: int, planes: int, *, stride: int) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = self._shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, 4 planes, H/stride, W/stride]``."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(ImageEncoder):
    """A residual network without its pooling and classifier; regions of 32 × 32 pixels."""

    stride = 32

    def __init__(
        self, image_size: int, block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, ...]
    ) -> None:
        super().__init__(image_size)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for index, depth in enumerate(depths):
            planes = 64 << index
            layer = nn.Sequential()
            for place in range(depth):
                layer.append(block(inputs, planes, stride=2 if index and not place else 1))
                inputs = planes * block.expansion
            self.add_module(f"layer{index + 1}", layer)
        self.width = self.near = inputs

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``x [B, 3, S, S]`` to ``[B, F, S/32, S/32]``."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
        return x


ENCODERS: dict[str, Callable[[int], ImageEncoder]] = {  # name → builder, given the image size
    "compact": CompactEncoder,
    "small": SmallEncoder,
    "resnet18": lambda size: ResNet(size, BasicBlock, (2, 2, 2, 2)),
    "resnet34": lambda size: ResNet(size, BasicBlock, (3, 4, 6, 3)),
    "resnet50": lambda size: ResNet(size, Bottleneck, (3, 4, 6, 3)),
    "resnet101": lambda size: ResNet(size, Bottleneck, (3, 4, 23, 3)),
    "resnet152": lambda size: ResNet(size, Bottleneck, (3, 8, 36, 3)),
}


def image_encoder(name: str, image_size: int) -> ImageEncoder:
    """Build the encoder ``name`` with fresh weights; raise UsageError for an unknown name or a size
    that does not fit.
    """
    if name not in ENCODERS:
        raise UsageError(f"unknown image encoder {name!r}; {expected_one_of(name, ENCODERS)}")
    return ENCODERS[name](image_size)


def load_encoder_weights(encoder: ImageEncoder, path: Path) -> None:
    """Fill ``encoder`` from a weights file, all or nothing; a classifier in the file is left out.

    Args:
        encoder: any of ``ENCODERS``.
        path: ``.safetensors``, or a ``.pth`` or ``.pt`` of tensors only, which is read without
            unpickling objects. Counters of batches that old files lack are taken as zero.

    Raises:
        CheckpointError: unreadable, or names or shapes that do not fit: says which, and nothing was
            loaded.
    """
    found = {
        name: tensor for name, tensor in read_weights(path).items() if not name.startswith(_HEADS)
    }
    wanted = encoder.state_dict()
    counters = {
        name: torch.zeros_like(wanted[name])
        for name in wanted
        if name.endswith(".num_batches_tracked")
    }
    weights = {**counters, **found}
    problem = fit_problem(weights, wanted)
    if problem:
        raise CheckpointError(
            f"{path} does not fit the image encoder: {problem}; nothing was loaded"
        )
    encoder.load_state_dict(weights)


def normalise(image: Tensor) -> Tensor:
    """Turn ``image [B, S, S, 3]``, RGB 0 to 255 of any dtype, into float32 ``[B, 3, S, S]`` by
    ImageNet's mean and deviation.

    These are the figures that torchvision's weights were trained with.
    """
    x = image.permute(0, 3, 1, 2).float()
    mean = torch.tensor(_IMAGENET_MEAN, device=x.device).view(1, 3, 1, 1) * 255
    deviation = torch.tensor(_IMAGENET_STD, device=x.device).view(1, 3, 1, 1) * 255
    return (x - mean) / deviation
