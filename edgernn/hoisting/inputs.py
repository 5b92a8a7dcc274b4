"""What a network is fed: inputs by name, with named axes, and examples of any size of them."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgernn.contract import BATCH, TIME, TensorSpec
from edgernn.contract.build import read_tensor, unnamed_axis
from edgernn.contract.rules import MOST_ELEMENTS
from edgernn.errors import UsageError
from edgernn.hoisting.parts import parts_of

_MOST_BYTES = 1 << 32  # of one example
_OPEN = 5  # of an open axis that is neither batch nor time; the next has one more


@dataclass(frozen=True)
class Inputs:
    """The inputs of a network.

    Attributes:
        specs: each with its name, dtype and axes, in order.
        sizes: axis → size, of those that are fixed.
        given: name → an example that the user gave, where they did.
        start: inputs of the method that makes the first state, which the step may not take.
    """

    specs: tuple[TensorSpec, ...]
    sizes: dict[str, int]
    given: dict[str, Tensor] = field(default_factory=dict)
    start: tuple[TensorSpec, ...] = ()

    def named(self, name: str) -> TensorSpec:
        """Return one input."""
        return next(spec for spec in (*self.specs, *self.start) if spec.name == name)

    def split(self, names: Container[str]) -> Inputs:
        """Return the same inputs, those that are not among ``names`` as the start method's."""
        every = (*self.specs, *self.start)
        return replace(
            self,
            specs=tuple(spec for spec in every if spec.name in names),
            start=tuple(spec for spec in every if spec.name not in names),
        )

    @property
    def has_time(self) -> bool:
        """Whether any input has frames along time."""
        return any(TIME in spec.axes for spec in self.specs)

    @property
    def open_axes(self) -> tuple[str, ...]:
        """Axes without a size but batch and time, in order."""
        specs = (*self.specs, *self.start)
        axes = dict.fromkeys(axis for spec in specs for axis in spec.axes)
        return tuple(axis for axis in axes if axis not in {BATCH, TIME, *self.sizes})

    def measured(self, **sizes: int) -> dict[str, int]:
        """Return every axis with a size: those given, and a few for what else is open."""
        free = {axis: _OPEN + place for place, axis in enumerate(self.open_axes)}
        return {**free, **self.sizes, **sizes}

    def bytes_at(self, sizes: Mapping[str, int]) -> int:
        """Return how many bytes an example of every input has at ``sizes``."""
        return sum(_bytes(spec, sizes) for spec in self.specs)

    def draw(self, sizes: Mapping[str, int], *, seed: int = 0) -> list[Tensor]:
        """Return a random example of each input at ``sizes``: normal numbers, ids of their
        range.
        """
        generator = torch.Generator().manual_seed(seed)
        return [self._drawn(spec, sizes, generator) for spec in self.specs]

    def draw_start(self, sizes: Mapping[str, int], *, seed: int = 0) -> list[Tensor]:
        """Return a random example of each input of the start method."""
        generator = torch.Generator().manual_seed(seed + 1)
        return [self._drawn(spec, sizes, generator) for spec in self.start]

    def _drawn(
        self, spec: TensorSpec, sizes: Mapping[str, int], generator: torch.Generator
    ) -> Tensor:
        shape, dtype = [sizes[axis] for axis in spec.axes], getattr(torch, spec.dtype)
        if (count := _bytes(spec, sizes)) > _MOST_BYTES:
            raise UsageError(
                f"an example of {spec.name} {spec.dtype} {shape} would take {count / 1e9:.1f} GB, "
                f"expected {_MOST_BYTES / 1e9:.1f} or less; check its axes and sizes"
            )
        if dtype.is_floating_point:
            return torch.randn(shape, generator=generator).to(dtype)
        below = sizes[spec.below] if spec.below else 2
        return torch.randint(below, shape, generator=generator).to(dtype)


def _bytes(spec: TensorSpec, sizes: Mapping[str, int]) -> int:
    each: int = getattr(torch, spec.dtype).itemsize
    return math.prod(sizes[axis] for axis in spec.axes) * each


def read_inputs(example: Mapping[str, Any], contexts: Container[str] = ()) -> Inputs:
    """Read inputs by name: text as ``float32[batch, time, 40]``, or a tensor.

    A tensor's axes are taken as batch, time, and the rest where it has three axes or is of
    integers, batch and the rest where it has two; in place of time one of ``contexts``, which are
    constant over a run, has an axis of its own of any size. Give ``(tensor, "batch, time, 40")``,
    or the whole text, where they are others.

    Raises:
        UsageError: a text or value that cannot be read, or a tensor that has other axes than said.
    """
    sizes: dict[str, int] = {}
    specs, given = [], {}
    for name, value in example.items():
        _refuse_name(name)
        second = unnamed_axis(name, "length") if name in contexts else TIME
        text, tensor = _text_of(name, value, second)
        specs.append(read_tensor(name, text, "input", sizes))
        if tensor is not None:
            _refuse_other(specs[-1], text, tensor, sizes)
            _refuse_not_finite(name, tensor)
            given[name] = tensor
    _refuse_large(specs, sizes)
    if not specs:
        raise UsageError('no inputs; give each with its axes, as "x: float32[batch, time, 40]"')
    return Inputs(tuple(specs), sizes, given)


def _refuse_name(name: str) -> None:
    """Raise UsageError for an argument whose name files and hosts cannot all carry."""
    if re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) is None:
        raise UsageError(
            f"the argument {name!r} cannot be a tensor's name: expected a letter of A to Z, then "
            "letters, digits and _; call it otherwise in the network, or wrap that in a module "
            "whose forward does: def forward(self, x): return self.net(x)"
        )


def _refuse_other(spec: TensorSpec, text: str, tensor: Tensor, sizes: Mapping[str, int]) -> None:
    fits = len(spec.axes) == tensor.dim() and all(
        sizes.get(axis, size) == size for axis, size in zip(spec.axes, tensor.shape, strict=True)
    )
    dtype = str(tensor.dtype).removeprefix("torch.")
    if not fits or spec.dtype != dtype:
        raise UsageError(
            f"the example of {spec.name} is {dtype} {list(tensor.shape)}, expected {text}"
        )


def _refuse_large(specs: Sequence[TensorSpec], sizes: Mapping[str, int]) -> None:
    """Raise UsageError for what no contract takes before an example of that size is made."""
    for spec in specs:
        known = {axis: sizes.get(axis, 1) for axis in spec.axes}
        if (count := math.prod(known.values())) > MOST_ELEMENTS:
            raise UsageError(
                f"{spec.name} has {count:,} values for one row and one frame, "
                f"{_bytes(spec, known) / 1e9:.1f} GB; expected {MOST_ELEMENTS:,} or fewer: check "
                "its axes and sizes"
            )


def _refuse_not_finite(name: str, tensor: Tensor) -> None:
    finite = tensor.isfinite()
    if not finite.all():
        raise UsageError(
            f"the example of {name} has {int((~finite).sum())} of {tensor.numel()} values that are "
            f"not finite, the first {tensor[~finite][0].item()}; give numbers alone"
        )


def inputs_from_text(text: str) -> dict[str, str]:
    """Read ``x: float32[batch, time, 40], ids: int64[batch, time] below 96`` as name → text.

    Raises:
        UsageError: a part has no name.
    """
    found: dict[str, str] = {}
    for part in parts_of(text):
        name, colon, rest = part.partition(":")
        if not colon or not name.strip():
            raise UsageError(
                f'the input {part!r} has no name; write it as "x: float32[batch, time, 40]"'
            )
        found[name.strip()] = rest.strip()
    return found


def _text_of(name: str, value: Any, second: str) -> tuple[str, Tensor | None]:
    if isinstance(value, str):
        return value, None
    axes = None
    if isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[1], str):
        value, axes = value
    if not isinstance(value, (Tensor, np.ndarray)):
        raise UsageError(
            f"{name} is {type(value).__name__}, expected a tensor, or its axes as text, as "
            f'"float32[batch, time, 40]"'
        )
    tensor = torch.as_tensor(value)
    dtype = str(tensor.dtype).removeprefix("torch.")
    if axes is not None and "[" in axes:
        return axes, tensor
    if axes is None:
        framed = tensor.dim() >= 3 or not tensor.is_floating_point()
        names = [BATCH, second] if framed else [BATCH]
        axes = ", ".join((*names, *map(str, tensor.shape[len(names) :]))[: tensor.dim()])
    return f"{dtype}[{axes}]", tensor


def axes_text(name: str, dtype: str, axes: list[str | int | None], shape: tuple[int, ...]) -> str:
    """Return a tensor as ``build_contract`` takes it; an axis that nobody named has a size."""
    words = [
        axis if isinstance(axis, str) else str(shape[place]) for place, axis in enumerate(axes)
    ]
    return f"{dtype}[{', '.join(words)}]"
