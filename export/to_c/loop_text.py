"""The text of elementwise loops: one by itself, and several in one."""

from __future__ import annotations

from collections.abc import Callable

from edgernn.export.to_c import program as kinds
from edgernn.export.to_c.loops import Lines, Names, indented, nest, over, text_of
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
    """Return one loop; all is stored last, for it may go to where an earlier state is read."""
    found = walk(node.parts)
    assert found is not None

    def body(indices: list[str]) -> Lines:
        lines, stores = computed(node, indices, names.element)
        return [*lines, *(f"{target} = {made};" for target, made in stores)]

    lines = nest(found.shape, body)
    return lines if found.shape else ["{", *indented(lines), "}"]


def computed(
    node: kinds.Joined, indices: list[str], element: Element
) -> tuple[Lines, list[tuple[str, str]]]:
    """Return what is computed for one element, and what is stored of it: where, and which
    variable. What a part makes and a later one reads stays in a variable.
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
            stores.append((element(part.out, indices, own[id(part.out)]), made))
        local[part.out.storage] = made
    return lines, stores
