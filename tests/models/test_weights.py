"""Tensors by name: what of a model is kept, how two sets differ, and files that are read without
executing anything.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edgernn.errors import CheckpointError
from edgernn.models.captioner import Captioner
from edgernn.models.language import LanguageModel
from edgernn.models.weights import fit_problem, named_tensors, not_finite, read_weights

SUFFIXES = (".safetensors", ".pth", ".pt")
TENSORS = {
    "first.weight": torch.arange(6.0).view(2, 3),
    "first.bias": torch.tensor([0.5, -1.0]),
    "count": torch.tensor(7),
}


def write(path: Path, tensors: Any) -> Path:
    if path.suffix == ".safetensors":
        path.write_bytes(safetensors.torch.save(tensors))
    else:
        torch.save(tensors, path)
    return path


def test_a_tied_matrix_is_named_once(make_model: Callable[..., LanguageModel]) -> None:
    tied, untied = (make_model(tied=flag, embedding=8) for flag in (True, False))
    assert "head.weight" in named_tensors(untied)
    assert named_tensors(tied).keys() == named_tensors(untied).keys() - {"head.weight"}
    assert named_tensors(tied)["embedding.weight"] is tied.head.weight


def test_kept_buffers_are_named_and_others_are_not(
    make_captioner: Callable[..., Captioner],
) -> None:
    model = make_captioner()
    named = named_tensors(model)
    again = {name for name in model.state_dict() if name.startswith("decoder.layers.")}
    assert named.keys() == model.state_dict().keys() - again  # each tensor under one name
    assert len({id(tensor) for tensor in named.values()}) == len(named)
    assert [name for name in named if name.endswith("running_var")]
    others = {name for name, _ in model.named_buffers()} - named.keys()
    assert others, "the compact encoder has coordinates, which are not learned"
    assert all(named[name] is parameter for name, parameter in model.named_parameters())


def test_weights_and_buffers_that_are_not_finite_are_named(
    make_captioner: Callable[..., Captioner],
) -> None:
    model = make_captioner()
    assert not_finite(model) == ""
    norm = next(name for name in named_tensors(model) if name.endswith("running_var"))
    with torch.no_grad():
        model.embedding.weight[0, 2] = float("nan")
        named_tensors(model)[norm][:2] = -float("inf")
    sizes = {name: tensor.numel() for name, tensor in named_tensors(model).items()}
    assert (
        not_finite(model).split(", ", maxsplit=1)[0]
        == f"embedding.weight (1 of {sizes['embedding.weight']} values"
    )
    assert f"{norm} (2 of {sizes[norm]} values, the first -inf)" in not_finite(model)


def test_they_are_the_tensors_themselves() -> None:
    model = nn.BatchNorm1d(3)
    named_tensors(model)["running_mean"].fill_(4.0)
    assert model.running_mean is not None
    assert model.running_mean.tolist() == [4.0] * 3


def zeros(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (zeros(a=(2,), b=(3, 1)), ""),
        (zeros(b=(3, 1)), "missing ['a'], unknown none"),
        (zeros(a=(2,), b=(3, 1), c=(1,)), "missing none, unknown ['c']"),
        (
            zeros(v=(1,), w=(1,), x=(1,), y=(1,), z=(1,)),
            "missing ['a', 'b'], unknown ['v', 'w', 'x'] and 2 more",
        ),
        (zeros(a=(2,), b=(1, 3)), "b has shape [1, 3], expected [3, 1]"),
        (
            {"a": torch.zeros(2, dtype=torch.float64), "b": torch.zeros(3, 1)},
            "a is torch.float64, expected torch.float32",
        ),
    ],
    ids=["fits", "missing", "unknown", "many", "shape", "dtype"],
)
def test_a_difference_is_one_line(found: dict[str, Tensor], says: str) -> None:
    assert fit_problem(found, zeros(a=(2,), b=(3, 1))) == says


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_written_is_read(tmp_path: Path, suffix: str) -> None:
    found = read_weights(write(tmp_path / f"weights{suffix}", TENSORS))
    assert fit_problem(found, TENSORS) == ""
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_weights_inside_a_training_checkpoint_are_found(tmp_path: Path) -> None:
    found = read_weights(write(tmp_path / "run.pth", {"epoch": 3, "state_dict": TENSORS}))
    assert found.keys() == TENSORS.keys()


class Payload:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def bare_pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def test_the_payload_would_work(tmp_path: Path) -> None:
    torch.save({"hook": Payload(tmp_path / "executed")}, tmp_path / "weights.pth")
    torch.load(tmp_path / "weights.pth", weights_only=False)
    assert (tmp_path / "executed").is_dir()


@pytest.mark.parametrize(
    "save",
    [lambda path, content: torch.save(content, path), bare_pickle],
    ids=["torch.save", "a bare pickle"],
)
def test_a_pickled_object_is_refused_and_never_executed(
    tmp_path: Path, save: Callable[[Path, object], None]
) -> None:
    path, trace = tmp_path / "weights.pth", tmp_path / "executed"
    save(path, {"hook": Payload(trace)})
    with pytest.raises(CheckpointError, match=r"weights.pth holds dict of 'hook'") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()


def test_a_whole_pickled_model_gives_its_tensors(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    found = read_weights(write(tmp_path / "model.pth", model))
    assert all(torch.equal(found[name], tensor) for name, tensor in model.state_dict().items())


def test_an_object_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"an object of the class fractions\.Fraction"):
        read_weights(write(tmp_path / "model.pth", Fraction(1, 2)))


@pytest.mark.parametrize(
    "content", [[1, 2], {"a": 1}, "text", {"state_dict": {"a": "b"}}, {0: torch.zeros(1)}], ids=str
)
def test_a_file_of_anything_else_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"holds (list|dict of .*|str), expected tensors by name \(a state_dict",
    ):
        read_weights(write(tmp_path / "weights.pth", content))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("keep", [0, 1, 9, 100, -20, -1])
def test_a_truncated_file(tmp_path: Path, suffix: str, keep: int) -> None:
    path = write(tmp_path / f"weights{suffix}", TENSORS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        CheckpointError, match=rf"weights{suffix} is no file of tensors by name"
    ) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(at=st.integers(0, 60), byte=st.integers(0, 255), protocol=st.integers(1, 5))
def test_a_damaged_pickle_is_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, protocol: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    content = bytearray(
        pickle.dumps({"a": [1, 2.5, "x"], "b": {"c": (1, None)}}, protocol=protocol)
    )
    content[at % len(content)] = byte
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"damaged\.pth (is no file of|holds .* expected) tensors by name"
    ):
        read_weights(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.pth", tmp_path):
        with pytest.raises(
            CheckpointError, match=r"no weights file at .*; give a .safetensors or .pth file"
        ):
            read_weights(path)
