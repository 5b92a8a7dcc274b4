"""Nodes that go along an axis and choose or add up, and their text."""

from __future__ import annotations

from dataclasses import dataclass

from edgernn.export.to_c.loops import Lines, Names, indented, loop, nest
from edgernn.export.to_c.program import Node
from edgernn.export.to_c.views import View


@dataclass(frozen=True, eq=False)
class Top(Node):
    """The ``K`` largest (or smallest) values along the last axis of ``source``, the first of equal
    ones, in order: ``out [..., K]``, and their places ``[..., K]`` int64. A number that is none
    comes first.
    """

    places: View
    source: View
    largest: bool
    last: bool = False  # of equal ones the last
    mixed = True

    def fits(self) -> bool:
        """See ``Node.fits``."""
        outer, count = self.source.shape[:-1], self.out.shape[-1]
        fit = self.out.shape == self.places.shape and self.out.shape[:-1] == outer
        kinds = self.out.dtype == self.source.dtype and self.places.dtype == "int64"
        return fit and kinds and 0 < count <= self.source.shape[-1]

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.source,)

    def writes(self) -> tuple[View, ...]:
        """See ``Node.writes``."""
        return self.out, self.places


@dataclass(frozen=True, eq=False)
class Cumulate(Node):
    """Sums along the last axis of ``source`` up to each place, or up to the one before it."""

    source: View
    exclusive: bool

    def fits(self) -> bool:
        """See ``Node.fits``."""
        return self.out.shape == self.source.shape and self.out.rank > 0

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.source,)


def top(node: Top, names: Names) -> Lines:
    """Return the text: for each place of the result the best of what was not taken before."""
    source, count = node.source, node.source.shape[-1]
    sign, same = ">" if node.largest else "<", "j < best" if not node.last else "j > best"

    def each(indices: list[str]) -> Lines:
        def of(view: View, last: str) -> str:
            return names.element(view, [*indices, last], view.strides)

        x, y = of(source, "j"), of(source, "best")
        better = f"{x} {sign} {y} || ({x} != {x} && {y} == {y}) || ({x} == {y} && {same})"
        taken = f"taken = taken || {of(node.places, 'm')} == j;"
        choose = [
            "int taken = 0;",
            f"for (int m = 0; m < k; ++m) {{ {taken} }}",
            f"if (!taken && (best < 0 || {better})) {{ best = j; }}",
        ]
        stores = [f"{of(node.places, 'k')} = best;", f"{of(node.out, 'k')} = {y};"]
        return loop("k", node.out.shape[-1], ["int best = -1;", *loop("j", count, choose), *stores])

    return nest(source.shape[:-1], each)


def cumulate(node: Cumulate, names: Names) -> Lines:
    """Return the text of sums, one after another."""
    zero = "0.0f" if node.out.dtype == "float32" else "0"
    kind = "float" if node.out.dtype == "float32" else "int64_t"

    def each(indices: list[str]) -> Lines:
        x = names.element(node.source, [*indices, "j"], node.source.strides)
        y = names.element(node.out, [*indices, "j"], node.out.strides)
        lines = [f"{y} = found;", f"found += {x};"] if node.exclusive else [
            f"found += {x};", f"{y} = found;"]  # fmt: skip
        return [f"{kind} found = {zero};", *loop("j", node.source.shape[-1], lines)]

    outer = node.source.shape[:-1]
    lines = nest(outer, each)
    return lines if outer else ["{", *indented(lines), "}"]
