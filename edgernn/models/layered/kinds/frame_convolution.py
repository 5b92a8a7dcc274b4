"""The convolution over the picture of each frame (LeCun et al. 1989), with batch normalisation
(Ioffe & Szegedy 2015) and a function after it or without.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgernn.models.activations import ACTIVATIONS, Activation
from edgernn.models.layered.kinds.frames import as_frames, as_pictures, map_axes, map_value
from edgernn.models.layered.layer import Extent, LayerModule, Options, Place, Tensors, read_options
from edgernn.models.windows import windows


class FrameConvolutionOptions(Options):
    """``width`` is O, the channels of the result; ``kernel`` K, ``stride`` S and ``padding`` P are
    in pixels, and P is half of K where it is not given; ``normalise`` puts batch normalisation
    before ``activation``.
    """

    width: Extent
    kernel: int = Field(default=3, ge=1, le=64)
    stride: int = Field(default=1, ge=1, le=64)
    padding: int | None = Field(default=None, ge=0, le=64)
    groups: int = Field(default=1, ge=1)
    bias: bool = True
    normalise: bool = False
    activation: Activation | None = None


class FrameConvolution(LayerModule):
    """``f(norm(W * x + b))`` of each frame by itself: ``[B, T, I, H, W]`` to ``[B, T, O, H',
    W']``, ``H' = ⌊(H + 2P - K) / S⌋ + 1``.

    The parameters are ``conv.weight [O, I / groups, K, K]`` and ``conv.bias [O]``, as torch's
    ``Conv2d`` has them, and ``norm.…`` as its ``BatchNorm2d``. It keeps no state.
    """

    options_kind = FrameConvolutionOptions
    graphs = ("step",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: FrameConvolutionOptions = read_options(place, FrameConvolutionOptions)
        channels, height, width = map_axes(place)
        axis = place.axis(options.width)
        inputs, outputs = channels.size or 0, axis.size or 0
        if inputs % options.groups or outputs % options.groups:
            raise place.refusal(
                f"groups is {options.groups}, expected a divisor of the channels {inputs} and "
                f"{outputs}"
            )
        padding = options.kernel // 2 if options.padding is None else options.padding
        sides = [axis.size or 0 for axis in (height, width)]
        made = [(side + 2 * padding - options.kernel) // options.stride + 1 for side in sides]
        if min(made) < 1:
            raise place.refusal(
                f"its kernel is {options.kernel}, wider than the picture {sides} with {padding} "
                "around it"
            )
        self.conv: nn.Conv2d | None = nn.Conv2d(
            inputs,
            outputs,
            options.kernel,
            stride=options.stride,
            padding=padding,
            groups=options.groups,
            bias=options.bias,
        )
        self.kernel, self.stride, self.padding = options.kernel, options.stride, padding
        self.product: nn.Linear | None = None
        self.norm = nn.BatchNorm2d(outputs) if options.normalise else None
        self.function = None if options.activation is None else ACTIVATIONS[options.activation]
        self.results = {"": map_value(place, axis, *made)}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        y = self._convolved(as_pictures(given[0]))  # [B·T, O, H', W']
        if self.norm is not None:
            y = self.norm(y)
        if self.function is not None:
            y = self.function(y)
        return (as_frames(y, given[0]),), ()

    def _convolved(self, x: Tensor) -> Tensor:
        if self.product is not None:
            kernel, stride = [self.kernel] * 2, [self.stride] * 2
            rows = windows(x, kernel, stride, [1, 1], [(self.padding, self.padding)] * 2)
            return self.product(rows).permute(0, 3, 1, 2)  # type: ignore[no-any-return]
        assert self.conv is not None
        y: Tensor = self.conv(x)
        return y

    def step_face(self) -> None:
        """See ``LayerModule.step_face``: the normalisation is folded into the convolution."""
        if self.conv is not None and self.norm is not None:
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), None

    def in_products(self) -> None:
        """See ``LayerModule.in_products``; a convolution of groups stays one."""
        conv = self.conv
        if conv is None or conv.groups > 1:
            return
        rows = conv.weight.detach().flatten(1)  # [O, I K K]
        self.product = nn.Linear(rows.shape[1], rows.shape[0], bias=conv.bias is not None)
        self.product.weight = nn.Parameter(rows.contiguous())
        if conv.bias is not None:
            self.product.bias = nn.Parameter(conv.bias.detach())
        self.conv = None
