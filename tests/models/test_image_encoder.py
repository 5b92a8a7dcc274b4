"""Image encoders: named as torchvision names them, computed as their papers write, and given
pictures that are normalised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgernn.errors import UsageError
from edgernn.models.image_encoder import ENCODERS, ImageEncoder, image_encoder, normalise

# Blocks a layer, convolutions a block, and the parameters of torchvision's network without its
# classifier.
RESNETS = {
    "resnet18": ((2, 2, 2, 2), 2, 11_176_512),
    "resnet34": ((3, 4, 6, 3), 2, 21_284_672),
    "resnet50": ((3, 4, 6, 3), 3, 23_508_032),
    "resnet101": ((3, 4, 23, 3), 3, 42_500_160),
    "resnet152": ((3, 8, 36, 3), 3, 58_143_808),
}
BATCH_NORM = {"weight": 1, "bias": 1, "running_mean": 1, "running_var": 1, "num_batches_tracked": 0}


@pytest.fixture(scope="module")
def compact(make_captioner: Any) -> ImageEncoder:
    """A compact encoder whose batch statistics are not the fresh ones."""
    encoder: ImageEncoder = make_captioner().encoder
    return encoder


def on_meta(name: str, size: int = 64) -> ImageEncoder:
    with torch.device("meta"):
        return image_encoder(name, size)


def batch_norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for leaf, rank in BATCH_NORM.items():
        yield f"{name}.{leaf}", (width,) * rank


def torchvision_names(depths: tuple[int, ...], convolutions: int) -> dict[str, tuple[int, ...]]:
    """The tensors of torchvision's ResNet without ``fc``, as its layers are built, name → shape."""
    named: dict[str, tuple[int, ...]] = {
        "conv1.weight": (64, 3, 7, 7),
        **dict(batch_norm("bn1", 64)),
    }
    inputs, expansion = 64, 1 if convolutions == 2 else 4
    for layer, depth in enumerate(depths, start=1):
        planes = 64 * 2 ** (layer - 1)
        kernels = (3, 3) if convolutions == 2 else (1, 3, 1)
        widths = (planes, planes) if convolutions == 2 else (planes, planes, 4 * planes)
        for block in range(depth):
            place, sources = f"layer{layer}.{block}", (inputs, *widths[:-1])
            for at, (source, width, kernel) in enumerate(
                zip(sources, widths, kernels, strict=True), start=1
            ):
                named[f"{place}.conv{at}.weight"] = (width, source, kernel, kernel)
                named.update(batch_norm(f"{place}.bn{at}", width))
            if block == 0 and (layer > 1 or inputs != planes * expansion):
                named[f"{place}.downsample.0.weight"] = (planes * expansion, inputs, 1, 1)
                named.update(batch_norm(f"{place}.downsample.1", planes * expansion))
            inputs = planes * expansion
    return named


@pytest.mark.parametrize("name", RESNETS)
def test_resnets_have_torchvisions_names_shapes_and_counts(name: str) -> None:
    depths, convolutions, count = RESNETS[name]
    encoder = on_meta(name)
    assert {
        key: tuple(tensor.shape) for key, tensor in encoder.state_dict().items()
    } == torchvision_names(depths, convolutions)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == count
    assert len(encoder.state_dict()) == 6 * (
        1 + convolutions * sum(depths) + (3 if convolutions == 2 else 4)
    )


def test_a_few_names_as_they_stand_in_torchvisions_files() -> None:
    small, large = on_meta("resnet18").state_dict(), on_meta("resnet50").state_dict()
    for name in (
        "layer1.0.conv1.weight",
        "layer4.1.bn2.running_var",
        "layer2.0.downsample.0.weight",
    ):
        assert name in small
    assert "layer1.0.downsample.0.weight" not in small
    assert large["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert large["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert not [name for name in (*small, *large) if name.startswith("fc.")]


@pytest.mark.parametrize(("name", "size"), [("resnet18", 64), ("resnet50", 32)])
def test_a_resnet_computes_what_its_tensors_say(name: str, size: int) -> None:
    torch.manual_seed(0)
    encoder = spread(image_encoder(name, size)).eval()
    x = torch.rand(2, 3, size, size) - 0.5
    with torch.no_grad():
        found, expected = encoder(x), by_hand(encoder.state_dict(), RESNETS[name][0], x)
    assert found.shape == (2, encoder.width, size // 32, size // 32)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found.std() > 0


def spread(encoder: ImageEncoder) -> ImageEncoder:
    """Give every batch normalisation statistics of its own."""
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return encoder


def by_hand(tensors: dict[str, Tensor], depths: tuple[int, ...], x: Tensor) -> Tensor:
    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            tensors[f"{name}.{t}"][:, None, None]
            for t in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    def convolve(x: Tensor, name: str, stride: int) -> Tensor:
        weight = tensors[f"{name}.weight"]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    x = functional.max_pool2d(
        functional.relu(norm(convolve(x, "conv1", 2), "bn1")), 3, stride=2, padding=1
    )
    for layer, depth in enumerate(depths, start=1):
        for block in range(depth):
            place, y = f"layer{layer}.{block}", x
            stride = 2 if layer > 1 and block == 0 else 1
            last = 3 if f"{place}.conv3.weight" in tensors else 2
            for at in range(1, last + 1):
                y = norm(
                    convolve(y, f"{place}.conv{at}", stride if at == last - 1 else 1),
                    f"{place}.bn{at}",
                )
                y = y if at == last else functional.relu(y)
            if f"{place}.downsample.0.weight" in tensors:
                x = norm(convolve(x, f"{place}.downsample.0", stride), f"{place}.downsample.1")
            x = functional.relu(x + y)
    return x


def test_near_features_see_hardly_more_than_their_own_region(compact: ImageEncoder) -> None:
    """A picture that differs in its top left region alone looks the same to near features two
    regions away.
    """
    x = torch.zeros(1, 3, 32, 32)
    other = x.clone()
    other[:, :, :8, :8] = 3
    with torch.no_grad():
        change = (compact(other) - compact(x)).abs()[0]  # [F, 4, 4]
    near = change[: compact.near].amax(0)
    assert near[0, 0] > 0.1
    assert near[2:].max() == near[:, 2:].max() == 0
    assert change[compact.near :].amax(0)[1, 1] > 0  # a deep feature tells of it further off


def test_regions_know_their_place(compact: ImageEncoder) -> None:
    """In a picture that is alike everywhere, the last two near features are where a region is, from
    -1 to 1.
    """
    with torch.no_grad():
        features = compact(torch.full((1, 3, 32, 32), 0.3))[0]
    down, along = features[compact.near - 2 : compact.near]  # [4, 4] each
    line = torch.tensor([-6.0, -2, 2, 6]) / 7  # the means of two places each, of eight from -1 to 1
    torch.testing.assert_close(down, line[:, None].expand(4, 4))
    torch.testing.assert_close(along, line[None, :].expand(4, 4))


@pytest.mark.parametrize("name", ENCODERS)
def test_the_grid_follows_from_the_size(name: str) -> None:
    for size in (32, 64, 96):
        encoder = on_meta(name, size)
        with torch.device("meta"):
            assert encoder(torch.empty(2, 3, size, size)).shape == (
                2,
                encoder.width,
                encoder.grid,
                encoder.grid,
            )
        assert encoder.grid * encoder.stride == size
        assert 0 < encoder.near <= encoder.width


@pytest.mark.parametrize(
    ("name", "size", "stride"), [("compact", 36, 8), ("resnet18", 48, 32), ("resnet152", 40, 32)]
)
def test_regions_must_tile_the_picture(name: str, size: int, stride: int) -> None:
    with pytest.raises(
        UsageError,
        match=f"image size is {size}, expected a multiple of {stride}, the encoder's stride",
    ):
        image_encoder(name, size)


def test_an_unknown_encoder_names_the_known_ones() -> None:
    with pytest.raises(
        UsageError,
        match=r"unknown image encoder 'vgg16'; expected one of compact, small, .*resnet152",
    ):
        image_encoder("vgg16", 64)


def test_normalising_by_hand(pictures: np.ndarray) -> None:
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((pictures / 255 - mean) / deviation).transpose(0, 3, 1, 2)
    for dtype in (torch.uint8, torch.float32, torch.int32):
        found = normalise(torch.from_numpy(pictures.copy()).to(dtype))
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-6)


def test_coordinates_are_no_weights(compact: ImageEncoder) -> None:
    kept = compact.state_dict().keys() - dict(compact.named_parameters()).keys()
    assert {name.split(".")[-1] for name in kept} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_small_sees_forms_in_turned_colours_while_it_is_trained() -> None:
    torch.manual_seed(3)
    small = image_encoder("small", 32)
    assert (small.near, small.width, small.grid) == (16 + 2, 16 + 2 + 24, 4)
    given: list[Tensor] = []
    forms = small.get_submodule("forms")
    forms.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    x = torch.randn(4, 3, 32, 32)
    first, second = small(x), small(x)
    assert torch.equal(first[:, : small.near], second[:, : small.near]), "colours are true there"
    for turned in given:
        assert torch.allclose(turned.mean(1), x.mean(1), atol=1e-5), "greys stay"
        assert torch.allclose(turned.norm(dim=1), x.norm(dim=1), atol=1e-4), "so does contrast"
        moved = (turned - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
        assert moved.max() > 0.5 and len({round(float(share), 3) for share in moved}) == 4
    small.eval()(x)
    assert torch.equal(given[-1], x)
