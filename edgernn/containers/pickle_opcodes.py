"""What the opcodes of a pickle do to the stack that make values, put them aside and put them
together; and the table of all by code. Those that name and call are in ``pickle_calls``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from edgernn.containers.content import Stub
from edgernn.containers.stack import Stack, Stopped

Act = Callable[[Stack], None]
_LONGEST_NUMBER = 1024  # bytes of a LONG
_HIGHEST_PROTOCOL = 5


def _unknown(stack: Stack) -> None:
    raise ValueError(f"{stack.raw[stack.place - 1]:#04x} is no opcode")


TABLE: list[Act] = [_unknown] * 256


def op(code: bytes) -> Callable[[Act], Act]:
    """Put a function into the table as what an opcode does."""

    def keep(act: Act) -> Act:
        TABLE[code[0]] = act
        return act

    return keep


def _constant(code: bytes, value: Any) -> None:
    TABLE[code[0]] = lambda stack: stack.items.append(value)


def _sized(code: bytes, count: int, make: Callable[[memoryview], Any]) -> None:
    """An opcode whose value stands behind its length of ``count`` bytes."""

    def act(stack: Stack) -> None:  # the most frequent ones, so in one piece
        start = stack.place + count
        stop = start + int.from_bytes(stack.raw[stack.place : start], "little")
        if stop > stack.end:
            raise ValueError(f"{stop - start:,} bytes, {max(0, stack.end - start):,} are left")
        stack.place = stop
        stack.items.append(make(stack.raw[start:stop]))

    TABLE[code[0]] = act


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


@op(b"\x80")
def _protocol(stack: Stack) -> None:
    if (found := stack.number(1)) > _HIGHEST_PROTOCOL:
        raise ValueError(f"protocol {found}, of at most {_HIGHEST_PROTOCOL}")


@op(b"\x95")
def _frame(stack: Stack) -> None:
    length, start = stack.number(8), stack.place
    stack.take(length)  # it is there
    stack.place = start


@op(b".")
def _stop(stack: Stack) -> None:
    raise Stopped(stack.pop())


@op(b"(")
def _mark(stack: Stack) -> None:
    stack.mark()


@op(b"0")
def _pop(stack: Stack) -> None:
    if stack.items:
        stack.pop()
    else:
        stack.pop_mark()


@op(b"1")
def _pop_mark(stack: Stack) -> None:
    stack.pop_mark()


@op(b"2")
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


@op(b"d")
def _dict(stack: Stack) -> None:
    found = stack.pop_mark()
    stack.push_made({})
    _set_items(stack, found)


def append_all(stack: Stack, values: list[Any]) -> None:
    """Append values to the list or the stub on top of the stack."""
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
    pairs = list(zip(map(stack.key, values[::2]), values[1::2], strict=True))
    if isinstance(target, dict):
        target.update(pairs)
    elif isinstance(target, Stub):
        target.entries.extend(pairs)
    else:
        raise ValueError(f"a key is set in a {type(target).__name__}")


TABLE[ord("a")] = lambda stack: append_all(stack, stack.last(1))
TABLE[ord("e")] = lambda stack: append_all(stack, stack.pop_mark())
TABLE[ord("s")] = lambda stack: _set_items(stack, stack.last(2))
TABLE[ord("u")] = lambda stack: _set_items(stack, stack.pop_mark())


@op(b"\x90")
def _add_items(stack: Stack) -> None:
    found, target = stack.pop_mark(), stack.top()
    if isinstance(target, set):
        target.update(map(stack.key, found))
    else:
        append_all(stack, found)
