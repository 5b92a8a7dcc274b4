"""The text of loops behind panels: over so many units at a time, which a macro chooses and the text
calls ``many``: all of them, or 16 where memory is short.
"""

from __future__ import annotations

from edgernn.export.to_c.integer_nodes import Gated, IntegerProduct
from edgernn.export.to_c.integer_text import panels_name
from edgernn.export.to_c.loop_text import computed
from edgernn.export.to_c.loops import Lines, Names, indented, loop, nest, row_of
from edgernn.export.to_c.matrices import PANEL
from edgernn.export.to_c.views import View

UNITS = """
/* How many of so many units of a recurrent layer are gone over at once: all, or 16 where memory is
   short, with NET_SMALL. */
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && !defined(NET_SMALL)
#define NET_SMALL
#endif
#ifdef NET_SMALL
#define NET_UNITS(all) 16
#else
#define NET_UNITS(all) (all)
#endif
"""


def gated(node: Gated, names: Names) -> Lines:
    """Return a loop over so many units at a time: the panels of their gates, and the loop over
    them.
    """
    lines = [f"enum {{ many = NET_UNITS({names.many(node.out.storage)}) }};"]
    panels: Lines = []
    for at, own in enumerate(node.products):
        lines.append(f"const unsigned char *w{at} = {names.bytes(id(own))};")
        panels += [f"float sums{at}[{_count(node, own)} * many];", *_panels(node, own, at, names)]
    step = f"for (int p = 0; p < {node.units}; p += many) {{"
    inner = [*panels, *_behind(node, names)]
    return ["{", *indented([*lines, step, *indented(inner), "}"]), "}"]


def _count(node: Gated, own: IntegerProduct) -> int:
    """Return the rows and gates of a product."""
    return own.out.size // node.units


def _panels(node: Gated, own: IntegerProduct, at: int, names: Names) -> Lines:
    """Return the calls for the panels of all gates of 16 units after 16, and row by row over the
    same weights.
    """
    rows, gates = own.out.shape[0], own.out.shape[1] // node.units
    size = f"{own.matrix.depth}, {min(own.matrix.block, own.matrix.depth)}"

    def call(row: list[str]) -> Lines:
        unit = names.element(own.unit, row or ["0"], own.unit.strides)
        quantised = row_of(names, own.quantised, row)
        out = f"sums{at} + {gates} * many * i0 + j" if row else f"sums{at} + j"
        before = "" if row else f"w{at} = "
        return [
            f"{before}{panels_name(own)}({out}, many, w{at}, {quantised}, {unit}, {size}, {gates});"
        ]

    inner = nest([rows], call) if rows > 1 else call([])
    if rows > 1:
        inner.append(f"w{at} += {gates * own.matrix.panel_bytes(sums=own.with_sums)};")
    return [f"for (int j = 0; j < many; j += {PANEL}) {{", *indented(inner), "}"]


def _behind(node: Gated, names: Names) -> Lines:
    """Return the loops over the units: one that writes over the sums it has read, and one that
    stores. So compilers see that nothing stored is weights that are read, and make vectors.
    """
    arrays = {own.out.storage: (f"sums{at}", own) for at, own in enumerate(node.products)}
    first = node.products[0]
    rows = first.out.shape[0]

    def sums(array: str, own: IntegerProduct, gate: int) -> str:
        gates = own.out.shape[1] // node.units
        number = f"(i0 * {gates} + {gate})" if rows > 1 else gate
        return f"{array}[{number} * many + i]" if number else f"{array}[i]"

    def element(view: View, indices: list[str], strides: tuple[int, ...]) -> str:
        if view.storage in arrays:
            array, own = arrays[view.storage]
            return sums(array, own, view.offset // node.units)
        behind = "p" if strides[-1] == 1 else ""
        return names.element(view, [*indices[:-1], "(p + i)"], strides, aligned=behind)

    lines, stores = computed(node.loop, ["i0", "i"] if rows > 1 else ["i"], element)
    floats = all(part.out.dtype == "float32" for part in node.loop.stored)
    held = [sums("sums0", first, gate) for gate in range(first.out.shape[1] // node.units)]
    if len(stores) > len(held) or not floats:
        loops = _over([*lines, *(f"{target} = {made};" for target, made in stores)])
    else:
        lines += [f"{own} = {made};" for own, (_, made) in zip(held, stores, strict=False)]
        copies = [f"{target} = {own};" for own, (target, _) in zip(held, stores, strict=False)]
        loops = [*_over(lines), *_over(copies)]
    return loop("i0", rows, loops) if rows > 1 else loops


def _over(lines: Lines) -> Lines:
    return ["for (int i = 0; i < many; ++i) {", *indented(lines), "}"]
