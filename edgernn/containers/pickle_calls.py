"""What the opcodes of a pickle do that name, call and fill: nothing is imported, and nothing is
called but what ``SAFE`` holds. Importing this completes the table of ``pickle_opcodes``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.containers.content import Name, Stub
from edgernn.containers.pickle_opcodes import TABLE, op
from edgernn.containers.safe_names import SAFE
from edgernn.containers.stack import Stack, Unfinished

__all__ = ["TABLE"]

_SIZED = (str, bytes, list, tuple, dict, set, frozenset)


@op(b"c")
def _global(stack: Stack) -> None:
    module = stack.line().decode()
    stack.push_made(Name(stack.named(module, stack.line().decode())))


@op(b"\x93")
def _stack_global(stack: Stack) -> None:
    module, name = stack.last(2)
    stack.push_made(Name(stack.named(module, name)))


def _extension(code: bytes, count: int) -> None:
    TABLE[code[0]] = lambda stack: stack.push_made(
        Name(stack.named("copyreg", f"extension_{stack.number(count)}"))
    )


_extension(b"\x82", 1)
_extension(b"\x83", 2)
_extension(b"\x84", 4)


def _call(stack: Stack, called: Any, arguments: Any) -> None:
    if not isinstance(called, Stub) or type(arguments) is not tuple:
        raise ValueError(f"a {type(called).__name__} is called")
    make = SAFE.get(called.name) if isinstance(called, Name) else None
    if make is None:
        stack.push_made(Stub(called.name, arguments))
        return
    stack.spend(sum(len(a) for a in arguments if isinstance(a, _SIZED)))
    stack.push_made(make(stack, *arguments))


@op(b"R")
def _reduce(stack: Stack) -> None:
    called, arguments = stack.last(2)
    _call(stack, called, arguments)


TABLE[0x81] = _reduce  # NEWOBJ: a class and the arguments of its __new__


@op(b"\x92")
def _new_with_names(stack: Stack) -> None:
    called, arguments, named = stack.last(3)
    if type(named) is not dict:
        raise ValueError("arguments by name that are no dict")
    _call(stack, called, (*arguments, named) if named else arguments)


@op(b"i")
def _instance(stack: Stack) -> None:
    module = stack.line().decode()
    called = Name(stack.named(module, stack.line().decode()))
    _call(stack, called, tuple(stack.pop_mark()))


@op(b"o")
def _object(stack: Stack) -> None:
    called, *arguments = stack.pop_mark()
    _call(stack, called, tuple(arguments))


@op(b"b")
def _build(stack: Stack) -> None:
    state, target = stack.pop(), stack.top()
    if isinstance(target, Stub):
        target.state = state
        if isinstance(target, Unfinished):
            stack.finish(target.finished(stack))
    elif not isinstance(target, (dict, np.ndarray)):  # whose attributes nobody needs
        raise ValueError(f"a {type(target).__name__} is given a state")


# Data outside of the pickle.


@op(b"P")
def _persistent_line(stack: Stack) -> None:
    stack.push(stack.persistent(stack.line().decode()))


@op(b"Q")
def _persistent(stack: Stack) -> None:
    stack.push(stack.persistent(stack.pop()))


@op(b"\x97")
def _buffer(stack: Stack) -> None:
    raise ValueError("a buffer that was kept outside of it")


@op(b"\x98")
def _read_only(stack: Stack) -> None:
    stack.top()  # all that is read is read-only
