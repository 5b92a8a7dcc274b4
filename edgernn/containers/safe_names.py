"""The exact list of names that a pickle's calls are carried out for: each makes a plain value or an
array with a function of ours. Whatever is not here becomes an inert stub.

The functions take the machine's stack and the call's arguments; they raise ValueError or TypeError
where these are not what the real ones write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgernn.containers.content import Name, Stub
from edgernn.containers.numpy_arrays import NUMPY
from edgernn.containers.stack import Stack
from edgernn.containers.torch_tensors import TORCH

_LATIN = ("latin1", "latin-1")


def _dict(stack: Stack, pairs: Any = ()) -> dict[Any, Any]:
    """``OrderedDict()``, ``Counter(dict)``: with a dict or pairs in it."""
    found = pairs.items() if type(pairs) is dict else [_pair(pair) for pair in pairs]
    return {stack.key(key): value for key, value in found}


def _pair(pair: Any) -> tuple[Any, Any]:
    if type(pair) not in (list, tuple) or len(pair) != 2:
        raise ValueError("a dict of what is no pair")
    return pair[0], pair[1]


def _default_dict(stack: Stack, factory: Any = None, pairs: Any = ()) -> dict[Any, Any]:
    return _dict(stack, pairs)


def _items(values: Any) -> Any:
    if type(values) not in (list, tuple, set, frozenset):
        raise ValueError(f"a list of a {type(values).__name__}")
    return values


def _set(stack: Stack, values: Any = ()) -> set[Any]:
    return set(map(stack.key, _items(values)))


def _frozen_set(stack: Stack, values: Any = ()) -> frozenset[Any]:
    return frozenset(map(stack.key, _items(values)))


def _complex(stack: Stack, real: Any, imaginary: Any = 0.0) -> complex:
    if not all(type(part) in (int, float) for part in (real, imaginary)):
        raise ValueError("a complex number of what are no numbers")
    return complex(real, imaginary)


def _bytes(stack: Stack, value: Any = b"", encoding: Any = "latin-1") -> bytes:
    """``bytearray(b"…")``, ``bytearray("…", "latin-1")``, ``bytes()``; never of a length."""
    if type(value) is str:
        return _encode(stack, value, encoding)
    if type(value) is not bytes:
        raise ValueError(f"bytes of a {type(value).__name__}")
    return value


def _encode(stack: Stack, text: Any, encoding: Any = "utf-8") -> bytes:
    """``_codecs.encode``: how protocols before 3 write bytes."""
    if type(text) is not str or type(encoding) is not str or encoding not in _LATIN:
        raise ValueError("bytes of anything but text of latin-1")
    return text.encode("latin-1")


def _reconstructor(stack: Stack, kind: Any, base: Any = None, state: Any = None) -> Stub:
    """``copyreg._reconstructor``: an object in protocols 0 and 1."""
    return Stub(_class(kind), () if state is None else (state,))


def _new(stack: Stack, kind: Any, *arguments: Any) -> Stub:
    """``copyreg.__newobj__``."""
    return Stub(_class(kind), arguments)


def _class(kind: Any) -> str:
    if not isinstance(kind, Name):
        raise ValueError("an object of what is no class")
    return kind.name


SAFE: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.defaultdict": _default_dict,
    "builtins.dict": _dict,
    "builtins.list": lambda stack, values=(): list(_items(values)),
    "builtins.tuple": lambda stack, values=(): tuple(_items(values)),
    "builtins.set": _set,
    "builtins.frozenset": _frozen_set,
    "builtins.complex": _complex,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstructor,
    "copyreg.__newobj__": _new,
    **NUMPY,
    **TORCH,
}
