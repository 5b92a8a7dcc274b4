"""Recorded inputs as a network's evaluation sample, whichever way their axes were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgernn.contract import BATCH, TIME, Contract, TensorSpec
from edgernn.errors import UsageError
from edgernn.families.module import ModuleFamily
from edgernn.storage.recordings import read_arrays

_ANY = -1
_UNNAMED = "arr_0"  # as numpy.savez calls an array that was given no name


def read_sample(
    sample: Mapping[str, np.ndarray] | Path | str | None,
    contract: Contract,
    *,
    renamed: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Return recorded inputs in the contract's dtypes and axes, with one row.

    Args:
        sample: input → its array, or a file of them (npz, npy, safetensors, csv). The axes are
            the contract's, or time first and then the others; batch and axes of size 1 may be
            left out.
        contract: what is fed.
        renamed: another name that the sample may have for an input → its name in the contract.

    Raises:
        UsageError: names or shapes are others than the contract's; says both.
        DataError: the file cannot be read.
    """
    if sample is None:
        return {}
    wanted = {spec.name: spec for graph in contract.graphs for spec in graph.fresh_inputs}
    others = {old: new for old, new in (renamed or {}).items() if new in wanted}
    if isinstance(sample, (str, Path)):
        names = list(wanted) if len(wanted) == 1 else [*wanted, *others]
        sample = read_arrays(Path(sample), names)
    sample = {others.get(name, name): array for name, array in sample.items()}
    if len(wanted) == 1 and list(sample) == [_UNNAMED]:
        sample = dict(zip(wanted, sample.values(), strict=True))
    if missing := wanted.keys() - sample.keys():
        raise UsageError(
            f"the sample has no {', '.join(sorted(missing))}; it has {', '.join(sorted(sample))}"
        )
    made = {name: _fitted(spec, sample[name], contract) for name, spec in wanted.items()}
    made = {name: _whole_steps(wanted[name], array, contract) for name, array in made.items()}
    if problem := ModuleFamily().sample_problem(made, contract):
        raise UsageError(f"the sample has {problem}")
    return made


def _fitted(spec: TensorSpec, array: np.ndarray, contract: Contract) -> np.ndarray:
    """Return ``array`` in the layout of a sample; raise UsageError where it has another shape."""
    layout, found = _layout(spec, contract), np.asarray(array)
    place = layout.index(_ANY) if _ANY in layout else 0
    first = [layout[place], *layout[:place], *layout[place + 1 :]]  # time first
    if (shape := _matched(found.shape, layout)) is not None:
        made = found.reshape(shape)
    elif (shape := _matched(found.shape, first)) is not None:
        made = np.moveaxis(found.reshape(shape), 0, place)
    else:
        short = [size for size in first if size != 1]
        raise UsageError(
            f"{spec.name} of the sample is {found.dtype} {list(found.shape)}, expected "
            f"{spec.dtype} {_words(layout)} ({', '.join(spec.axes)}), or {_words(short)}"
        )
    typed = made.astype(spec.dtype)
    if made.dtype.kind not in "fiub" or (spec.kind != "f" and (typed != made).any()):
        raise UsageError(
            f"{spec.name} of the sample is {found.dtype} with values that are no {spec.dtype}; "
            f"expected {spec.dtype}"
        )
    return typed


def _layout(spec: TensorSpec, contract: Contract) -> list[int]:
    """Return the sizes that an input of a sample has, ``_ANY`` where they are open."""
    sizes = {**contract.sizes, BATCH: 1}
    sizes.pop(TIME, None)
    lead = spec in contract.step.fresh_inputs and not contract.step.has_time
    return [_ANY] * lead + [sizes.get(axis, _ANY) for axis in spec.axes]


def _matched(shape: Sequence[int], layout: Sequence[int]) -> list[int] | None:
    """Return ``shape`` with the axes of size 1 that ``layout`` has and it has not; None where it is
    another one.
    """
    if not layout:
        return [] if all(size == 1 for size in shape) else None
    if shape and layout[0] in (_ANY, shape[0]):
        rest = _matched(shape[1:], layout[1:])
        if rest is not None:
            return [shape[0], *rest]
    if layout[0] == 1:
        rest = _matched(shape, layout[1:])
        return None if rest is None else [1, *rest]
    return None


def _words(layout: Sequence[int]) -> str:
    return f"[{', '.join('N' if size == _ANY else str(size) for size in layout)}]"


def _whole_steps(spec: TensorSpec, array: np.ndarray, contract: Contract) -> np.ndarray:
    """Return ``array`` without the frames at its end that are no whole step."""
    place = spec.axis(TIME)
    if place is None or spec not in contract.step.fresh_inputs:
        return array
    count = array.shape[place] // contract.step_frames * contract.step_frames
    return np.take(array, range(count), axis=place)
