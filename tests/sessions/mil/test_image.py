"""Operators of pictures: saved and run from disk against torch, over all their options, and as
coremltools makes them of torch's modules."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mil_programs import ct, mb, save, types
from torch import Tensor
from torch.nn import functional

from edgernn.errors import ContractError
from edgernn.sessions.mil.image import IMAGE, SAMPLING_MODES
from edgernn.sessions.mil.session import read_program
from edgernn.sessions.mil.table import function_of
from edgernn.sessions.mil.windows import WINDOWS

PRECISIONS = {"float32": ct.precision.FLOAT32, "float16": ct.precision.FLOAT16}
KINDS = {"float32": types.fp32, "float16": types.fp16}


def eighths(*shape: int) -> np.ndarray:
    """Numbers from -1 to 1 that float16 holds exactly."""
    return np.random.default_rng(sum(shape)).integers(-8, 9, shape) / 8


# a batch of pictures, of sequences, of volumes
SHAPES = {"x": (2, 4, 7, 6), "s": (2, 4, 9), "v": (1, 2, 4, 5, 3)}
W, B = eighths(6, 4, 3, 2), eighths(6)
HALVES = eighths(6, 2, 2, 3)  # the weight of two groups
BACK = eighths(4, 3, 3, 2)  # the weight of a transposed convolution, of two groups
BLOCK = eighths(3, 2, 2, 2, 2)
MEAN, VARIANCE, GAMMA, BETA = eighths(4), np.array([0.5, 1, 2, 0.25]), eighths(1, 4)[0], eighths(4)
PARAMETERS = {"mean": MEAN, "variance": VARIANCE, "gamma": GAMMA, "beta": BETA}
SIZE = {"target_size_height": 9, "target_size_width": 4}


def t(array: np.ndarray) -> Tensor:
    return torch.tensor(array)


def interpolated(x: Tensor, height: int, width: int, **options: Any) -> Tensor:
    return functional.interpolate(x, (height, width), **{"mode": "bilinear", **options})


# operator and option → what builds it, where n makes numbers of the program's dtype; and the same
# in torch
CASES: dict[str, tuple[Callable[..., Any], Callable[[Any], Tensor]]] = {
    "conv": (lambda v, n: mb.conv(x=v.x, weight=n(W)), lambda v: functional.conv2d(v.x, t(W))),
    "conv custom": (
        lambda v, n: mb.conv(
            x=v.x,
            weight=n(HALVES),
            bias=n(B),
            pad_type="custom",
            pad=[1, 0, 2, 3],
            strides=[2, 1],
            dilations=[1, 2],
            groups=2,
        ),
        lambda v: functional.conv2d(
            functional.pad(v.x, (2, 3, 1, 0)),
            t(HALVES),
            t(B),
            stride=(2, 1),
            dilation=(1, 2),
            groups=2,
        ),
    ),
    "conv same": (
        lambda v, n: mb.conv(x=v.x, weight=n(W), pad_type="same", dilations=[1, 3]),
        lambda v: functional.conv2d(functional.pad(v.x, (1, 2, 1, 1)), t(W), dilation=(1, 3)),
    ),
    "conv same with strides": (
        lambda v, n: mb.conv(x=v.x, weight=n(W), pad_type="same", strides=[3, 4]),
        lambda v: functional.conv2d(functional.pad(v.x, (0, 0, 1, 1)), t(W), stride=(3, 4)),
    ),
    "conv same_lower": (
        lambda v, n: mb.conv(x=v.x, weight=n(W), pad_type="same_lower"),
        lambda v: functional.conv2d(functional.pad(v.x, (1, 0, 1, 1)), t(W)),
    ),
    "conv 3-D": (
        lambda v, n: mb.conv(x=v.v, weight=n(BLOCK)),
        lambda v: functional.conv3d(v.v, t(BLOCK)),
    ),
    "conv_transpose": (
        lambda v, n: mb.conv_transpose(
            x=v.x,
            weight=n(BACK),
            bias=n(B),
            pad_type="custom",
            pad=[1, 1, 2, 2],
            strides=[2, 3],
            dilations=[2, 1],
            groups=2,
        ),
        lambda v: functional.conv_transpose2d(
            v.x, t(BACK), t(B), padding=(1, 2), stride=(2, 3), dilation=(2, 1), groups=2
        ),
    ),
    "conv_transpose same": (
        lambda v, n: mb.conv_transpose(x=v.x, weight=n(BACK), pad_type="same", strides=[1, 3]),
        lambda v: functional.pad(
            functional.conv_transpose2d(v.x, t(BACK), stride=(1, 3))[:, :, 1:-1], (0, 1)
        ),
    ),
    "conv_transpose output_shape": (
        lambda v, n: mb.conv_transpose(
            x=v.x, weight=n(W[:4]), bias=n(BETA), strides=[2, 1], output_shape=[2, 4, 16, 7]
        ),
        lambda v: functional.conv_transpose2d(
            v.x, t(W[:4]), t(BETA), stride=(2, 1), output_padding=(1, 0)
        ),
    ),
    "max_pool": (
        lambda v, n: mb.max_pool(
            x=v.x, kernel_sizes=[3, 2], strides=[2, 1], pad_type="custom", pad=[1, 1, 0, 1]
        ),
        lambda v: functional.max_pool2d(
            functional.pad(v.x, (0, 1, 1, 1), value=-float("inf")), (3, 2), (2, 1)
        ),
    ),
    "max_pool same": (
        lambda v, n: mb.max_pool(x=v.x, kernel_sizes=[2, 4], strides=[1, 3], pad_type="same"),
        lambda v: functional.max_pool2d(
            functional.pad(v.x, (0, 1, 0, 1), value=-float("inf")), (2, 4), (1, 3)
        ),
    ),
    "max_pool 1-D": (
        lambda v, n: mb.max_pool(
            x=v.s, kernel_sizes=[2], strides=[2], pad_type="valid", ceil_mode=True
        ),
        lambda v: functional.max_pool1d(v.s, 2, ceil_mode=True),
    ),
    "avg_pool same_lower": (
        lambda v, n: mb.avg_pool(x=v.x, kernel_sizes=[2, 2], pad_type="same_lower"),
        lambda v: functional.avg_pool2d(functional.pad(v.x, (1, 0, 1, 0)), 2, 1),
    ),
    "l2_pool": (
        lambda v, n: mb.l2_pool(x=v.x, kernel_sizes=[3, 2], strides=[2, 2], pad_type="valid"),
        lambda v: functional.lp_pool2d(v.x, 2, (3, 2), (2, 2)),
    ),
    "batch_norm": (
        lambda v, n: mb.batch_norm(
            x=v.x, **{name: n(array) for name, array in PARAMETERS.items()}, epsilon=n(0.125)
        ),
        lambda v: functional.batch_norm(v.x, t(MEAN), t(VARIANCE), t(GAMMA), t(BETA), eps=0.125),
    ),
    "instance_norm": (
        lambda v, n: mb.instance_norm(x=v.x, gamma=n(GAMMA), beta=n(BETA), epsilon=n(0.125)),
        lambda v: functional.instance_norm(v.x, weight=t(GAMMA), bias=t(BETA), eps=0.125),
    ),
    "local_response_norm": (
        lambda v, n: mb.local_response_norm(x=v.x, size=3, alpha=n(0.5), beta=n(0.75), k=n(2)),
        lambda v: functional.local_response_norm(v.x, 3, 0.5, 0.75, 2),
    ),
    "local_response_norm even": (
        lambda v, n: mb.local_response_norm(x=v.s, size=2, alpha=n(1), beta=n(0.5), k=n(1)),
        lambda v: functional.local_response_norm(v.s, 2, 1, 0.5, 1),
    ),
    "upsample_nearest_neighbor": (
        lambda v, n: mb.upsample_nearest_neighbor(
            x=v.x, scale_factor_height=2, scale_factor_width=3
        ),
        lambda v: functional.interpolate(v.x, scale_factor=(2, 3)),
    ),
    "upsample_nearest_neighbor fractional": (
        lambda v, n: mb.upsample_nearest_neighbor(
            x=v.x, scale_factor_height=np.float32(10.0001 / 7), scale_factor_width=0.5
        ),
        lambda v: functional.interpolate(v.x, (10, 3)),
    ),
    "upsample_bilinear": (
        lambda v, n: mb.upsample_bilinear(
            x=v.x, scale_factor_height=2.0, scale_factor_width=1.5, align_corners=True
        ),
        lambda v: interpolated(v.x, 14, 9, align_corners=True),
    ),
    "upsample_bilinear centres": (
        lambda v, n: mb.upsample_bilinear(
            x=v.x, scale_factor_height=3.0, scale_factor_width=0.5, align_corners=False
        ),
        lambda v: interpolated(v.x, 21, 3),
    ),
    "upsample_bilinear neither": (
        lambda v, n: mb.upsample_bilinear(
            x=v.s,
            scale_factor_height=1,
            scale_factor_width=2,
            align_corners=False,
            half_pixel_centers=False,
        ),
        lambda v: torch.stack(
            [v.s, (v.s + torch.cat([v.s[..., 1:], v.s[..., -1:]], -1)) / 2], -1
        ).flatten(-2),
    ),
    "resize_bilinear": (
        lambda v, n: mb.resize_bilinear(x=v.x, **SIZE, sampling_mode="STRICT_ALIGN_CORNERS"),
        lambda v: interpolated(v.x, 9, 4, align_corners=True),
    ),
    "resize_nearest_neighbor": (
        lambda v, n: mb.resize_nearest_neighbor(x=v.x, **SIZE),
        lambda v: interpolated(v.x, 9, 4, mode="nearest-exact"),
    ),
    "crop": (
        lambda v, n: mb.crop(x=v.x, crop_height=[1, 2], crop_width=[0, 3]),
        lambda v: v.x[:, :, 1:5, :3],
    ),
    "pad replicate": (
        lambda v, n: mb.pad(x=v.x, pad=[1, 0, 2, 3], mode="replicate", constant_val=n(0)),
        lambda v: functional.pad(v.x, (2, 3, 1, 0), mode="replicate"),
    ),
    "pixel_shuffle": (
        lambda v, n: mb.pixel_shuffle(x=v.x, upscale_factor=2),
        lambda v: functional.pixel_shuffle(v.x, 2),
    ),
    "pixel_unshuffle": (
        lambda v, n: mb.pixel_unshuffle(
            x=mb.crop(x=v.x, crop_height=[0, 1], crop_width=[0, 0]), downscale_factor=np.uint32(2)
        ),
        lambda v: functional.pixel_unshuffle(v.x[:, :, :6], 2),
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def ran(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Any, Any]:
    """The dtype, what the saved operators return by number, and the inputs as that dtype holds
    them, in float64.
    """
    dtype = np.dtype(request.param)
    inputs = {
        name: np.random.default_rng(3).normal(size=shape).astype(dtype)
        for name, shape in SHAPES.items()
    }

    @mb.program(
        [mb.TensorSpec(shape, KINDS[request.param]) for shape in SHAPES.values()],
        opset_version=ct.target.iOS17,
    )
    def program(x: Any, s: Any, v: Any) -> tuple[Any, ...]:
        outputs = []
        for number, (name, (build, _)) in enumerate(CASES.items()):
            outputs.append(
                build(
                    SimpleNamespace(x=x, s=s, v=v), lambda numbers: np.asarray(numbers, dtype)[()]
                )
            )
            assert outputs[-1].op.op_type == name.split()[0]
            outputs[-1].name = f"out_{number}"
        return tuple(outputs)

    path = tmp_path_factory.mktemp("image") / "all.mlpackage"
    save(program, path)
    results, _ = read_program(path).run(inputs, {})
    return (
        request.param,
        results,
        SimpleNamespace(**{n: torch.tensor(a.astype(np.float64)) for n, a in inputs.items()}),
    )


def test_every_operator_has_a_case() -> None:
    assert {name.split()[0] for name in CASES} == {*IMAGE, *WINDOWS, "pad"}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_is_torchs(ran: tuple[str, Any, Any], name: str) -> None:
    dtype, results, inputs = ran
    found, expected = results[f"out_{list(CASES).index(name)}"], CASES[name][1](inputs).numpy()
    assert found.dtype == dtype
    assert found.shape == expected.shape
    rounded_once = 2.0**-11 * 1.01
    np.testing.assert_allclose(
        found, expected, rtol=2e-6 if dtype == "float32" else rounded_once, atol=3e-6
    )


PLACES: dict[
    str, tuple[list[float], list[float]]
    # sampling mode → the places of 5 and of 1 results in a line of 2: the first as coremltools
    # documents them
] = {
    "ALIGN_CORNERS": ([0, 0.25, 0.5, 0.75, 1], [0.5]),
    "DEFAULT": ([0, 0.4, 0.8, 1, 1], [0]),
    "OFFSET_CORNERS": ([0.1, 0.3, 0.5, 0.7, 0.9], [0.5]),
    "STRICT_ALIGN_CORNERS": ([0, 0.25, 0.5, 0.75, 1], [0]),
    "UNALIGN_CORNERS": ([0, 0.1, 0.5, 0.9, 1], [0.5]),
}


@pytest.mark.parametrize("mode", SAMPLING_MODES)
def test_where_a_resized_picture_is_sampled(mode: str) -> None:
    for places in PLACES[mode]:
        found = IMAGE["resize_bilinear"](np.array([[[0.0, 1.0]]]), 1, len(places), mode)
        np.testing.assert_allclose(found, [[places]], atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("conv", "pad_type", "full"),
        ("conv_transpose", "pad_type", "same_lower"),
        ("resize_bilinear", "sampling_mode", "X"),
    ],
)
def test_an_unknown_option_is_named(kind: str, option: str, value: str) -> None:
    operation = SimpleNamespace(
        op_type=kind, name="op_7", inputs={option: SimpleNamespace(val=value)}
    )
    with pytest.raises(
        ContractError, match=rf"'{kind}' \(op_7\) has {option} = '{value}'; the interpreter knows"
    ):
        function_of(operation)


def test_corners_and_centres_exclude_each_other() -> None:
    two, yes = np.array(2), np.array(True)
    with pytest.raises(ValueError, match="align_corners and half_pixel_centers exclude each other"):
        IMAGE["upsample_bilinear"](np.zeros((1, 2, 2)), two, two, yes, yes)
