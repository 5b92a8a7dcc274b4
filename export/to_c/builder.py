"""What operators are turned into nodes with: the values found so far, and room for new ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from edgernn.errors import ContractError
from edgernn.export.to_c.expressions import Apply, Expression, Load, Number
from edgernn.export.to_c.functions import FUNCTIONS
from edgernn.export.to_c.program import Move, Node, Pointwise
from edgernn.export.to_c.views import CONSTANT, SCRATCH, Storage, View, all_of, dense

_MOST_ELEMENTS = 1 << 28  # of one value
DTYPES = ("float32", "int64", "int32", "uint8", "int8", "bool")


class Builder:
    """The values of a graph by name, and its nodes in order."""

    def __init__(self) -> None:
        self.values: dict[str, View] = {}
        self.nodes: list[Node] = []

    def room(self, dtype: str, shape: Sequence[int]) -> View:
        """Return new scratch memory."""
        _refuse_large(shape)
        return all_of(Storage(SCRATCH, known_dtype(dtype), prod(shape)), shape)

    def constant(self, array: np.ndarray) -> View:
        """Return a constant."""
        _refuse_large(array.shape)
        values = np.ascontiguousarray(array).ravel()
        storage = Storage(CONSTANT, str(array.dtype), values.size, values=values)
        return View(storage, 0, tuple(array.shape), dense(array.shape))

    def copied(self, view: View) -> View:
        """Return the elements of ``view`` one behind the other, in a storage of their own."""
        values = view.values()
        if values is not None:
            return self.constant(np.array(values))
        out = self.room(view.dtype, view.shape)
        self.nodes.append(Move(out, view))
        return out

    def flat(self, view: View) -> View:
        """Return the elements of ``view`` one behind the other; itself where they are."""
        return view if view.contiguous else self.copied(view)

    def reshaped(self, view: View, shape: Sequence[int]) -> View:
        """Return ``view`` under another shape, copied where that is needed."""
        found = view.reshape(shape) or self.copied(view).reshape(shape)
        assert found is not None
        return found

    def pointwise(self, name: str, *given: View, dtype: str | None = None) -> View:
        """Return a function of elements; views are broadcast, and constants folded.

        ``dtype`` is that of the result, by default that of the last one given.
        """
        function = FUNCTIONS[name]
        if len(given) != function.arity:
            raise ValueError(f"{name} takes {function.arity} values, not {len(given)}")
        if len(kinds := {view.dtype for view in given[name == "select" :]}) > 1:
            raise ValueError(f"{name} takes values of one dtype, not {', '.join(sorted(kinds))}")
        shape = np.broadcast_shapes(*(view.shape for view in given))
        made = dtype or given[-1].dtype
        if function.floats and made != "float32":
            raise ContractError(f"c computes {name} of float32 alone, and the graph has {made}")
        arrays = [view.values() for view in given]
        if all(array is not None for array in arrays) and name != "erf":
            with np.errstate(all="ignore"):
                return self.constant(np.asarray(function.folded(*arrays)).astype(made))
        expression = Apply(name, tuple(leaf(view.broadcast(shape)) for view in given), made)
        return self.computed(expression, shape)

    def computed(self, expression: Expression, shape: Sequence[int]) -> View:
        """Return the elements of an expression."""
        out = self.room(expression.dtype, shape)
        self.nodes.append(Pointwise(out, expression))
        return out


def leaf(view: View) -> Expression:
    """Return what reads ``view``: one number where it is constant and the same everywhere."""
    values = view.values()
    if values is not None and values.size:
        first = values.flat[0]
        if values.tobytes() == first.tobytes() * values.size:
            return Number(first.item(), view.dtype)
    return Load(view)


def known_dtype(dtype: str) -> str:
    """Return ``dtype``; raise ContractError where no file holds it."""
    if dtype not in DTYPES:
        raise ContractError(
            f"c holds {', '.join(DTYPES)}, and the graph has a value of {dtype}; leave c out"
        )
    return dtype


def _refuse_large(shape: Sequence[int]) -> None:
    if prod(shape) > _MOST_ELEMENTS:
        raise ContractError(
            f"the graph has a value of {list(shape)}, expected {_MOST_ELEMENTS} elements at most; "
            "leave c out"
        )
