"""The text of elementwise loops: one by itself, several in one, and those behind panels."""

from __future__ import annotations

from collections.abc import Callable

from edgernn.export.to_c import program as kinds
from edgernn.export.to_c.integer_nodes import Gated, IntegerProduct
from edgernn.export.to_c.integer_text import panel_name
from edgernn.export.to_c.loops import Lines, Names, indented, loop, nest, over, row_of, text_of
from edgernn.export.to_c.matrices import PANEL
from edgernn.export.to_c.plan import C_TYPES
from edgernn.export.to_c.views import Storage, View
from edgernn.export.to_c.walking import walk

Element = Callable[[View, list[str], tuple[int, ...]], str]


def pointwise(node: kinds.Pointwise, names: Names) -> Lines:
    """Return loops over as few axes as its views allow."""
    views = [node.out, *node.reads()]

    def body(indices: list[str], strides: list[tuple[int, ...]]) -> Lines:
        elements = iter(
            names.element(view, indices, own)
            for view, own in zip(views[1:], strides[1:], strict=True)
        )
        text = text_of(node.expression, lambda view: next(elements))
        return [f"{names.element(node.out, indices, strides[0])} = {text};"]

    return over(views, body)


def joined(node: kinds.Joined, names: Names) -> Lines:
    """Return one loop; see ``_body``."""
    found = walk(node.parts)
    assert found is not None
    lines = nest(found.shape, lambda indices: _body(node, indices, names.element))
    return lines if found.shape else ["{", *indented(lines), "}"]


def _body(node: kinds.Joined, indices: list[str], element: Element) -> Lines:
    """Return what is done for one element: what a part makes and a later one reads stays in a
    variable. All is stored last, for it may go to where an earlier state is read.
    """
    found = walk(node.parts)
    assert found is not None
    lines, stores = [], []
    local: dict[Storage, str] = {}
    for at, (part, steps) in enumerate(zip(node.parts, found.strides, strict=True)):
        own = dict(zip(map(id, (part.out, *part.reads())), steps, strict=True))

        def read(view: View, own: dict[int, tuple[int, ...]] = own) -> str:
            return local.get(view.storage) or element(view, indices, own[id(view)])

        made = f"t{at}"
        text = text_of(part.expression, read)
        lines.append(f"const {C_TYPES[part.out.dtype]} {made} = {text};")
        if node.stores(part):
            stores.append(f"{element(part.out, indices, own[id(part.out)])} = {made};")
        local[part.out.storage] = made
    return [*lines, *stores]


def gated(node: Gated, names: Names) -> Lines:
    """Return a loop over 16 units at a time: the panels of their gates, and the loop over them."""
    rows = node.products[0].out.shape[0]
    arrays = {own.out.storage: f"sums{at}" for at, own in enumerate(node.products)}
    counts = {own.out.storage: own.out.shape[1] // node.units for own in node.products}
    panels: Lines = []
    for at, own in enumerate(node.products):
        size = rows * counts[own.out.storage] * PANEL
        panels += [f"float sums{at}[{size}];", *_panels(node, own, at, names)]

    def element(view: View, indices: list[str], strides: tuple[int, ...]) -> str:
        *row, _ = indices
        array = arrays.get(view.storage)
        if array is None:
            behind = "p" if strides[-1] == 1 else ""
            return names.element(view, [*row, "(p + i)"], strides, aligned=behind)
        gates = counts[view.storage]
        gate = view.offset // node.units % gates
        place = f"i0 * {gates * PANEL} + {gate * PANEL} + i" if row else f"{gate * PANEL} + i"
        return f"{array}[{place}]"

    body = loop("i", PANEL, _body(node.loop, ["i0", "i"] if rows > 1 else ["i"], element))
    body = loop("i0", rows, body) if rows > 1 else body
    starts = [
        f"const unsigned char *w{at} = {names.bytes(id(own))};"
        for at, own in enumerate(node.products)
    ]
    step = f"for (int p = 0; p < {node.units}; p += {PANEL}) {{"
    return ["{", *indented([*starts, step, *indented([*panels, *body]), "}"]), "}"]


def _panels(node: Gated, own: IntegerProduct, at: int, names: Names) -> Lines:
    """Return the calls for the panels of 16 units: gate by gate, and row by row over the same
    weights.
    """
    rows, gates = own.out.shape[0], own.out.shape[1] // node.units
    depth = own.matrix.depth

    def call(indices: list[str]) -> Lines:
        unit = names.element(own.unit, indices or ["0"], own.unit.strides)
        out = (
            f"sums{at} + i0 * {gates * PANEL} + g * {PANEL}"
            if indices
            else f"sums{at} + g * {PANEL}"
        )
        given = f"{row_of(names, own.quantised, indices)}, {unit}"
        size = f"{depth}, {min(own.matrix.block, depth)}"
        behind = "" if indices else f"w{at} = "
        return [f"{behind}{panel_name(own)}({out}, w{at}, {given}, {size});"]

    if rows == 1:
        return loop("g", gates, call([]))
    return loop(
        "g", gates, [*nest([rows], call), f"w{at} += {own.matrix.panel_bytes(own.with_sums)};"]
    )
