"""numpy's arrays, scalars and dtypes in pickles, rebuilt from plain parts.

An array is written as an empty one that is then given its state: version, shape, dtype, whether it
lies column by column, and its bytes (numpy's ``array_reduce`` and ``array_setstate``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.containers.content import Name, Stub
from edgernn.containers.stack import Stack, Unfinished

_PLAIN = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c(8|16)|[SU]\d{1,4}|\?)")
_MOST_AXES = 32
_STATE, _DTYPE_STATE = 5, 2  # values of an array's state; of a dtype's, those that are read
_NATIVE = {"|": "", "=": "", "<": "<", ">": ">"}


class Dtype(Unfinished):
    """A dtype: its code is the first argument, its byte order the second value of its state."""

    __slots__ = ()

    def finished(self, stack: Stack) -> Any:
        """Return itself: the order is read where it is used."""
        return self

    def real(self) -> np.dtype[Any] | None:
        """Return the dtype; None where it is one of objects, of records or of dates."""
        code = self.arguments[0] if self.arguments else None
        if type(code) is not str:
            return None
        if code in ("O", "O8"):
            raise ValueError("an array of Python objects, which holds no numbers")
        if not _PLAIN.fullmatch(code):
            return None
        state = self.state
        order = state[1] if type(state) is tuple and len(state) >= _DTYPE_STATE else "="
        word = _NATIVE.get(order, "") if type(order) is str else ""
        return np.dtype(word + code.lstrip("<>=|"))


class Array(Unfinished):
    """An array that waits for its state."""

    __slots__ = ()

    def finished(self, stack: Stack) -> Any:
        """Return the array; itself, where its dtype is none that is plain."""
        if type(self.state) is not tuple or len(self.state) != _STATE:
            raise ValueError("an array with a state that numpy does not write")
        _, shape, dtype, by_column, content = self.state
        if not isinstance(dtype, Dtype):
            raise ValueError("an array without a dtype")
        real = dtype.real()
        if real is None:
            return self
        if type(content) is str:  # of Python 2
            stack.spend(len(content))
            content = content.encode("latin-1")
        return array_of(content, real, shape, by_column=bool(by_column))


def array_of(content: Any, dtype: np.dtype[Any], shape: Any, *, by_column: bool) -> np.ndarray:
    """Return ``content`` as a read-only array in the machine's byte order.

    Raises:
        ValueError: the bytes are not those of the shape.
    """
    if type(content) is not bytes or type(shape) is not tuple or len(shape) > _MOST_AXES:
        raise ValueError("an array that is not written as bytes and a shape")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array with a shape that is none")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"an array of {len(content):,} bytes, its shape is {list(shape)}")
    if not len(content):
        return np.empty(shape, dtype)
    flat = np.frombuffer(content, dtype)
    if not dtype.isnative:
        flat = flat.astype(dtype.newbyteorder("="))
        flat.flags.writeable = False
    return flat.reshape(shape, order="F" if by_column else "C")


def _dtype(stack: Stack, code: Any, *rest: Any) -> Dtype:
    return Dtype("numpy.dtype", (code, *rest))


def _reconstruct(stack: Stack, kind: Any, *rest: Any) -> Array:
    """``_reconstruct``: an empty array of a class; only numpy's own becomes one."""
    if not isinstance(kind, Name) or kind.name != "numpy.ndarray":
        raise ValueError("an array of a class that is not numpy's")
    return Array("numpy.ndarray", rest)


def _scalar(stack: Stack, dtype: Any, content: Any = b"") -> Any:
    """``scalar``: a number, here as Python's."""
    real = dtype.real() if isinstance(dtype, Dtype) else None
    if type(content) is str:
        content = content.encode("latin-1")
    if real is None:
        return Stub("numpy.scalar", (dtype, content))
    return array_of(content, real, (), by_column=False).item()


def _from_buffer(stack: Stack, content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """``_frombuffer``: an array in protocol 5."""
    real = dtype.real() if isinstance(dtype, Dtype) else None
    if real is None:
        raise ValueError("an array without a plain dtype")
    return array_of(content, real, shape, by_column=type(order) is str and order == "F")


NUMPY: dict[str, Callable[..., Any]] = {
    "numpy.dtype": _dtype,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _from_buffer,
}
