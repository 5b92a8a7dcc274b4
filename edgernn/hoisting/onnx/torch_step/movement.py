"""ONNX operators that move elements or give them another shape, in torch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from onnx import numpy_helper
from torch import Tensor

from edgernn.hoisting.onnx.torch_step.call import Call, Handler, Value

_END = 1 << 31  # a slice that ends there ends nowhere


def _reshape(call: Call) -> Tensor:
    x, sizes = call.tensor(), call.numbers(1) or []
    if isinstance(call.maybe(1), np.ndarray) and not call.get("allowzero", 0):
        sizes = [x.shape[at] if size == 0 else size for at, size in enumerate(sizes)]
    return x.reshape(sizes)


def _squeeze(call: Call) -> Tensor:
    x, axes = call.tensor(), call.numbers(1, "axes")
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if int(size) == 1]
    for axis in sorted((int(axis) % x.ndim for axis in axes), reverse=True):
        x = x.squeeze(axis)
    return x


def _unsqueeze(call: Call) -> Tensor:
    x, axes = call.tensor(), call.numbers(1, "axes") or []
    rank = x.ndim + len(axes)
    for axis in sorted(int(axis) % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(call: Call) -> Tensor:
    x = call.tensor()
    return x.permute(call.get("perm") or list(reversed(range(x.ndim))))


def _flatten(call: Call) -> Tensor:
    x, axis = call.tensor(), call.get("axis", 1)
    if axis == 0:
        return x.reshape(1, -1)
    return x.flatten(0, axis - 1 if axis > 0 else x.ndim + axis - 1).flatten(1)


def _slice(call: Call) -> Tensor:
    x = call.tensor()
    starts, ends = call.numbers(1, "starts") or [], call.numbers(2, "ends") or []
    axes = call.numbers(3, "axes") or list(range(len(starts)))
    steps = call.numbers(4, "steps") or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        along = int(axis) % x.ndim
        if int(step) < 0:
            kept = range(int(x.shape[along]))[slice(start, None if end < -_END else end, step)]
            x = x.index_select(along, torch.tensor(list(kept)))
            continue
        place = [slice(None)] * x.ndim
        place[along] = slice(
            start, None if not isinstance(end, Tensor) and end >= _END else end, int(step)
        )
        x = x[tuple(place)]
    return x


def _split(call: Call) -> tuple[Tensor, ...]:
    x, sizes, axis = call.tensor(), call.numbers(1, "split"), call.get("axis", 0)
    count = call.get("num_outputs") or len(call.node.output)
    if sizes is None:
        return tuple(torch.split(x, -(-int(x.shape[axis]) // count), axis))
    return tuple(torch.split(x, [int(size) for size in sizes], axis))


def _gather(call: Call) -> Tensor:
    x, axis, known = call.tensor(), call.get("axis", 0), call.maybe(1)
    axis %= x.ndim
    if isinstance(known, np.ndarray):
        if known.ndim == 0:
            return x.select(axis, int(known))
        where = torch.from_numpy(known.ravel() % int(x.shape[axis]))
        made = x.index_select(axis, where)
        return made.reshape([*x.shape[:axis], *known.shape, *x.shape[axis + 1 :]])
    index = call.tensor(1)
    if axis == 0 and x.ndim == 2:
        return F.embedding(index, x)
    made = x.index_select(axis, index.reshape(-1))
    return made.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _gather_elements(call: Call) -> Tensor:
    return torch.gather(call.tensor(), call.get("axis", 0), call.tensor(1))


def _expand(call: Call) -> Tensor:
    x, sizes = call.tensor(), call.numbers(1) or []
    rank = max(x.ndim, len(sizes))
    own = [1] * (rank - x.ndim) + list(x.shape)
    given = [1] * (rank - len(sizes)) + list(sizes)
    whole = [
        mine if not isinstance(size, Tensor) and size == 1 else size
        for mine, size in zip(own, given, strict=True)
    ]
    return x.expand(whole)


def _tile(call: Call) -> Tensor:
    return call.tensor().repeat([int(count) for count in call.numbers(1) or []])


def _pad(call: Call) -> Tensor:
    x, mode, pads = call.tensor(), call.get("mode", "constant"), call.numbers(1, "pads") or []
    axes = [int(axis) for axis in call.numbers(3) or range(x.ndim)]
    around = {axis % x.ndim: (0, 0) for axis in range(x.ndim)}
    for at, axis in enumerate(axes):
        around[axis % x.ndim] = int(pads[at]), int(pads[at + len(axes)])
    if mode == "constant":
        sizes = [size for axis in reversed(range(x.ndim)) for size in around[axis]]
        return F.pad(x, sizes, value=call.number(2, "value") or 0.0)
    padded = [axis for axis, sizes in around.items() if any(sizes)]
    if mode not in {"reflect", "edge"} or len(padded) > 1:
        raise call.refused(f"pads by {mode} along {len(padded)} axes")
    for axis in padded:
        order = [own for own in range(x.ndim) if own != axis] + [axis]
        moved = x.permute(order)
        flat = moved.reshape(1, -1, moved.shape[-1])
        flat = F.pad(flat, around[axis], mode="reflect" if mode == "reflect" else "replicate")
        back = [order.index(own) for own in range(x.ndim)]
        x = flat.reshape([*moved.shape[:-1], flat.shape[-1]]).permute(back)
    return x


def _shape(call: Call) -> Tensor:
    sizes = call.tensor().shape[call.get("start", 0) : call.get("end")]
    return torch.stack([torch.as_tensor(size, dtype=torch.int64) for size in sizes])


def _constant_of_shape(call: Call) -> Tensor:
    held = next((a.t for a in call.node.attribute if a.name == "value"), None)
    value = np.zeros(1, np.float32) if held is None else numpy_helper.to_array(held)
    made = torch.from_numpy(np.array(value.ravel()[0]))
    return made.expand(call.numbers(0) or []).clone()


def _concat(call: Call) -> Tensor:
    return torch.cat(call.tensors(), call.get("axis", 0))


def _scatter(call: Call) -> Tensor:
    """Put rows in the place of others, at places that are known."""
    x, known, updates = call.tensor(), call.maybe(1), call.tensor(2)
    rows = isinstance(known, np.ndarray) and known.shape[-1] == 1
    if not isinstance(known, np.ndarray) or not rows or call.get("reduction", "none") != "none":
        raise call.refused("puts elements where an index says")
    made = [x[at] for at in range(int(x.shape[0]))]
    flat = updates.reshape([known.size, *x.shape[1:]])
    for at, place in enumerate(known.ravel()):
        made[int(place)] = flat[at]
    return torch.stack(made)


def _same(call: Call) -> Value:
    return call.maybe(0)


MOVEMENT: dict[str, Handler] = {
    "Identity": _same,
    "Dropout": _same,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Flatten": _flatten,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "Shape": _shape,
    "ConstantOfShape": _constant_of_shape,
    "Concat": _concat,
    "ScatterND": _scatter,
}
