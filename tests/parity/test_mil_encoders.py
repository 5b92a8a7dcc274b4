"""Picture encoders in the interpreter: what coremltools makes of torch's modules, with arrays and
with pictures as inputs.
"""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgernn.sessions.mil.session import read_program

with contextlib.redirect_stderr(io.StringIO()):  # one line per library that exists on macOS only
    import coremltools as ct
    import coremltools.optimize.coreml as cto

PRECISIONS = {"float32": (ct.precision.FLOAT32, 1e-5), "float16": (ct.precision.FLOAT16, 5e-3)}


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Hide coremltools' progress bars and warnings."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def convert(module: nn.Module, examples: Sequence[Tensor], precision: str, *inputs: Any) -> Any:
    """Trace and convert a module; its inputs are named in0, in1 ... where none are given."""
    tensors = [
        ct.TensorType(name=f"in{at}", shape=example.shape) for at, example in enumerate(examples)
    ]
    with silence(), torch.no_grad():
        return ct.convert(
            torch.jit.trace(module, tuple(examples), check_trace=False),
            convert_to="mlprogram",
            inputs=list(inputs) or tensors,
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=PRECISIONS[precision][0],
            skip_model_load=True,
        )


def assert_close(
    found: Sequence[np.ndarray], expected: Tensor | tuple[Tensor, ...], precision: str
) -> None:
    wanted = [expected] if isinstance(expected, Tensor) else expected
    assert [array.shape for array in found] == [tuple(tensor.shape) for tensor in wanted]
    for array, tensor in zip(found, wanted, strict=True):
        tolerance = PRECISIONS[precision][1] * max(1, tensor.abs().max().item())
        np.testing.assert_allclose(array, tensor.numpy(), atol=tolerance, rtol=0)


REGIONS = 4  # a number, since coremltools converts no one_hot whose size is a traced shape


class Residual(nn.Module):
    """Two convolutions around a shortcut, as in ResNet."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


class Encoder(nn.Module):
    """``[B, 3, H, W]`` with values from 0 to 255 to features ``[B, R, 12]`` and their mean ``[B,
    12]``.
    """

    def __init__(self) -> None:
        super().__init__()
        stem = (
            nn.Conv2d(3, 8, 7, 2, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.layers = nn.Sequential(*stem, Residual(8, 12, 2))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layers(image / 127.5 - 1)
        return functional.adaptive_avg_pool2d(x, 2).flatten(2).transpose(1, 2), x.mean((2, 3))


class Attention(nn.Module):
    """A glimpse at regions ``[B, R, 12]``: of all, each by its weight, or of the heaviest alone."""

    def __init__(self, hard: bool) -> None:
        super().__init__()
        self.hard, self.keys, self.query, self.weight = (
            hard,
            nn.Linear(12, 6),
            nn.Linear(5, 6),
            nn.Linear(6, 1),
        )

    def forward(self, features: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        energies = self.weight(torch.tanh(self.keys(features) + self.query(h)[:, None])).squeeze(-1)
        attention = energies.softmax(-1)  # [B, R]
        if self.hard:
            attention = functional.one_hot(energies.argmax(-1), REGIONS).to(features.dtype)
        return torch.bmm(attention[:, None], features).squeeze(1), attention


class Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> Any:
        return self.function(*tensors)


def resize(x: Tensor) -> tuple[Tensor, ...]:
    return (
        functional.interpolate(x, scale_factor=2),
        functional.interpolate(x, (11, 5)),
        functional.interpolate(x, scale_factor=2, mode="bilinear"),
        functional.interpolate(x, (5, 14), mode="bilinear"),
        functional.interpolate(x, (5, 14), mode="bilinear", align_corners=True),
    )


def pool(x: Tensor) -> tuple[Tensor, ...]:
    return (
        functional.max_pool2d(x, 3, 2, ceil_mode=True),
        functional.avg_pool2d(x, 3, 2, 1),
        functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        functional.lp_pool2d(x, 2, 2),
        functional.adaptive_avg_pool2d(x, (4, 2)),
        functional.adaptive_avg_pool2d(x, 3),  # windows of several sizes
        functional.adaptive_max_pool2d(x, 2),
        x.amax((2, 3)),
    )


def read(x: Tensor) -> tuple[Tensor, ...]:
    rows = x.permute(0, 2, 3, 1).flatten(1, 2)  # [B, R, C]
    best, places = rows.topk(2, -1)
    taken = rows.gather(1, rows.argmax(1, keepdim=True))
    return (
        best,
        rows.gather(-1, places),
        taken,
        torch.einsum("brc,bkc->brk", rows, taken),
        x.log_softmax(1),
    )


def paddings() -> nn.Module:
    modes = (
        nn.Conv2d(4, 4, 3, padding=1, padding_mode=mode)
        for mode in ("zeros", "reflect", "replicate")
    )
    return nn.Sequential(*modes, nn.Conv2d(4, 4, 3, padding="same", dilation=2, groups=4))


def norms() -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm2d(4),
        nn.InstanceNorm2d(4, affine=True),
        nn.LocalResponseNorm(3),
        nn.GroupNorm(2, 4),
    )


def transposed() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
        nn.ConvTranspose2d(6, 4, 2, 2, groups=2),
    )


MAP, PICTURE = (1, 4, 8, 6), (1, 3, 32, 48)
MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...], set[str]]] = {
    "encoder": (
        Encoder,
        (PICTURE,),
        {"conv", "relu", "max_pool", "add", "avg_pool", "reduce_mean", "transpose"},
    ),
    "soft attention": (
        lambda: Attention(hard=False),
        ((2, 4, 12), (2, 5)),
        {"linear", "tanh", "softmax", "matmul"},
    ),
    "hard attention": (
        lambda: Attention(hard=True),
        ((2, 4, 12), (2, 5)),
        {"reduce_argmax", "one_hot", "matmul"},
    ),
    "resize": (
        lambda: Function(resize),
        (MAP,),
        {"upsample_nearest_neighbor", "upsample_bilinear"},
    ),
    "pool": (
        lambda: Function(pool),
        (MAP,),
        {"max_pool", "avg_pool", "reduce_mean", "reduce_max", "slice_by_index"},
    ),
    "read": (
        lambda: Function(read),
        (MAP,),
        {"topk", "gather_along_axis", "reduce_argmax", "matmul", "softmax"},
    ),
    "paddings": (paddings, (MAP,), {"conv", "pad"}),
    "norms": (norms, (MAP,), {"batch_norm", "instance_norm", "avg_pool", "reduce_mean"}),
    "transposed": (transposed, (MAP,), {"conv_transpose", "crop"}),
    "shuffles": (
        lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, 8, 1), nn.PixelShuffle(2)),
        (MAP,),
        {"pixel_shuffle", "pixel_unshuffle"},
    ),
    "sequence": (
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 3, 2, 1),
            nn.BatchNorm1d(6),
            nn.MaxPool1d(2),
            nn.ConvTranspose1d(6, 2, 2, 2),
        ),
        ((2, 4, 15),),
        {"conv", "max_pool", "conv_transpose"},
    ),
}


def trained(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a seeded module whose running means and variances are not those of a fresh one."""
    torch.manual_seed(1)
    module = make().eval()
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.25, 2)
    return module


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODULES)
def test_a_converted_module_computes_what_torch_computes(
    tmp_path: Path, name: str, precision: str
) -> None:
    make, shapes, operators = MODULES[name]
    module = trained(make)
    examples = [torch.randn(shape) for shape in shapes]
    model = convert(module, examples, precision)
    model.save(str(tmp_path / "p.mlpackage"))
    (block,) = model.get_spec().mlProgram.functions["main"].block_specializations.values()
    assert operators <= {operation.type for operation in block.operations}  # this is what was run
    inputs = {f"in{at}": example.numpy() for at, example in enumerate(examples)}
    found = read_program(tmp_path / "p.mlpackage").run(inputs, {})[0]
    with torch.no_grad():
        assert_close(list(found.values()), module(*examples), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("colors", ["RGB", "BGR", "GRAYSCALE"])
def test_a_program_that_takes_a_picture(tmp_path: Path, colors: str, precision: str) -> None:
    channels = 1 if colors == "GRAYSCALE" else 3
    module = trained(lambda: nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU()))
    shape, scale, bias = (1, channels, 6, 5), 1 / 127.5, [-1.0, -0.75, -0.5][:channels]
    declared = ct.ImageType(
        "image", shape, scale, bias if channels > 1 else bias[0], getattr(ct.colorlayout, colors)
    )
    model = convert(module, [torch.rand(shape)], precision, declared)
    model.save(str(tmp_path / "p.mlpackage"))
    (feature,) = model.get_spec().description.input
    kind = feature.type.imageType
    assert (kind.height, kind.width, kind.ColorSpace.Name(kind.colorSpace)) == (6, 5, colors)
    program = read_program(tmp_path / "p.mlpackage")
    assert list(program.inputs) == ["image"]
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with torch.no_grad():
        expected = module(torch.tensor(picture) * scale + torch.tensor(bias)[:, None, None])
    for given in (
        picture,
        picture.astype(np.float32),
    ):  # [1, C, H, W], the planes in the order that the program declares
        assert_close(list(program.run({"image": given}, {})[0].values()), expected, precision)


def test_compressed_convolutions(tmp_path: Path) -> None:
    module = trained(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3, groups=1), nn.ReLU(), nn.Conv2d(8, 4, 3, groups=2))
    )
    x = torch.randn(1, 3, 9, 8)
    config = cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
    with silence():
        model = convert(module, [x], "float32")
        cto.linear_quantize_weights(model, cto.OptimizationConfig(global_config=config)).save(
            str(tmp_path / "p.mlpackage")
        )
    same = copy.deepcopy(module)
    for name, parameter in same.named_parameters():
        if name.endswith("weight"):
            scale = parameter.data.abs().amax((1, 2, 3), keepdim=True) / 127
            parameter.data = torch.round(parameter.data / scale) * scale
    found = list(read_program(tmp_path / "p.mlpackage").run({"in0": x.numpy()}, {})[0].values())
    with torch.no_grad():
        assert_close(found, same(x), "float32")
        assert (
            np.abs(found[0] - module(x).numpy()).max() > 1e-4
        )  # not the weights that were there before
