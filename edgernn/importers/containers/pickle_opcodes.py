"""What each opcode of a pickle does to the stack: one small function each, and the table of them by
code.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.importers.containers.content import Name, Stub
from edgernn.importers.containers.safe_names import SAFE
from edgernn.importers.containers.stack import Stack, Unfinished

Act = Callable[[Stack], None]
_LONGEST_NUMBER = 1024  # bytes of a LONG
_HIGHEST_PROTOCOL = 5


def _unknown(stack: Stack) -> None:
    raise ValueError(f"{stack.raw[stack.place - 1]:#04x} is no opcode")


TABLE: list[Act] = [_unknown] * 256


def _op(code: bytes) -> Callable[[Act], Act]:
    def keep(act: Act) -> Act:
        TABLE[code[0]] = act
        return act

    return keep


def _constant(code: bytes, value: Any) -> None:
    TABLE[code[0]] = lambda stack: stack.items.append(value)


def _sized(code: bytes, count: int, make: Callable[[memoryview], Any]) -> None:
    """An opcode whose value stands behind its length of ``count`` bytes."""
    TABLE[code[0]] = lambda stack: stack.push(make(stack.take(stack.number(count))))


def _fixed(code: bytes, count: int, make: Callable[[memoryview], Any]) -> None:
    """An opcode whose value stands in ``count`` bytes."""
    TABLE[code[0]] = lambda stack: stack.push(make(stack.take(count)))


def _line(code: bytes, make: Callable[[bytes], Any]) -> None:
    """An opcode whose value is the rest of the line."""
    TABLE[code[0]] = lambda stack: stack.push(make(stack.line()))


def _text(raw: memoryview) -> str:
    return str(raw, "utf-8", "surrogatepass")


def _old_text(raw: memoryview) -> str:
    """A string of Python 2: bytes or text; latin-1 keeps both."""
    return str(raw, "latin-1")


def _unsigned(raw: memoryview) -> int:
    return int.from_bytes(raw, "little")


def _signed(raw: memoryview) -> int:
    if len(raw) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(raw):,} bytes")
    return int.from_bytes(raw, "little", signed=True)


def _whole(line: bytes) -> int | bool:
    """A number of protocol 0, or one of its two words for a truth value."""
    return line == b"01" if line in (b"00", b"01") else int(line)


def _quoted(line: bytes) -> str:
    """A quoted string of protocol 0, as Python's repr writes it."""
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise ValueError("a string without its quotes")
    return line[1:-1].decode("unicode_escape")


_constant(b"N", None)
_constant(b"\x88", True)
_constant(b"\x89", False)
_fixed(b"J", 4, _signed)
_fixed(b"K", 1, _unsigned)
_fixed(b"M", 2, _unsigned)
_fixed(b"G", 8, lambda raw: struct.unpack(">d", raw)[0])
_sized(b"\x8a", 1, _signed)
_sized(b"\x8b", 4, _signed)
_sized(b"T", 4, _old_text)
_sized(b"U", 1, _old_text)
_sized(b"X", 4, _text)
_sized(b"\x8c", 1, _text)
_sized(b"\x8d", 8, _text)
_sized(b"B", 4, bytes)
_sized(b"C", 1, bytes)
_sized(b"\x8e", 8, bytes)
_sized(b"\x96", 8, bytes)  # a bytearray: nothing will be written to it
_line(b"I", _whole)
_line(b"L", lambda line: int(line.removesuffix(b"L")))
_line(b"F", float)
_line(b"S", _quoted)
_line(b"V", lambda line: line.decode("raw_unicode_escape"))


@_op(b"\x80")
def _protocol(stack: Stack) -> None:
    if (found := stack.number(1)) > _HIGHEST_PROTOCOL:
        raise ValueError(f"protocol {found}, of at most {_HIGHEST_PROTOCOL}")


@_op(b"\x95")
def _frame(stack: Stack) -> None:
    length, start = stack.number(8), stack.place
    stack.take(length)  # it is there
    stack.place = start


@_op(b".")
def _stop(stack: Stack) -> None:
    stack.stopped = True


@_op(b"(")
def _mark(stack: Stack) -> None:
    stack.mark()


@_op(b"0")
def _pop(stack: Stack) -> None:
    if stack.items:
        stack.pop()
    else:
        stack.pop_mark()


@_op(b"1")
def _pop_mark(stack: Stack) -> None:
    stack.pop_mark()


@_op(b"2")
def _dup(stack: Stack) -> None:
    stack.push(stack.top())


# The memo.


def _put_by(code: bytes, index: Callable[[Stack], int]) -> None:
    TABLE[code[0]] = lambda stack: stack.put(index(stack))


def _get_by(code: bytes, index: Callable[[Stack], int]) -> None:
    TABLE[code[0]] = lambda stack: stack.push(stack.memo[index(stack)])


_put_by(b"p", lambda stack: int(stack.line()))
_put_by(b"q", lambda stack: stack.number(1))
_put_by(b"r", lambda stack: stack.number(4))
_put_by(b"\x94", lambda stack: len(stack.memo))
_get_by(b"g", lambda stack: int(stack.line()))
_get_by(b"h", lambda stack: stack.number(1))
_get_by(b"j", lambda stack: stack.number(4))


# Containers.


def _made(code: bytes, make: Callable[[Stack], Any]) -> None:
    TABLE[code[0]] = lambda stack: stack.push_made(make(stack))


_made(b"]", lambda stack: [])
_made(b"}", lambda stack: {})
_made(b"\x8f", lambda stack: set())
_made(b")", lambda stack: ())
_made(b"\x85", lambda stack: tuple(stack.last(1)))
_made(b"\x86", lambda stack: tuple(stack.last(2)))
_made(b"\x87", lambda stack: tuple(stack.last(3)))
_made(b"t", lambda stack: tuple(stack.pop_mark()))
_made(b"l", lambda stack: stack.pop_mark())
_made(b"\x91", lambda stack: frozenset(map(stack.key, stack.pop_mark())))


@_op(b"d")
def _dict(stack: Stack) -> None:
    found = stack.pop_mark()
    stack.push_made({})
    _set_items(stack, found)


def _append_all(stack: Stack, values: list[Any]) -> None:
    target = stack.top()
    if isinstance(target, list):
        target.extend(values)
    elif isinstance(target, Stub):
        target.items.extend(values)
    else:
        raise ValueError(f"something is appended to a {type(target).__name__}")


def _set_items(stack: Stack, values: list[Any]) -> None:
    target = stack.top()
    if len(values) % 2:
        raise ValueError("a key without a value")
    pairs = [(stack.key(values[n]), values[n + 1]) for n in range(0, len(values), 2)]
    if isinstance(target, dict):
        target.update(pairs)
    elif isinstance(target, Stub):
        target.entries.extend(pairs)
    else:
        raise ValueError(f"a key is set in a {type(target).__name__}")


TABLE[ord("a")] = lambda stack: _append_all(stack, stack.last(1))
TABLE[ord("e")] = lambda stack: _append_all(stack, stack.pop_mark())
TABLE[ord("s")] = lambda stack: _set_items(stack, stack.last(2))
TABLE[ord("u")] = lambda stack: _set_items(stack, stack.pop_mark())


@_op(b"\x90")
def _add_items(stack: Stack) -> None:
    found, target = stack.pop_mark(), stack.top()
    if isinstance(target, set):
        target.update(map(stack.key, found))
    else:
        _append_all(stack, found)


# Names and calls: nothing is imported, and nothing is called but what SAFE holds.


@_op(b"c")
def _global(stack: Stack) -> None:
    module = stack.line().decode()
    stack.push_made(Name(stack.named(module, stack.line().decode())))


@_op(b"\x93")
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
    stack.spend(sum(len(a) for a in arguments if isinstance(a, (str, bytes, list, tuple, dict))))
    stack.push_made(make(stack, *arguments))


@_op(b"R")
def _reduce(stack: Stack) -> None:
    called, arguments = stack.last(2)
    _call(stack, called, arguments)


TABLE[0x81] = _reduce  # NEWOBJ: a class and the arguments of its __new__


@_op(b"\x92")
def _new_with_names(stack: Stack) -> None:
    called, arguments, named = stack.last(3)
    if type(named) is not dict:
        raise ValueError("arguments by name that are no dict")
    _call(stack, called, (*arguments, named) if named else arguments)


@_op(b"i")
def _instance(stack: Stack) -> None:
    module = stack.line().decode()
    called = Name(stack.named(module, stack.line().decode()))
    _call(stack, called, tuple(stack.pop_mark()))


@_op(b"o")
def _object(stack: Stack) -> None:
    called, *arguments = stack.pop_mark()
    _call(stack, called, tuple(arguments))


@_op(b"b")
def _build(stack: Stack) -> None:
    state, target = stack.pop(), stack.top()
    if isinstance(target, Stub):
        target.state = state
        if isinstance(target, Unfinished):
            stack.finish(target.finished(stack))
    elif not isinstance(target, (dict, np.ndarray)):  # whose attributes nobody needs
        raise ValueError(f"a {type(target).__name__} is given a state")


# Data outside of the pickle.


@_op(b"P")
def _persistent_line(stack: Stack) -> None:
    stack.push(stack.persistent(stack.line().decode()))


@_op(b"Q")
def _persistent(stack: Stack) -> None:
    stack.push(stack.persistent(stack.pop()))


@_op(b"\x97")
def _buffer(stack: Stack) -> None:
    raise ValueError("a buffer that was kept outside of it")


@_op(b"\x98")
def _read_only(stack: Stack) -> None:
    stack.top()  # all that is read is read-only
