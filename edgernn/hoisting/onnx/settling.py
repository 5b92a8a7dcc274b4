"""At which sizes a foreign graph runs: an axis that is said to be open may be baked inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from edgernn.contract import BATCH, TIME
from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.onnx.axes import Axis, Declared
from edgernn.hoisting.onnx.editing import open_inputs
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.sizes import Sizes, feeds, probes_of

_NEAR = 1e-3  # of rows in another batch, which other kernels may compute
_CLOSED = {BATCH: "rows", TIME: "frames"}  # what an axis is called that has one size


@dataclass(frozen=True)
class Settled:
    """The inputs with the axes that are really open, the sizes to look at, and what to tell."""

    declared: dict[str, Declared]
    probes: tuple[Sizes, ...]
    notes: tuple[str, ...] = ()


def settle(model_proto: onnx.ModelProto, declared: Mapping[str, Declared]) -> Settled:
    """Declare the inputs of the graph, in place, with the axes that are open when it runs.

    Raises:
        UsageError: it runs at no size, or not frame by frame; says what onnxruntime said.
    """
    failures = dict[str, str]()
    is_open = [a for a in (BATCH, TIME) if any(d.place(a) is not None for d in declared.values())]
    for closed in ((), (BATCH,), (TIME,), (BATCH, TIME)):
        if not {*closed} <= {*is_open}:
            continue
        own = {name: _close(one, closed) for name, one in declared.items()}
        open_inputs(model_proto, own)
        probes = probes_of(own)
        failure = _failure(model_proto, own, probes)
        if failure is None:
            notes = (f"the file takes one size along {axis}: {failures['']}" for axis in closed)
            return Settled(own, probes, tuple(notes))
        failures.setdefault("", failure)
    raise UsageError(
        f"the file does not run on {_shapes(declared)}: {failures['']}; give the sizes that it "
        'takes, as --inputs "x: float32[batch, frames=512]"'
    )


def _close(declared: Declared, closed: tuple[str, ...]) -> Declared:
    axes = (
        Axis(_CLOSED[axis.name], axis.each, axis.more, ours=True)
        if axis.name in closed and axis.size is None
        else axis
        for axis in declared.axes
    )
    return replace(declared, axes=tuple(axes))


def _failure(
    model_proto: onnx.ModelProto, declared: Mapping[str, Declared], probes: tuple[Sizes, ...]
) -> str | None:
    sizes, given, made = probes[0], dict[str, np.ndarray](), dict[str, np.ndarray]()
    try:
        run = Runner(model_proto)
        for sizes in probes:
            given = feeds(declared, sizes)
            made = run(given)
        alone = run(_last_row(declared, given)) if BATCH in sizes else made
    except ContractError as error:
        at = ", ".join(f"{axis} {size}" for axis, size in sizes.items())
        return f"{error}{f' (at {at})' if at else ''}"
    rows = sizes.get(BATCH, 1)
    mixed = [name for name, array in alone.items() if not _is_last(array, made[name], rows)]
    return f"a row of {mixed[0]} depends on the other rows" if mixed else None


def _last_row(
    declared: Mapping[str, Declared], given: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    places = {name: own.place(BATCH) for name, own in declared.items()}
    return {
        name: array if (place := places[name]) is None else np.take(array, [-1], place)
        for name, array in given.items()
    }


def _is_last(alone: np.ndarray, made: np.ndarray, rows: int) -> bool:
    """Whether ``alone`` is the last of the rows of ``made``, which lie along an axis of their own
    or share one with what else there is of a row.
    """
    longer = [at for at in range(alone.ndim) if made.shape[at] == rows * alone.shape[at]]
    if alone.dtype.kind != "f" or alone.ndim != made.ndim or len(longer) != 1:
        return True
    flat = np.moveaxis(made, longer[0], 0).reshape(rows, -1)
    turned = np.moveaxis(made, longer[0], 0).reshape(alone.shape[longer[0]], rows, -1)
    wanted = np.moveaxis(alone, longer[0], 0).ravel()
    scale = _NEAR * max(1.0, float(np.abs(wanted).max(initial=0)))
    return any(
        bool(np.abs(found.ravel() - wanted).max(initial=0) <= scale)
        for found in (flat[-1], turned[:, -1])
    )


def _shapes(declared: Mapping[str, Declared]) -> str:
    def text(own: Declared) -> str:
        return ", ".join(str(axis.size or axis.name) for axis in own.axes)

    return ", ".join(f"{name} [{text(own)}]" for name, own in declared.items())


def single_frames(declared: Mapping[str, Declared]) -> dict[str, Declared]:
    """Return the inputs with the frames of one step, of those that have any number."""
    return {name: _close(own, (TIME,)) for name, own in declared.items()}
