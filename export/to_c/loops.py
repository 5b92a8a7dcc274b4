"""Loops in C over views: as few as the views allow, and where an element lies."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import isnan

from edgernn.export.to_c.expressions import Apply, Expression, Load
from edgernn.export.to_c.functions import FUNCTIONS
from edgernn.export.to_c.matrices import IntegerMatrix
from edgernn.export.to_c.plan import C_TYPES, Plan
from edgernn.export.to_c.views import CONSTANT, INPUT, OUTPUT, STATE, Storage, View, collapsed

Lines = list[str]


class Names:
    """What storages are called in the text."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def base(self, storage: Storage) -> str:
        """Return the name of a storage's first element's address."""
        plan = self._plan
        if storage in plan.rows:
            return f"row{plan.rows[storage]}"
        if storage in plan.placed:
            text = self.address(plan.placed[storage])
            return f"({text})" if " " in text else text
        if storage in plan.tables:
            return plan.tables[storage]
        if storage.kind == CONSTANT:
            return f"(weights + {plan.offsets[id(storage)] // 4})"
        named = {INPUT: "in_{name}", OUTPUT: "out_{name}", STATE: "state->{member}"}
        text = named.get(storage.kind, "slot{number}")
        number = plan.places.get(storage)
        return text.format(name=storage.name, member=c_name(storage.name), number=number)

    def number(self, storage: Storage) -> int:
        """Return the number of a row of a table that is read where it lies."""
        return self._plan.rows[storage]

    def many(self, storage: Storage) -> int:
        """Return how many units a loop behind panels goes over at once, by what it makes."""
        return self._plan.many[storage]

    def floats(self, key: Hashable) -> str:
        """Return the address of constants in float32."""
        return f"weights + {self._plan.offsets[key] // 4}"

    def bytes(self, key: Hashable) -> str:
        """Return the address of constants of other types, as bytes."""
        return f"bytes + {self._plan.offsets[key]}"

    def address(self, view: View) -> str:
        """Return the address of the first element of ``view``."""
        base = self.base(view.storage)
        return f"{base} + {view.offset}" if view.offset else base

    def element(
        self, view: View, indices: Sequence[str], strides: Sequence[int], *, aligned: str = ""
    ) -> str:
        """Return the element at ``indices``, which go on by ``strides``.

        ``aligned``: what stands for the last index where the scale of a row of integers is chosen.
        """
        at = place(view.offset, indices, strides)
        table = self._plan.integer_rows.get(view.storage)
        if table is None:
            return f"{self.base(view.storage)}[{at}]"
        scale = place(view.offset, [*indices[:-1], aligned], strides) if aligned else at
        return self._of_row(view, table, at, scale)

    def _of_row(self, view: View, table: IntegerMatrix, at: str, scale: str) -> str:
        """Return an element of a row of integers."""
        number = self._plan.rows[view.storage]
        block = min(table.block, table.depth)
        ends = (
            view.offset,
            view.offset
            + sum((size - 1) * step for size, step in zip(view.shape, view.strides, strict=True)),
        )
        same = ends[0] // block == ends[1] // block
        chosen = str(ends[0] // block) if same else f"({scale}) / {block}"
        value = f"(int8_t)row{number}[{at}]"
        if table.bits == 4:
            value = f"(((row{number}[({at}) >> 1] >> ((({at}) & 1) << 2)) & 15) - 8)"
        return f"(scales{number}[{chosen}] * (float){value})"


def row_of(names: Names, view: View, indices: list[str]) -> str:
    """Return the address of a row of a matrix: of the only one where there is no index."""
    at = place(view.offset, indices, view.strides[: len(indices)])
    return f"{names.base(view.storage)} + {at}"


def place(offset: int, indices: Sequence[str], strides: Sequence[int]) -> str:
    """Return ``offset + Σ index · stride`` as text."""
    terms = [str(offset)] if offset else []
    for index, stride in zip(indices, strides, strict=True):
        if stride:
            terms.append(index if stride == 1 else f"{index} * {stride}")
    return " + ".join(terms) or "0"


def indented(lines: Lines) -> Lines:
    """Return lines one step further in."""
    return [f"    {line}" if line else line for line in lines]


def nest(sizes: Sequence[int], body: Callable[[list[str]], Lines], *, first: int = 0) -> Lines:
    """Return loops of ``sizes`` around what ``body`` returns for the names of their indices."""
    names = [f"i{first + at}" for at in range(len(sizes))]
    lines = body(names)
    for name, size in reversed(list(zip(names, sizes, strict=True))):
        lines = loop(name, size, lines)
    return lines


def loop(name: str, size: int, lines: Lines) -> Lines:
    """Return a loop of ``size`` around ``lines``, in which its index is ``name``."""
    return [f"for (int {name} = 0; {name} < {size}; ++{name}) {{", *indented(lines), "}"]


def over(views: Sequence[View], body: Callable[[list[str], list[tuple[int, ...]]], Lines]) -> Lines:
    """Return loops over views of one shape; ``body`` is given the indices, and the strides of each
    view along them.
    """
    sizes, strides = collapsed(views[0].shape, [view.strides for view in views])
    return nest(sizes, lambda indices: body(indices, strides))


def text_of(expression: Expression, element: Callable[[View], str]) -> str:
    """Return an expression in C."""
    if isinstance(expression, Load):
        return element(expression.view)
    if isinstance(expression, Apply):
        given = [text_of(own, element) for own in expression.arguments]
        own, dtype = FUNCTIONS[expression.name], expression.dtype
        text = own.whole if own.whole and dtype != "float32" else own.text
        return text.format(*given, type=C_TYPES[dtype])
    return number(expression.value, expression.dtype)


def number(value: float, dtype: str) -> str:
    """Return a number in C, exact to the bit."""
    if dtype != "float32":
        return str(int(value)) if abs(value) < 1 << 31 else f"{int(value)}LL"
    if isnan(value):
        return "(0.0f / 0.0f)"
    if value in (float("inf"), float("-inf")):
        return f"({'-' if value < 0 else ''}1.0f / 0.0f)"
    text = f"{value:.9g}"
    text = text if "." in text or "e" in text else f"{text}.0"
    return f"({text}f)" if text.startswith("-") else f"{text}f"


_WORDS = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl "
    "concept const consteval constexpr constinit const_cast continue co_await co_return "
    "co_yield decltype default delete do double dynamic_cast else enum explicit export extern "
    "false float for friend goto if inline int long mutable namespace new noexcept not not_eq "
    "nullptr operator or or_eq private protected public register reinterpret_cast requires "
    "restrict return short signed sizeof static static_assert static_cast struct switch "
    "template this thread_local throw true try typedef typeid typename typeof union unsigned "
    "using virtual void volatile wchar_t while xor xor_eq linux unix i386 "
)
_RESERVED = frozenset(_WORDS.split())


def c_name(name: str) -> str:
    """Return a tensor's name as a member of a structure: with a line behind it where C or C++ keep
    the word.
    """
    return f"{name}_" if name in _RESERVED else name
