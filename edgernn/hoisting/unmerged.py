"""Outputs whose rows and frames lie in one axis, as ``decoded.view(-1, words)`` leaves them: each
gets its two axes back.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgernn.contract import BATCH, TIME
from edgernn.hoisting.network import Network

_ROWS, _MORE_ROWS = 2, 3
_LENGTHS = (6, 24, 96, 384, 1536)  # frames, tried in turn until the network takes them


def unmerge(network: Network) -> None:
    """Let every output that has rows times frames in one axis have them in two."""
    axes = {axis for spec in network.inputs.specs for axis in spec.axes}
    if not {BATCH, TIME} <= axes:
        return
    merged = next((m for frames in _LENGTHS if (m := _merged(network, frames)) is not None), {})
    if not merged:
        return

    def split(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
        sizes = _sizes(network, inputs)
        return [
            out if at not in merged else _split(out, merged[at], sizes)
            for at, out in enumerate(outputs)
        ]

    network.call.split = split


def _sizes(network: Network, inputs: Sequence[Tensor]) -> dict[str, int]:
    return {
        axis: int(tensor.shape[place])
        for spec, tensor in zip(network.inputs.specs, inputs, strict=False)
        for place, axis in enumerate(spec.axes)
        if axis in (BATCH, TIME)
    }


_Split = tuple[int, bool]  # which axis, and whether rows come first


def _split(output: Tensor, found: _Split, sizes: dict[str, int]) -> Tensor:
    dim, rows_first = found
    names = (BATCH, TIME) if rows_first else (TIME, BATCH)
    shape = [*output.shape[:dim], *(sizes[name] for name in names), *output.shape[dim + 1 :]]
    return output.reshape(shape)


def _merged(network: Network, frames: int) -> dict[int, _Split] | None:
    """Return output → its axis of rows times frames, None where no such length is taken."""
    try:
        base = _run(network, _ROWS, frames)
        others = (_run(network, _MORE_ROWS, frames), _run(network, _ROWS, frames + frames // 2))
    except (RuntimeError, IndexError, ValueError):
        return None
    changed = _run(network, _ROWS, frames, change_first_row=True)
    found: dict[int, _Split] = {}
    for at, (output, rows, longer) in enumerate(zip(base, *others, strict=True)):
        for dim, size in enumerate(output.shape):
            grown = (rows.shape[dim], longer.shape[dim]) if rows.dim() == output.dim() else ()
            if size == _ROWS * frames and grown == (size * 3 // 2, size * 3 // 2):
                moved = (output != changed[at]).movedim(dim, 0).flatten(1).any(1)
                found[at] = (dim, not bool(moved[frames:].any()))
    return found


def _run(
    network: Network, rows: int, frames: int, *, change_first_row: bool = False
) -> list[Tensor]:
    sizes = network.inputs.measured(batch=rows, time=frames)
    inputs = network.inputs.draw(sizes, seed=3)
    if change_first_row:
        other = network.inputs.draw(sizes, seed=4)
        inputs = [
            given if (axis := spec.axis(BATCH)) is None else _first_of(new, given, axis)
            for spec, given, new in zip(network.inputs.specs, inputs, other, strict=True)
        ]
    return network.run(inputs, network.first(rows))[0]


def _first_of(new: Tensor, given: Tensor, axis: int) -> Tensor:
    rest = given.narrow(axis, 1, given.shape[axis] - 1)
    return torch.cat([new.narrow(axis, 0, 1), rest], axis)
