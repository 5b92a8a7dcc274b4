"""A weights file fills an image encoder whole or not at all, and says which names or shapes do not
fit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from edgernn.errors import CheckpointError
from edgernn.models.image_encoder import ImageEncoder, image_encoder, load_encoder_weights

Tensors = dict[str, Tensor]
SUFFIXES = (".safetensors", ".pth", ".pt")


def other_weights() -> Tensors:
    """Weights for a compact encoder, none of them a fresh one's."""
    torch.manual_seed(8)
    tensors = image_encoder("compact", 32).state_dict()
    return {name: t + 0.25 if t.is_floating_point() else t + 5 for name, t in tensors.items()}


@pytest.fixture
def encoder() -> ImageEncoder:
    torch.manual_seed(1)
    return image_encoder("compact", 32)


def write(path: Path, tensors: Any) -> Path:
    if path.suffix == ".safetensors":
        path.write_bytes(safetensors.torch.save(tensors))
    else:
        torch.save(tensors, path)
    return path


def copied(encoder: ImageEncoder) -> Tensors:
    return {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


def same(found: Tensors, wanted: Tensors) -> bool:
    return found.keys() == wanted.keys() and all(
        torch.equal(found[name], wanted[name]) for name in wanted
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_tensor_is_loaded(encoder: ImageEncoder, tmp_path: Path, suffix: str) -> None:
    wanted = other_weights()
    load_encoder_weights(encoder, write(tmp_path / f"weights{suffix}", wanted))
    assert same(copied(encoder), wanted)


def test_a_resnets_file_loads_without_its_classifier(tmp_path: Path) -> None:
    torch.manual_seed(2)
    source, target = image_encoder("resnet18", 32), image_encoder("resnet18", 64)
    wanted = copied(source)
    classifier = {"fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)}
    load_encoder_weights(target, write(tmp_path / "resnet18.pth", {**wanted, **classifier}))
    assert same(copied(target), wanted)
    old = {name: t for name, t in wanted.items() if not name.endswith("num_batches_tracked")}
    target.bn1.num_batches_tracked.fill_(9)  # type: ignore[union-attr, operator]
    load_encoder_weights(target, write(tmp_path / "old.pth", {**old, **classifier}))
    assert same(copied(target), wanted)  # whose counters are zero


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_training_checkpoint_with_a_state_dict_inside(
    encoder: ImageEncoder, tmp_path: Path, suffix: str
) -> None:
    wanted = other_weights()
    if suffix == ".pth":
        load_encoder_weights(
            encoder, write(tmp_path / "run.pth", {"epoch": 3, "state_dict": wanted})
        )
        assert same(copied(encoder), wanted)
    else:
        half = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in wanted.items()
        }
        path = write(tmp_path / "half.safetensors", half)
        with pytest.raises(
            CheckpointError,
            match=r"does not fit the image encoder: .* is torch.float16, expected torch.float32",
        ):
            load_encoder_weights(encoder, path)


def lacking(tensors: Tensors) -> None:
    del tensors[next(name for name in tensors if name.endswith("running_var"))]


def renamed(tensors: Tensors) -> None:
    for name in list(tensors):
        tensors[f"module.{name}"] = tensors.pop(name)


def reshaped(tensors: Tensors) -> None:
    last = [name for name in tensors if name.endswith("running_mean")][-1]
    tensors[last] = tensors[last][:-1].clone()


def extended(tensors: Tensors) -> None:
    tensors["decoder.weight"] = torch.zeros(2)


MISFITS: dict[str, tuple[Callable[[Tensors], None], str]] = {
    "lacking": (lacking, r"missing \['\S+running_var'\], unknown none"),
    "renamed": (renamed, r"missing \['.*and \d+ more, unknown \['module\..*and \d+ more"),
    "reshaped": (reshaped, r"\S+running_mean has shape \[127\], expected \[128\]"),
    "extended": (extended, r"missing none, unknown \['decoder.weight'\]"),
}


@pytest.mark.parametrize("suffix", SUFFIXES[:2])
@pytest.mark.parametrize(("change", "says"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(
    encoder: ImageEncoder, tmp_path: Path, change: Callable[[Tensors], None], says: str, suffix: str
) -> None:
    tensors, before = other_weights(), copied(encoder)
    change(tensors)
    path = write(tmp_path / f"weights{suffix}", tensors)
    with pytest.raises(
        CheckpointError,
        match=rf"weights{suffix} does not fit the image encoder: {says}.*nothing was loaded",
    ):
        load_encoder_weights(encoder, path)
    assert same(copied(encoder), before)


def test_another_networks_file(tmp_path: Path) -> None:
    with torch.device("meta"):
        small, large = image_encoder("resnet18", 32), image_encoder("resnet50", 32)
    weights = {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype)
        for name, tensor in small.state_dict().items()
    }
    with pytest.raises(
        CheckpointError, match=r"missing \['layer1.0.bn3.bias', .*unknown none; nothing was loaded"
    ):
        load_encoder_weights(large, write(tmp_path / "resnet18.pth", weights))


@pytest.mark.parametrize("keep", [0, 300, -1])
def test_a_truncated_file_leaves_the_encoder_as_it_was(
    encoder: ImageEncoder, tmp_path: Path, keep: int
) -> None:
    path, before = write(tmp_path / "weights.pth", other_weights()), copied(encoder)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"weights\.pth is no file of tensors by name"):
        load_encoder_weights(encoder, path)
    assert same(copied(encoder), before)
