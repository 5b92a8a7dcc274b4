"""A contract written by hand: one line of text a tensor, as ``float32[batch, time, width=40]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from pydantic import ValidationError

from edgernn.contract.records import first_line
from edgernn.contract.spec import (
    Contract,
    DType,
    GraphSpec,
    Initial,
    Role,
    TensorSpec,
    next_name,
)
from edgernn.errors import UsageError
from edgernn.wording import ENCODE, STEP, expected_one_of

_FORM = "expected one as float32[batch, time, width=40] or int64[batch, time] below vocab=96"
_TENSOR = re.compile(r"\s*(\w+)\s*\[([^\[\]]*)\]\s*(?:below\s+([^\s\[\]]+))?\s*")
_SIZED = re.compile(r"([a-z][a-z0-9_]*)\s*=\s*([0-9]+)")
_AXIS = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(?:=\s*([0-9]+))?\s*|\s*([0-9]+)\s*")
Texts = Mapping[str, str]


def build_contract(
    *,
    inputs: Texts,
    states: Texts,
    outputs: Texts,
    contexts: Texts | None = None,
    encode_inputs: Texts | None = None,
    encode_outputs: Texts | None = None,
    initial_state: Mapping[str, Initial] | None = None,
    step_frames: int = 1,
    latency_frames: int = 0,
) -> Contract:
    """Return the contract of a step graph, and of an encode graph where it takes any input.

    Tensors are given by name, each as its dtype and its axes in order: ``axis=size`` where the
    size is fixed (said once is enough), the size alone where the axis needs no name of its own,
    ``axis`` alone where it is open. Integers may be ``below``
    an axis: they are ids then.

    Args:
        inputs: what a caller gives at every step.
        states: what comes in and out of every step, as ``NAME`` and ``NAME_next``.
        outputs: what a caller reads.
        contexts: what ``encode`` makes once and every step takes.
        encode_inputs: what a caller gives once per sequence.
        encode_outputs: what a caller reads once per sequence, after contexts and first states.
        initial_state, step_frames, latency_frames: see ``Contract``.

    Raises:
        UsageError: a text is none of this form, an axis has two sizes, or the parts do not fit.
    """
    sizes: dict[str, int] = {}
    given = [inputs, states, outputs, contexts, encode_inputs, encode_outputs]
    said = {
        axis: int(size)
        for texts in given
        for text in (texts or {}).values()
        for axis, size in _SIZED.findall(text)
    }

    def made(texts: Texts | None, role: Role) -> tuple[TensorSpec, ...]:
        every = (texts or {}).items()
        return tuple(read_tensor(name, text, role, sizes, said) for name, text in every)

    kept, seen = made(states, "state"), made(contexts, "context")
    after = tuple(state.model_copy(update={"name": next_name(state.name)}) for state in kept)
    starts = dict(initial_state or {})
    try:
        step = GraphSpec(
            name=STEP,
            inputs=(*made(inputs, "input"), *seen, *kept),
            outputs=(*made(outputs, "output"), *after),
        )
        graphs = [step]
        if encode_inputs or encode_outputs:
            first = tuple(state for state in kept if starts.get(state.name) == ENCODE)
            once, told = made(encode_inputs, "input"), made(encode_outputs, "output")
            graphs.insert(0, GraphSpec(name=ENCODE, inputs=once, outputs=(*seen, *first, *told)))
        return Contract(
            graphs=tuple(graphs),
            sizes=sizes,
            initial_state=starts,
            step_frames=step_frames,
            latency_frames=latency_frames,
        )
    except ValidationError as error:
        raise UsageError(f"these tensors make no contract: {first_line(error)}") from error


def read_tensor(
    name: str, text: str, role: Role, sizes: dict[str, int], said: Mapping[str, int] | None = None
) -> TensorSpec:
    """Read one tensor as ``build_contract`` takes it; put the sizes that it says into ``sizes``.

    ``said`` are axes and sizes of other tensors, whose names an axis that nobody named leaves.

    Raises:
        UsageError: it is none of this form, or an axis has two sizes.
    """
    found = _TENSOR.fullmatch(text)
    if found is None:
        raise UsageError(f"{name} is {text!r}, {_FORM}")
    dtype, inner, below = found.groups()
    if dtype not in get_args(DType):
        raise UsageError(
            f"{name} has the dtype {dtype!r}; {expected_one_of(dtype, get_args(DType))}"
        )
    parts = inner.split(",") if inner.strip() else []
    taken = said or {}
    axes = tuple(_axis(name, part, sizes, place, taken) for place, part in enumerate(parts))
    bound = None if below is None else _axis(name, below, sizes, "below", taken)
    try:
        return TensorSpec.model_validate(
            {"name": name, "role": role, "dtype": dtype, "axes": axes, "below": bound}
        )
    except ValidationError as error:
        raise UsageError(
            f"{name!r} cannot be a tensor's name: expected a letter of A to Z, then letters, "
            "digits and _; call it otherwise"
            if re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) is None
            else f"{name} cannot be {text!r}: {first_line(error)}"
        ) from error


def _axis(
    name: str, text: str, sizes: dict[str, int], place: int | str, said: Mapping[str, int]
) -> str:
    found = _AXIS.fullmatch(text)
    if found is None:
        raise UsageError(f"{name} has the axis {text.strip()!r}; {_FORM}")
    axis, size, alone = found.groups()
    if alone is not None:
        axis, size = _free(unnamed_axis(name, place), int(alone), {**said, **sizes}), alone
    if size is not None and sizes.setdefault(axis, int(size)) != int(size):
        raise UsageError(f"{name} has {axis} = {size}, and before it was {sizes[axis]}")
    return axis


def _free(axis: str, size: int, taken: Mapping[str, int]) -> str:
    """Return ``axis``, with a number where an axis of another size has that name."""
    made, number = axis, 1
    while taken.get(made, size) != size:
        number += 1
        made = f"{axis}_{number}"
    return made


def unnamed_axis(tensor: str, place: int | str) -> str:
    """Return the name of an axis that was given by its size alone, or that nobody named."""
    word = re.sub(r"[^a-z0-9_]", "_", tensor.lower()).lstrip("_0123456789") or "axis"
    return f"{word[:50]}_{place}"
