"""torch's tensors in pickles: views of their storages, and never beyond them.

The functions stand for those of the same names in ``torch._utils``, whose arguments pickles hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.containers.content import Name, Stub
from edgernn.containers.stack import Stack
from edgernn.containers.torch_storages import DTYPES, Storage

_MOST_AXES = 32  # that every numpy takes
_MOST_REPEATED = (
    1 << 20
)  # elements that a view may have beyond those of its storage: masks, indices


def view(storage: Storage, kind: str, offset: Any, size: Any, stride: Any) -> np.ndarray:
    """Return a read-only view of a storage.

    Args:
        storage: what it is a view of.
        kind: the dtype, as ``float32``.
        offset: the element that it begins with.
        size: its shape.
        stride: the elements from one place to the next, an axis each.

    Raises:
        ValueError: it would reach beyond the storage, or repeat it over and over.
    """
    wholes = (offset, *_plain(size), *_plain(stride))
    if not all(type(n) is int and 0 <= n < 1 << 48 for n in wholes):
        raise ValueError("a tensor whose offset, sizes or strides are no numbers from 0")
    if len(size) != len(stride) or len(size) > _MOST_AXES:
        raise ValueError(f"a tensor of {len(size)} axes with {len(stride)} strides")
    flat = storage.typed(kind)
    count = math.prod(size)
    if count == 0:
        nothing = np.empty(size, flat.dtype)
        nothing.flags.writeable = False
        return nothing
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if last >= len(flat):
        raise ValueError(f"a tensor that reaches to element {last:,} of a storage of {len(flat):,}")
    if count > len(flat) + _MOST_REPEATED:
        raise ValueError(f"a tensor of {count:,} elements over a storage of {len(flat):,}")
    steps = [step * flat.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(flat[offset:], size, steps, writeable=False)


def _plain(value: Any) -> tuple[Any, ...]:
    if type(value) not in (tuple, list):
        raise ValueError("a tensor whose sizes or strides are no tuple")
    return tuple(value)


def _tensor(
    stack: Stack, storage: Any, offset: Any, size: Any, stride: Any, *_: Any
) -> np.ndarray | Stub | None:
    """``_rebuild_tensor``, ``_rebuild_tensor_v2``."""
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    if not storage.known:
        return None  # of the first look at an older file, whose storages lie behind the pickle
    if not storage.kind:
        return Stub("torch.Tensor", (storage, offset, size, stride))
    return view(storage, storage.kind, offset, size, stride)


def _tensor_v3(
    stack: Stack,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    *_: Any,
) -> np.ndarray | Stub | None:
    """``_rebuild_tensor_v3``: the dtype is one that has no storage class."""
    if not isinstance(storage, Storage) or not isinstance(dtype, Name):
        raise ValueError("a tensor without a storage or a dtype")
    if not storage.known:
        return None
    if dtype.name not in DTYPES:
        return Stub("torch.Tensor", (storage, offset, size, stride, dtype))
    return view(storage, DTYPES[dtype.name], offset, size, stride)


def _first(stack: Stack, data: Any = None, *_: Any) -> Any:
    """A parameter, or a variable of torch before 0.4: the tensor that it is around."""
    return data


def _typed(stack: Stack, make: Any, kind: Any, arguments: Any, state: Any = None) -> Any:
    """``_rebuild_from_type_v2``: a tensor with attributes, or of a class of its own."""
    if isinstance(make, Name) and make.name in _REBUILT and type(arguments) is tuple:
        return _REBUILT[make.name](stack, *arguments)
    return Stub("torch.Tensor", (make, kind, arguments, state))


def _size(stack: Stack, values: Any = ()) -> tuple[Any, ...]:
    return _plain(values)


def _device(stack: Stack, kind: Any, index: Any = None) -> str:
    """``torch.device``: in a word, as ``cuda:0``."""
    if type(kind) is not str or len(kind) > 40 or type(index) not in (int, type(None)):
        raise ValueError("a device that is none")
    return kind if index is None else f"{kind}:{index}"


_REBUILT: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
}


def _storage_from_bytes(stack: Stack, raw: Any) -> Any:
    """``torch.storage._load_from_bytes``: a file of torch's older format, with one storage."""
    if type(raw) is not bytes or stack.files is None:
        raise ValueError("a file of torch inside, where none is expected")
    return stack.files(raw)


TORCH: dict[str, Callable[..., Any]] = {
    **_REBUILT,
    "torch._tensor._rebuild_from_type_v2": _typed,
    "torch._utils._rebuild_device_tensor_from_numpy": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch.nn.parameter.Buffer": _first,
    "torch.autograd.variable.Variable": _first,
    "torch.storage._load_from_bytes": _storage_from_bytes,
    "torch.Size": _size,
    "torch.device": _device,
}
