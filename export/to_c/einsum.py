"""Einsum of one or two values, as a product of matrices over axes put in order."""

from __future__ import annotations

from math import prod

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.normalising import summed
from edgernn.export.to_c.products import product
from edgernn.export.to_c.views import View


def einsum(call: Call) -> View:
    """Return the sum over the letters that the result has not of the product of all inputs."""
    given, wanted = _parsed(call)
    values = [view for view in call.given if view is not None]
    if len(values) != len(given) or not 1 <= len(values) <= _MOST:
        raise call.refusal(f"multiplies {len(values)} values, expected one or two")
    letters = [list(own) for own in given]
    for own, view in zip(letters, values, strict=True):
        if len(set(own)) != len(own) or len(own) != view.rank:
            raise call.refusal("takes a diagonal, or another number of axes than the value has")
    parts = []
    for own, view in zip(letters, values, strict=True):
        others = {letter for more in letters if more is not own for letter in more}
        alone = [at for at, letter in enumerate(own) if letter not in others | set(wanted)]
        kept = [letter for at, letter in enumerate(own) if at not in alone]
        parts.append((kept, summed(call, view, alone) if alone else view))
    if len(parts) == 1:
        ((kept, view),) = parts
        return view.transpose([kept.index(letter) for letter in wanted])
    return _product(call, *parts[0], *parts[1], wanted)


_MOST = 2


def _parsed(call: Call) -> tuple[list[str], str]:
    text = call.get("equation", "")
    text = text.decode() if isinstance(text, bytes) else str(text)
    left, arrow, right = text.replace(" ", "").partition("->")
    given = left.split(",")
    if "." in text:
        raise call.refusal("leaves axes open")
    if not arrow:
        every = "".join(given)
        right = "".join(sorted(letter for letter in set(every) if every.count(letter) == 1))
    return given, right


def _product(call: Call, left: list[str], a: View, right: list[str], b: View, wanted: str) -> View:
    """Return ``[both, rows, summed] [both, summed, columns]`` in the order that is wanted."""
    sizes = dict(zip(left, a.shape, strict=True)) | dict(zip(right, b.shape, strict=True))
    both = [letter for letter in left if letter in right and letter in wanted]
    over = [letter for letter in left if letter in right and letter not in wanted]
    rows = [letter for letter in left if letter not in right]
    columns = [letter for letter in right if letter not in left]

    def laid(view: View, own: list[str], *groups: list[str]) -> View:
        order = view.transpose([own.index(letter) for group in groups for letter in group])
        shape = [*(sizes[n] for n in both), *(prod(sizes[n] for n in g) for g in groups[1:])]
        return call.build.reshaped(order, shape)

    made = product(call, laid(a, left, both, rows, over), laid(b, right, both, over, columns))
    order = [*both, *rows, *columns]
    made = call.build.reshaped(made, [sizes[letter] for letter in order])
    return made.transpose([order.index(letter) for letter in wanted])
