"""The text of nodes that go over an axis or over windows."""

from __future__ import annotations

from math import prod

from edgernn.export.to_c import program as kinds
from edgernn.export.to_c.loops import Lines, Names, indented, loop, nest, number, row_of
from edgernn.export.to_c.views import View
from edgernn.export.to_c.windows import Convolve, Pool

_STEPS = {
    "sum": "found += {0};",
    "mean": "found += {0};",
    "max": "found = {0} > found || {0} != {0} ? {0} : found;",
    "min": "found = {0} < found || {0} != {0} ? {0} : found;",
}


def reduce(node: kinds.Reduce, names: Names) -> Lines:
    """Return the text of a sum, mean, largest or smallest."""
    source, kept = node.source, node.source.rank - node.axes
    outer, inner = source.shape[:kept], source.shape[kept:]
    count = prod(inner)
    summed = node.how in ("sum", "mean")
    by_rows = summed and source.cut_to(kept).contiguous

    def each(indices: list[str]) -> Lines:
        def step(more: list[str]) -> Lines:
            return [_STEPS[node.how].format(names.element(source, indices + more, source.strides))]

        zeros = ["0"] * node.axes
        first = "0.0f" if summed else names.element(source, indices + zeros, source.strides)
        lines = [f"float found = {first};", *nest(inner, step, first=kept)]
        if by_rows:
            lines = [f"const float found = net_sum({row_of(names, source, indices)}, {count});"]
        result = f"found / {number(float(count), 'float32')}" if node.how == "mean" else "found"
        target = names.element(node.out, indices, node.out.strides)
        return [*lines, f"{target} = {result};"]

    return _scoped(nest(outer, each), bool(outer))


def _scoped(lines: Lines, loops: bool) -> Lines:
    return lines if loops else ["{", *indented(lines), "}"]


def softmax(node: kinds.Softmax, names: Names) -> Lines:
    """Subtract the largest first, so that no power overflows."""
    source, out, count = node.source, node.out, node.source.shape[-1]
    outer = source.shape[:-1]

    def each(indices: list[str]) -> Lines:
        def of(view: View, last: str) -> str:
            return names.element(view, [*indices, last], view.strides)

        own, made = of(source, "j"), of(out, "j")
        lines = [
            f"float most = {of(source, '0')}, total = 0.0f;",
            *loop("j", count, [f"most = {own} > most ? {own} : most;"]),
        ]
        added = loop("j", count, [f"total += {made};"])
        if out.cut_to(out.rank - 1).contiguous:
            added = [f"total = net_sum({row_of(names, out, indices)}, {count});"]
        lines += [*loop("j", count, [f"{made} = net_exp({own} - most);"]), *added]
        if node.logarithm:
            lines += ["total = net_log(total);"]
            return [*lines, *loop("j", count, [f"{made} = {own} - most - total;"])]
        lines += ["total = 1.0f / total;"]
        return [*lines, *loop("j", count, [f"{made} = {made} * total;"])]

    return _scoped(nest(outer, each), bool(outer))


def normalise(node: kinds.Normalise, names: Names) -> Lines:
    """Return the text of a layer norm: the mean first, then the variance around it."""
    source, kept = node.source, node.source.rank - node.axes
    outer, inner = source.shape[:kept], source.shape[kept:]
    size = prod(inner)
    count = number(float(size), "float32")
    by_rows = source.cut_to(kept).contiguous and node.out.cut_to(kept).contiguous

    def each(indices: list[str]) -> Lines:
        def inside(text: str) -> Lines:
            return nest(
                inner,
                lambda more: [
                    text.format(
                        x=names.element(source, indices + more, source.strides),
                        y=names.element(node.out, indices + more, node.out.strides),
                    )
                ],
                first=kept,
            )

        added, squared = inside("mean += {x};"), inside("scale += {y} * {y};")
        if by_rows:
            added = [f"mean = net_sum({row_of(names, source, indices)}, {size});"]
            squared = [f"scale = net_squares({row_of(names, node.out, indices)}, {size});"]
        return [
            "float mean = 0.0f, scale = 0.0f;",
            *added,
            f"mean = mean / {count};",
            *inside("{y} = {x} - mean;"),
            *squared,
            f"scale = 1.0f / net_sqrt(scale / {count} + {number(node.epsilon, 'float32')});",
            *inside("{y} = {y} * scale;"),
        ]

    return _scoped(nest(outer, each), bool(outer))


def _windowed(node: Convolve | Pool, inside: Lines) -> Lines:
    """Return what is done for every element of the window at ``row, column``."""
    windows, (_, rows, columns) = node.windows, node.source.shape
    lines = []
    for at, (name, size) in enumerate((("y", rows), ("x", columns))):
        outer = ("row", "column")[at]
        step, before, apart = (
            own[at] for own in (windows.strides, windows.before, windows.dilations)
        )
        lines.append(
            (
                f"const int {name} = {outer} * {step} - {before} + k{name} * {apart};",
                f"if ({name} < 0 || {name} >= {size}) {{ continue; }}",
            )
        )
    (first, second), (high, wide) = lines, windows.kernel
    return loop("ky", high, [*first, *loop("kx", wide, [*second, *inside])])


def convolve(node: Convolve, names: Names) -> Lines:
    """Return the text of a convolution, place by place."""
    channels, rows, columns = node.out.shape
    own, each = node.kernels.shape[1], channels // node.groups

    def place_of(indices: list[str]) -> Lines:
        c, row, column = indices
        source = names.element(
            node.source, [f"({c} / {each} * {own} + n)", "y", "x"], node.source.strides
        )
        kernel = names.element(node.kernels, [c, "n", "ky", "kx"], node.kernels.strides)
        start = "0.0f" if node.bias is None else names.element(node.bias, [c], node.bias.strides)
        return [
            f"const int row = {row}, column = {column};",
            f"float found = {start};",
            *loop("n", own, _windowed(node, [f"found += {kernel} * {source};"])),
            f"{names.element(node.out, [c, row, column], node.out.strides)} = found;",
        ]

    return nest([channels, rows, columns], place_of)


def pool(node: Pool, names: Names) -> Lines:
    """Return the text of the mean or the largest of windows."""
    channels, rows, columns = node.out.shape
    mean = node.how == "mean"

    def place_of(indices: list[str]) -> Lines:
        c, row, column = indices
        source = names.element(node.source, [c, "y", "x"], node.source.strides)
        inside = (
            [f"found += {source};", "count += 1.0f;"]
            if mean
            else [f"found = {source} > found || {source} != {source} ? {source} : found;"]
        )
        whole = f"{node.windows.kernel[0] * node.windows.kernel[1]}.0f"
        result = f"found / {whole if node.padded else 'count'}" if mean else "found"
        return [
            f"const int row = {row}, column = {column};",
            "float found = 0.0f, count = 0.0f;" if mean else "float found = -1.0f / 0.0f;",
            *_windowed(node, inside),
            f"{names.element(node.out, [c, row, column], node.out.strides)} = {result};",
        ]

    return nest([channels, rows, columns], place_of)
