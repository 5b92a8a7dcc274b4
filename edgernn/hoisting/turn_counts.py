"""A loop's variable in its turns: what hangs on it is computed for each row's own turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from edgernn.contract import BATCH, TIME
from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.counting import Walk, broadcasts, by_row, ends
from edgernn.hoisting.nodes import known, operands, operator_of
from edgernn.hoisting.places import line_of
from edgernn.hoisting.sizes import Length, sized

_aten = torch.ops.aten
_Run = Callable[..., Any]
Counts = Mapping[fx.Node, Mapping[int, tuple[Any, Any]]]  # see ``loops.Loop``


def tensor_form(target: Any, args: Sequence[Any], place: int) -> Any:
    """Return the form of an operator that takes a tensor as argument ``place``, where it took a
    number; None where there is none.
    """
    packet = target.overloadpacket
    for name in packet.overloads():
        form = getattr(packet, name)
        types = [str(a.type) for a in form._schema.arguments]
        if "out" in name or len(types) < len(args) or types[place] != "Tensor":
            continue
        if all((t == "Tensor") >= isinstance(a, (fx.Node, Tensor)) for t, a in zip(types, args)):  # noqa: B905
            return form
    return None


def hangs(node: fx.Node, counts: Counts) -> bool:
    """Whether a node outside of a loop's turns hangs on which turn it is."""
    return node in counts or any(hangs(operand, counts) for operand in node.all_input_nodes)


def in_rows(
    builder: Builder, node: fx.Node, args: list[Any], counts: Mapping[int, Any], turn: fx.Node
) -> Any:
    """Write an operator of a turn that takes the loop's variable beside rows."""
    rows, rank = builder.batch_axis(node), len(builder.sizes.shapes.get(node, ()))
    if rows is None or not broadcasts(operator_of(node)):
        raise ContractError(
            f"{line_of(node)} uses the loop's variable where there are no rows, and each row "
            "counts its own turns; count with a tensor that is carried along"
        )

    def run(target: Any, *given: Any, **kwargs: Any) -> Any:
        return builder.call(target, *builder.numbers_in(target, given), like=node, **kwargs)

    count = {
        place: run(_aten.view.default, _number(run, turn, *told), [-1] + [1] * (rank - 1 - rows))
        for place, told in counts.items()
    }
    return _with_count(run, node, args, count)


def lifted(
    builder: Builder, node: fx.Node, user: fx.Node, counts: Counts, turn: fx.Node
) -> fx.Node:
    """Write what a turn takes that hangs on its number alone, for each row's own number."""
    leaves = dict.fromkeys(_leaves(builder, node, counts))
    given = [_one_row(builder, leaf) for leaf in leaves]

    def compute(count: Tensor, *tensors: Tensor) -> Any:
        made: dict[fx.Node, Any] = dict(zip(leaves, tensors, strict=True))

        def of(one: fx.Node) -> Any:
            if one not in made:
                made[one] = _counted(builder, one, counts, count, of)
            return made[one]

        return of(node)

    written = for_each_row(builder, compute, given, turn)
    own = builder.batch_axis(node)
    shape = [1 if at == own else n for at, n in enumerate(builder.values[node].seen.shape)]
    return by_row(builder, written, shape, own, user)[0]


def _leaves(builder: Builder, node: fx.Node, counts: Counts) -> Iterator[fx.Node]:
    if not hangs(node, counts):
        yield node
    elif not (node in counts and _of_all_time(builder, node)):
        for operand in node.all_input_nodes:
            yield from _leaves(builder, operand, counts)


def _of_all_time(builder: Builder, node: fx.Node) -> bool:
    """Whether a node takes one element of a table that is as long as the sequence."""
    return bool(node.all_input_nodes) and (
        builder.sizes.axis_of(node.all_input_nodes[0], TIME) is not None
    )


def _one_row(builder: Builder, node: fx.Node) -> tuple[fx.Node, Tensor]:
    made, seen, own = builder.constant(node), builder.values[node].seen, builder.batch_axis(node)
    if own is None:
        return made, seen
    return builder.call(_aten.slice.Tensor, made, own, 0, 1), seen.narrow(own, 0, 1)


def _counted(
    builder: Builder, node: fx.Node, counts: Counts, count: Tensor, of: Callable[..., Any]
) -> Any:
    told = counts.get(node, {})
    if -1 in told:
        made = _number(_run, count, *told[-1])
        return made.reshape([1] * builder.values[node].seen.dim())
    numbers = {place: _number(_run, count, *one) for place, one in told.items()}
    if told and _of_all_time(builder, node):
        dim, index = operands(node)[1], numbers[2].reshape(1)
        walk = Walk(builder, _run, index, 1, Fraction(1), lambda n: builder.values[n].seen)
        taken = walk.of(operands(node)[0])
        return taken.squeeze(dim) if operator_of(node) is _aten.select.int else taken
    if operator_of(node) is _aten.lift_fresh_copy.default:
        return of(operands(node)[0])
    args = [_of_one_row(a) for a in fx.map_arg(builder.sizes.args[node], of)]
    if operator_of(node) is _aten.embedding.default and hangs(operands(node)[1], counts):
        ends(builder, args[0].shape[0])
        args[1] = args[1].clamp(0, args[0].shape[0] - 1)
    if not told:
        return operator_of(node)(*args, **node.kwargs)
    if operator_of(node) in (_aten.select.int, _aten.slice.Tensor):
        ends(builder, args[0].shape[args[1]] - int(counts[node][2][0]))
    return _with_count(_run, node, args, numbers)


def _run(target: Any, *args: Any, like: Any = None, **kwargs: Any) -> Any:
    return target(*args, **kwargs)


def _of_one_row(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_of_one_row(part) for part in value]
    return value.base + int(value.per) if isinstance(value, Length) else value


def _number(run: _Run, turn: Any, first: Any, per: Any) -> Any:
    """Return ``first + per · turn``."""
    if isinstance(first, float):
        turn = run(_aten.to.dtype, turn, torch.float32)
    return run(_aten.add.Tensor, run(_aten.mul.Tensor, turn, per), first)


def _with_count(run: _Run, node: fx.Node, args: list[Any], count: dict[int, Any]) -> Any:
    """Call what ``node`` calls, with tensors in ``count`` (place → tensor) where numbers were."""
    target, places = operator_of(node), sorted(count)
    if target in (_aten.select.int, _aten.slice.Tensor) and places[0] == 2:
        rows = count[2].clamp(0, args[0].shape[args[1]] - 1).reshape(1)
        made = args[0].index_select(args[1], rows)
        return made.squeeze(args[1]) if target is _aten.select.int else made
    if target is _aten.full.default and places == [1]:
        made = run(_aten.to.dtype, count[1], known(node).dtype)
        return run(_aten.expand.default, made, args[0])
    form = tensor_form(target, args, places[0]) if len(places) == 1 else None
    if form is None:
        raise ContractError(
            f"{line_of(node)} uses the loop's variable in a way that has no form with tensors; "
            "count with a tensor that is carried along"
        )
    args[places[0]] = count[places[0]]
    return run(form, *args, **node.kwargs)


def for_each_row(
    builder: Builder,
    compute: Callable[..., Any],
    given: Sequence[tuple[fx.Node, Tensor]],
    rows: fx.Node,
) -> Any:
    """Write what ``compute(count, *tensors)`` gives for each row's count: ``[B, ...]``."""
    tensors = [tensor for _, tensor in given]
    batched = torch.vmap(compute, in_dims=(0, *[None] * len(tensors)))
    few, more = (make_fx(batched)(torch.arange(n), *tensors).graph for n in (2, 3))
    numbers = sized(list(few.nodes), {BATCH: list(more.nodes)}, {BATCH: 2}, {BATCH: 3})
    assert numbers is not None
    placed = iter([rows, *(node for node, _ in given)])
    made: dict[fx.Node, Any] = {}
    for node in few.nodes:
        if node.op == "placeholder":
            made[node] = next(placed)
        elif node.op == "call_function":
            args = fx.map_arg(numbers.args[node], made.__getitem__)
            kwargs = fx.map_arg(numbers.kwargs[node], made.__getitem__)
            made[node] = builder.call(
                operator_of(node),
                *builder.numbers_in(operator_of(node), args),
                **{k: builder.numbers(operator_of(node), v) for k, v in kwargs.items()},
            )
    return made[operands(few.output_node())[0]]
