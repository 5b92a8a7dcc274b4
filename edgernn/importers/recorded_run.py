"""A recorded run of the upstream code, as ``--check`` takes it: arrays by name, and how they lie.

    in/NAME      what went in, step by step: [N, B, …], or [B, N, …]; of one row [N, …]
    ctx/NAME     what was given once: inputs of encode; or, of all steps, an input [B, N, …]
    state0/NAME  the state before the first step
    state/NAME   the state after each step: [N, …]
    out/NAME     what came out, step by step: [N, B, …]
    whole/NAME   what came out of one call over all steps

Names without such a word are those of the network's own inputs, outputs and states; ``x``,
``inputs`` and the like are what went in, and any other what one call gave. ``FILE:PART``
takes of a role those arrays whose names hold PART, as if they were called without it, where there
are some.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgernn.contract import BATCH, TIME, Contract, TensorSpec
from edgernn.errors import DataError
from edgernn.storage.recordings import SUFFIXES, read_arrays
from edgernn.wording import some

ROWS, STEPS = "rows", "steps"
Lead = tuple[str, ...]  # of an array: which axes come before its own, of ROWS and STEPS
Named = dict[str, np.ndarray]
_ROLES = ("in", "ctx", "state0", "state", "out", "whole")
_OPEN = -1
_FED = frozenset({"x", "xs", "x_test", "input", "inputs", "input_ids"})  # names of what went in


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """The arrays of a recording by role, then by name."""

    path: Path
    arrays: Mapping[str, Named] = field(default_factory=dict)

    def of(self, *roles: str) -> Named:
        """Return the arrays of some roles by name; the first role of a name counts."""
        made: Named = {}
        for role in roles:
            made = {**self.arrays.get(role, {}), **made}
        return made


def read_run(given: Path | str, contract: Contract) -> RecordedRun:
    """Read a recorded run.

    Args:
        given: a file (npz, safetensors), or ``FILE:PART``.
        contract: what names without a role mean.

    Raises:
        DataError: the file cannot be read, or is none of arrays.
    """
    path, part = _parted(str(given))
    made: dict[str, Named] = {role: {} for role in _ROLES}
    chosen: dict[str, Named] = {role: {} for role in _ROLES}
    for key, array in read_arrays(path, []).items():
        role, slash, name = key.partition("/")
        if not slash or role not in _ROLES:
            role, name = _role(key, contract), key
        if part and part in name:
            chosen[role][name.replace(part, "")] = array
        else:
            made[role][name] = array
    if part and not any(chosen.values()):
        names = [name for arrays in made.values() for name in arrays]
        raise DataError(
            f"{path} has no array whose name holds {part!r}; it has {some(names)}; correct PART of "
            "FILE:PART, or leave it out"
        )
    return RecordedRun(path, {role: chosen[role] or made[role] for role in _ROLES})


def _parted(given: str) -> tuple[Path, str]:
    found = re.fullmatch(rf"(.+(?:{'|'.join(map(re.escape, SUFFIXES))})):([^/\\]+)", given)
    return (Path(given), "") if found is None else (Path(found[1]), found[2])


def _role(name: str, contract: Contract) -> str:
    step = contract.step
    once = () if contract.encode is None else contract.encode.fresh_inputs
    roles = {spec.name: "ctx" for spec in once}
    roles |= {spec.name: "in" for spec in step.fresh_inputs}
    roles |= {spec.name: "whole" for spec in step.read_outputs}
    roles |= {spec.name: "state0" for spec in step.states}
    return roles.get(name, "in" if name.lower() in _FED else "whole")


def fitted(
    array: np.ndarray, spec: TensorSpec, contract: Contract, lead: Lead
) -> np.ndarray | None:
    """Return ``array`` as ``[steps, *axes]`` where ``lead`` has STEPS, else as ``[*axes]``; None
    where its shape is another one. Axes of size 1 may be left out, and one may lie as several.

    Time is 1 of every step; batch is what the array has, 1 where ``lead`` lacks ROWS and ``spec``
    has no other place for it.
    """
    own = [axis for axis in spec.axes if axis not in (TIME, BATCH)]
    if len(array.shape) < len(lead):
        return None
    led = dict(zip(lead, array.shape, strict=False))
    sizes = {**contract.sizes, TIME: 1}
    rest = _merged(array.shape[len(lead) :], [sizes.get(axis, _OPEN) for axis in own])
    if rest is None:
        return None
    made = array.reshape(*array.shape[: len(lead)], *rest)
    if lead == (ROWS, STEPS):
        made = np.moveaxis(made, 1, 0)  # [N, B, …]
    if ROWS not in led:
        made = np.expand_dims(made, 1 if STEPS in led else 0)
    at = 1 if STEPS in led else 0  # of batch
    if BATCH in spec.axes:
        made = np.moveaxis(made, at, at + [a for a in spec.axes if a != TIME].index(BATCH))
    elif made.shape[at] == 1:
        made = np.squeeze(made, at)
    else:
        return None
    place = spec.axis(TIME)
    return made if place is None else np.expand_dims(made, at + place)


def laid_out(
    array: np.ndarray, spec: TensorSpec, contract: Contract, rows: int
) -> np.ndarray | None:
    """Return a state or a context ``[*axes]`` of ``rows`` rows, its axes in their own order; rows
    may be left out where there is one.
    """
    sizes = {**contract.sizes, BATCH: rows}
    shape = _merged(array.shape, [sizes.get(axis, _OPEN) for axis in spec.axes])
    return None if shape is None else array.reshape(shape)


def stacked(
    array: np.ndarray, spec: TensorSpec, contract: Contract, rows: int
) -> np.ndarray | None:
    """Return a state after each step as ``[steps, *axes]``."""
    if not array.ndim:
        return None
    sizes = {**contract.sizes, BATCH: rows}
    shape = _merged(array.shape[1:], [sizes.get(axis, _OPEN) for axis in spec.axes])
    return None if shape is None else array.reshape(len(array), *shape)


def _merged(shape: Sequence[int], wanted: Sequence[int]) -> list[int] | None:
    """Return ``shape`` as ``wanted``, where each wanted axis is a product of neighbours, and one of
    1 may be missing; None where it is another shape.
    """
    if not wanted:
        return [] if all(size == 1 for size in shape) else None
    product = 1
    for count in range(len(shape) + 1):
        product = product * shape[count - 1] if count else 1
        if (wanted[0] == product and (count or product == 1)) or (wanted[0] == _OPEN and count):
            rest = _merged(shape[count:], wanted[1:])
            if rest is not None:
                return [product, *rest]
    return None


def paired(
    names: Iterable[str], specs: Sequence[TensorSpec], fits: Mapping[str, Mapping[str, bool]]
) -> Iterator[tuple[TensorSpec, str]]:
    """Yield each tensor of the contract with the recorded name that is its: the same name, the same
    letters and numbers in another order, or the only one left that fits.

    Args:
        names: those that were recorded.
        specs: the contract's.
        fits: recorded name → the contract's → whether the array has its shape.
    """
    left, open_specs = list(names), list(specs)
    for same in (
        lambda spec, name: spec.name == name,
        lambda spec, name: _letters(spec.name) == _letters(name),
        lambda spec, name: (
            sum(fits[name][s.name] for s in open_specs) == 1
            and sum(fits[n][spec.name] for n in left) == 1
        ),
    ):
        for spec in list(open_specs):
            name = next((n for n in left if fits[n][spec.name] and same(spec, n)), None)
            if name is not None:
                left.remove(name)
                open_specs.remove(spec)
                yield spec, name


def _letters(name: str) -> list[str]:
    """Return the parts of a name that tell it from others, without the words for a layer."""
    parts = re.findall(r"[a-z]+|\d+", name.lower())
    kept = [part.removesuffix("s") for part in parts if part not in {"rnn", "rnns", "lstm", "gru"}]
    return sorted(kept)
