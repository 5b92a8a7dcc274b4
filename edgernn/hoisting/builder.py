"""A whole sequence's graph made into the graph of a step, operator by operator.

What does not mix frames is taken over as it is, and that it does not is seen by running it on a
part of what the whole sequence gave. What mixes frames in a known way, as a convolution or a
recurrent layer does, has a row in ``rules.RULES``: its past becomes state. Anything else is
refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.capture import Capture
from edgernn.hoisting.nodes import operands, operator_of, run
from edgernn.hoisting.places import line_of
from edgernn.hoisting.sizes import Length, Number, Sized
from edgernn.hoisting.stream import Constant, Moment, Stream, Value, close, part

_aten = torch.ops.aten
_SHAPED = {_aten.view.default, _aten.reshape.default}  # operators that take -1 for one size


@dataclass(eq=False)
class StateSlot:
    """A state that was found.

    Attributes:
        name: unique in the network, made of the module's own paths.
        where: what holds it, in words.
        node: its placeholder in the step graph.
        first: its first value with the rows of the capture.
        batch: the axis that holds rows, or None where it is one for all of them.
        next: what it becomes.
        encoded: the node of the capture that gives the first value, where encode makes it.
    """

    name: str
    where: str
    node: fx.Node
    first: Tensor
    batch: int | None
    next: fx.Node | None = None
    encoded: fx.Node | None = None


class Unrolled(Protocol):
    """What places the nodes of unrolled loops; see ``unrolled.py``."""

    def place(self, builder: Builder, node: fx.Node) -> Value | tuple[Value, ...] | None:
        """Return what a node becomes, or None where no loop has to do with it."""


class Builder:
    """Walks a capture and writes the step graph; ``states`` fills on the way."""

    def __init__(
        self,
        capture: Capture,
        sizes: Sized,
        measured: Mapping[str, int],
        *,
        frames: int | None,
        loops: Unrolled | None = None,
        counted: Callable[..., Stream] | None = None,
    ) -> None:
        """
        Args:
            capture: the whole sequence's graph.
            sizes: what its numbers hang on.
            measured: axis → its size in the capture.
            frames: frames of a call, or None where a call may hold any number of them.
            loops: what places the turns of loops, where the capture has unrolled ones.
            counted: what makes a stream of a table as long as the sequence; see ``counting.py``.
        """
        self.capture, self.sizes, self.measured = capture, sizes, dict(measured)
        self.frames, self.loops, self.counted = frames, loops, counted
        self.longest: int | None = None  # frames that tables of fixed length have
        self.graph = fx.Graph()
        self.values: dict[fx.Node, Value] = {}
        self.parts: dict[fx.Node, tuple[Value, ...]] = {}  # of nodes that give several tensors
        self.states: list[StateSlot] = []
        self.step_frames = 1
        self.encoded: set[fx.Node] = set()  # constants of the capture that encode makes
        self.contexts: dict[fx.Node, fx.Node] = {}  # of the capture → its placeholder
        self._borrowed: dict[fx.Node, Value] = {}  # constants that one operator has as streams
        self._last_input: fx.Node | None = None
        self._copied: dict[fx.Node, fx.Node] = {}
        self._counter: StateSlot | None = None
        self._lengths: dict[str, fx.Node] = {}
        self._inputs: list[tuple[fx.Node, str, int]] = []  # placeholder, axis, dimension

    # What goes in and out

    def placeholder(self, name: str) -> fx.Node:
        """Add an input; inputs come before everything else."""
        if self._last_input is None:
            self._last_input = self.graph.placeholder(name)
        else:
            with self.graph.inserting_after(self._last_input):
                self._last_input = self.graph.placeholder(name)
        return self._last_input

    def stream_input(self, name: str, seen: Tensor, dim: int, batch: int | None) -> Stream:
        """Add an input with a time axis."""
        node = self.placeholder(name)
        self._inputs += [(node, "time", dim)] + ([] if batch is None else [(node, "batch", batch)])
        return Stream(node, seen, dim)

    def moment_input(self, name: str, seen: Tensor, batch: int | None, *, held: bool) -> Moment:
        """Add an input without a time axis: state that the caller names, or one frame."""
        node = self.placeholder(name)
        self._inputs += [] if batch is None else [(node, "batch", batch)]
        return Moment(node, seen, held=held)

    def state(self, hint: str, where: str, first: Tensor, batch: int | None) -> StateSlot:
        """Add a state with its first value (with the capture's rows); what begins at infinity, as
        the largest so far does, begins at the largest number there is, which files can hold.
        """
        if first.is_floating_point():
            ends = torch.finfo(first.dtype)
            first = first.clamp(ends.min, ends.max)
        names = {slot.name for slot in self.states}
        name = next(n for n in _numbered(hint) if n not in names)
        node = self.placeholder(name)
        self._inputs += [] if batch is None else [(node, "batch", batch)]
        slot = StateSlot(name, where, node, first, batch)
        self.states.append(slot)
        return slot

    # Writing calls

    def call(self, target: Any, *args: Any, like: fx.Node | None = None, **kwargs: Any) -> fx.Node:
        """Add a call to the step graph."""
        node = self.graph.call_function(target, args, kwargs)
        if like is not None:
            node.meta = {"stack_trace": like.meta.get("stack_trace")}
        return node

    def size(self, axis: str) -> int | fx.Node:
        """Return the size of an axis in a call: a number, or a node that reads it from an input."""
        if axis == "time" and self.frames is not None:
            return self.frames
        if axis not in self._lengths:
            place = next(((n, d) for n, a, d in self._inputs if a == axis), None)
            if place is None:
                return self.measured[axis]
            node = self.graph.call_method("size", place)
            self._lengths[axis] = node
        return self._lengths[axis]

    def number(self, length: Number) -> int | fx.Node:
        """Return a number of the capture as it is in a call."""
        if not isinstance(length, Length):
            return length
        product: Any = length.per
        sizes = [self.size(axis) for axis in length.axes]
        for size in sorted(sizes, key=lambda size: isinstance(size, fx.Node)):  # numbers first
            if isinstance(size, int):
                product = product * size
            elif isinstance(product, fx.Node):
                product = self.call(operator.mul, product, size)
            else:
                product = self._scaled(size, product)
        if "time" in length.axes:  # a call brings elements; what stood before them is not counted
            return product if isinstance(product, fx.Node) else int(product)
        if isinstance(product, fx.Node):
            return self.call(operator.add, product, length.base) if length.base else product
        return int(product) + length.base

    def _scaled(self, size: fx.Node, per: Fraction) -> fx.Node:
        node = size if per.numerator == 1 else self.call(operator.mul, size, per.numerator)
        return node if per.denominator == 1 else self.call(operator.floordiv, node, per.denominator)

    def numbers(self, target: Any, value: Any) -> Any:
        """Return arguments with their numbers as they are in a call."""
        if isinstance(value, Length):
            return self.number(value)
        if isinstance(value, tuple):
            moving = [part for part in value if isinstance(part, Length)]
            if target in _SHAPED and len(moving) == 1 and -1 not in value:
                return [-1 if isinstance(part, Length) else part for part in value]
            return [self.numbers(target, part) for part in value]
        return value

    # Values

    def constant(self, node: fx.Node) -> fx.Node:
        """Copy a constant of the capture, and what it is made of, into the step graph."""
        if node not in self._copied:
            if node in self.encoded and self.sizes.axis_of(node, "time") is None:
                made = self.contexts[node] = self.placeholder(f"context_{len(self.contexts)}")
                self._inputs += [
                    (made, size.axes[0], place)
                    for place, size in enumerate(self.sizes.shapes.get(node, ()))
                    if isinstance(size, Length)
                    and (len(size.axes), size.base, size.per) == (1, 0, 1)
                ]
            elif node.op == "get_attr":
                made = self.graph.get_attr(str(operator_of(node)))
            else:
                args = fx.map_arg(self.sizes.args[node], self.constant)
                kwargs = fx.map_arg(self.sizes.kwargs[node], self.constant)
                made = self.call(
                    operator_of(node),
                    *self.numbers_in(operator_of(node), args),
                    like=node,
                    **{k: self.numbers(operator_of(node), v) for k, v in kwargs.items()},
                )
            self._copied[node] = made
        return self._copied[node]

    def numbers_in(self, target: Any, args: Sequence[Any]) -> list[Any]:
        """Return each of ``args`` with its numbers as they are in a call."""
        return [self.numbers(target, _tuples(argument)) for argument in args]

    def node_of(self, node: fx.Node) -> fx.Node:
        """Return the node of the step graph that stands for one of the capture."""
        value = self.values[node]
        if isinstance(value, Constant):
            return self.constant(value.node)
        assert isinstance(value, (Stream, Moment)), value
        return value.node

    def stream(self, node: fx.Node) -> Stream:
        """Return the stream that a node of the capture is."""
        value = self.values[node]
        assert isinstance(value, Stream), value
        return value

    def counter(self) -> fx.Node:
        """Return the state that counts the frames that came before this call: int64 ``[B]``."""
        if self._counter is None:
            rows = self.measured.get("batch", 1)
            slot = self.state(
                "frames_seen", "frames since the start", torch.zeros(rows, dtype=torch.int64), 0
            )
            slot.next = self.call(_aten.add.Tensor, slot.node, self.size("time"))
            self._counter = slot
        return self._counter.node

    def batch_axis(self, node: fx.Node) -> int | None:
        """Return the axis of a capture's tensor that holds rows, where it holds nothing else."""
        for place, size in enumerate(self.sizes.shapes.get(node, ())):
            if isinstance(size, Length) and size.axes == ("batch",) and size.base == 0:
                return place
        return None

    # The walk

    def run(self, rules: Mapping[Any, Callable[..., Value | tuple[Value, ...] | None]]) -> None:
        """Give every call of the capture its value."""
        for node in self.capture.nodes:
            if node.op == "get_attr":
                self.values[node] = Constant(
                    node, getattr(self.capture.graph_module, operator_of(node))
                )
            elif node.op == "call_function":
                self._place(node, rules)

    def _place(self, node: fx.Node, rules: Mapping[Any, Callable[..., Any]]) -> None:
        if operator_of(node) is operator.getitem and operands(node)[0] in self.parts:
            made = self.parts[operands(node)[0]][operands(node)[1]]
            if isinstance(made, Constant):
                made = replace(made, node=node)
                if self.encoded.intersection(node.all_input_nodes):
                    self.encoded.add(node)
            self.values[node] = made
            return
        taken = [self.values[n] for n in node.all_input_nodes if n in self.values]
        if all(isinstance(value, Constant) for value in taken):
            if self.encoded.intersection(node.all_input_nodes):
                self.encoded.add(node)
            self._constant(node, self.result(node))
            return
        made = self.loops.place(self, node) if self.loops is not None else None
        rule = rules.get(operator_of(node))
        if made is None and rule is not None:
            made = rule(self, node)
        if made is None:
            made = self.as_it_is(node)
        self.values |= self._borrowed
        self._borrowed = {}
        if isinstance(made, tuple):
            self.parts[node] = made
            self.values[node] = made[0]
        else:
            self.values[node] = made

    def _constant(self, node: fx.Node, result: Any) -> None:
        if isinstance(result, (tuple, list)):
            self.parts[node] = tuple(Constant(node, one) for one in result)
            self.values[node] = self.parts[node][0]
        else:
            self.values[node] = Constant(node, result)

    def result(self, node: fx.Node) -> Any:
        """Return what a call of the capture gave: a tensor, or several."""
        return run(node, lambda operand: self.values[operand].seen)

    def as_it_is(self, node: fx.Node) -> Value | tuple[Value, ...]:
        """Take an operator over unchanged, once it is seen that it does not mix frames.

        Raises:
            ContractError: it does.
        """
        self._constants_along_time(node)
        streams = self._together(node)
        result = self.result(node)
        if streams and any(isinstance(self.values[n], Moment) for n in node.all_input_nodes):
            raise ContractError(
                f"{line_of(node)} brings all frames together with what is known of one moment: at "
                "an earlier frame that lies in the future, or in a state as it was before the call"
            )
        if not streams:
            return self._moment(node, result)
        several = isinstance(result, (tuple, list))
        results = list(result) if several else [result]
        trial = self._on_a_part(node, streams)
        trials = list(trial) if several else [trial]
        places = [
            _placed(whole, piece, streams[0], self._trial(streams[0]))
            for whole, piece in zip(results, trials, strict=True)
        ]
        made = self._copy(node)
        values = []
        for index, (whole, place) in enumerate(zip(results, places, strict=True)):
            one = self.call(operator.getitem, made, index, like=node) if several else made
            if place is None:
                raise ContractError(self._refusal(node))
            dim, outer, inner = place
            values.append(
                replace(streams[0], node=one, seen=whole, dim=dim, outer=outer, inner=inner)
            )
        return tuple(values) if several else values[0]

    def _refusal(self, node: fx.Node) -> str:
        return (
            f"{line_of(node)} needs every frame of the sequence at once: a step has only its own "
            "and what came before, in a state of fixed size. Attention over all of the past, a "
            "softmax or a normalisation along time cannot be stepped"
        )

    def _copy(self, node: fx.Node) -> fx.Node:
        args = fx.map_arg(self.sizes.args[node], self.node_of)
        kwargs = fx.map_arg(self.sizes.kwargs[node], self.node_of)
        return self.call(
            operator_of(node),
            *self.numbers_in(operator_of(node), args),
            like=node,
            **{k: self.numbers(operator_of(node), v) for k, v in kwargs.items()},
        )

    def _moment(self, node: fx.Node, result: Any) -> Value | tuple[Value, ...]:
        moments = [v for n in node.all_input_nodes if isinstance(v := self.values[n], Moment)]
        delay, held = max(m.delay for m in moments), any(m.held for m in moments)
        made = self._copy(node)
        if isinstance(result, (tuple, list)):
            return tuple(
                Moment(self.call(operator.getitem, made, at, like=node), one, delay, held)
                for at, one in enumerate(result)
            )
        return Moment(made, result, delay, held)

    def _constants_along_time(self, node: fx.Node) -> None:
        """Let constants that are made as long as the sequence be streams of equal elements."""
        for operand in node.all_input_nodes:
            value = self.values.get(operand)
            dim = self.sizes.axis_of(operand, "time")
            if not isinstance(value, Constant) or dim is None:
                continue
            size = self.sizes.shapes[operand][dim]
            assert isinstance(size, Length)
            if not close(value.seen, value.seen.narrow(dim, 0, 1).expand_as(value.seen)):
                assert self.counted is not None
                self._borrowed[operand] = value
                self.values[operand] = self.counted(self, operand, value, dim, node)
                continue
            rows = 1
            for axis in set(size.axes) - {"time"}:
                rows *= self.measured[axis]
            self.values[operand] = Stream(
                self.constant(operand), value.seen, dim, size.per, lag=-(10**9), outer=rows
            )

    def _together(self, node: fx.Node) -> list[Stream]:
        """Delay the streams that an operator takes until they are late alike."""
        found = {n: v for n in node.all_input_nodes if isinstance(v := self.values.get(n), Stream)}
        real = [v for v in found.values() if v.lag > -(10**8)]
        if not real:
            return list(found.values())
        if len({(v.rate, v.inner) for v in real}) > 1:
            found = {n: v.apart() for n, v in found.items()}
            real = [v for v in found.values() if v.lag > -(10**8)]
            self.values |= found
        if any(v.repeats for v in real) and len({(v.repeats, v.lag) for v in real}) > 1:
            raise ContractError(
                f"{line_of(node)} brings frames in front of which the first one is repeated "
                "together with others; pad them alike, or with a constant"
            )
        latest = max(stream.lag for stream in real)
        for operand, stream in found.items():
            if stream.lag <= -(10**8):
                self.values[operand] = replace(stream, lag=latest)
            elif stream.lag < latest:
                self.values[operand] = self.delayed(stream, latest - stream.lag, operand)
        return [self.stream(operand) for operand in found]

    def delayed(self, stream: Stream, elements: int, source: fx.Node) -> Stream:
        """Return a stream that comes ``elements`` later; those on the way are state."""
        joined = self.with_past(stream, elements, source, "delay")
        node = self.call(_aten.slice.Tensor, joined, stream.dim, 0, -elements)
        return replace(stream, node=node, lag=stream.lag + elements)

    def with_past(self, stream: Stream, elements: int, source: fx.Node, what: str) -> fx.Node:
        """Return the last ``elements`` of a stream, which become state, and what a call brings."""
        if elements == 0:
            return stream.node
        stream = stream.apart()
        if (stream.outer, stream.inner) != (1, 1):
            raise ContractError(
                f"{line_of(source)} looks back over time, laid into one axis with the rows; keep "
                "time an axis of its own there"
            )
        first = self.past_before_start(stream, elements)
        first = torch.zeros_like(first) if stream.repeats else first
        name, where = self.named(source, what)
        slot = self.state(name, where, first, self.batch_axis(source))
        past = slot.node
        if stream.repeats:
            newest = self.call(_aten.slice.Tensor, stream.node, stream.dim, 0, 1)
            begun = self.call(_aten.gt.Scalar, self.counter(), 0)
            shape = [1] * stream.seen.dim()
            shape[slot.batch or 0] = -1
            begun = self.call(_aten.view.default, begun, shape)
            past = self.call(_aten.where.self, begun, slot.node, newest)
        joined = self.call(_aten.cat.default, [past, stream.node], stream.dim)
        slot.next = self.call(_aten.slice.Tensor, joined, stream.dim, -elements, 2**63 - 1)
        return joined

    def missing(self, stream: Stream) -> int:
        """Return by how many elements the whole sequence's stream is shorter than its frames, as a
        convolution without padding makes it: no later frame would bring those.
        """
        return int(self.measured["time"] * stream.rate) - stream.length

    def late(self, stream: Stream) -> Fraction:
        """Return by how many frames a stream waits for later ones."""
        return (stream.lag - self.missing(stream)) / stream.rate

    def past_before_start(self, stream: Stream, elements: int) -> Tensor:
        """Return what stands before the first element that comes: padding that was seen, else
        zeros, which no output that counts is made of.
        """
        begin = -stream.lag - elements  # the index of the oldest one
        known = [
            stream.part(i, 1) if i >= 0 else torch.zeros_like(stream.part(0, 1))
            for i in range(begin, -stream.lag)
        ]
        return torch.cat(known, stream.dim)

    def named(self, source: fx.Node, what: str) -> tuple[str, str]:
        """Return a name for a state at ``source``, made of the nearest weight's path."""
        path = nearest_weight(source, self.capture.weights)
        base = path.rsplit(".", 1)[0].replace(".", "_") if path else "input"
        base = base if base.isidentifier() else f"layer_{base}"
        return f"{base}_{what}", line_of(source)

    def valid(self, stream: Stream, source: fx.Node) -> fx.Node | None:
        """Return which elements of a call lie at or after index 0, bool, broadcast over the stream;
        None where all do.
        """
        stream = stream.apart()
        if stream.lag <= 0:
            return None
        if self.frames is None:
            raise ClosedTimeError
        batch, count = self.batch_axis(source), max(1, int(self.frames * stream.rate))
        if (stream.outer, stream.inner) != (1, 1):
            raise ContractError(
                f"{line_of(source)} comes late and lies in one axis with the rows; keep time an "
                "axis of its own there"
            )
        seen = self.call(_aten.mul.Tensor, self.counter(), stream.rate.numerator)
        if stream.rate.denominator > 1:
            seen = self.call(_aten.floor_divide.default, seen, stream.rate.denominator)
        place = self.call(_aten.unsqueeze.default, seen, 1)
        place = self.call(_aten.add.Tensor, place, self.call(_aten.arange.default, count))
        mask = self.call(_aten.ge.Scalar, place, stream.lag)  # [B, count]
        shape = [1] * stream.seen.dim()
        shape[stream.dim] = count
        if batch is not None:
            shape[batch] = -1
            if batch > stream.dim:
                mask = self.call(_aten.transpose.int, mask, 0, 1)
        return self.call(_aten.view.default, mask, shape)

    def _trial(self, stream: Stream) -> tuple[int, int]:
        """Return where a part for trying begins and how long it is, in elements."""
        unit = stream.rate.numerator
        whole = stream.length // unit
        fewest = max(1, whole // 3)
        start = max(0, min(fewest + 1, whole - fewest))  # not the middle: see what turns round
        return start * unit, fewest * unit

    def _on_a_part(self, node: fx.Node, streams: Sequence[Stream]) -> Any:
        start, count = self._trial(streams[0])
        frames = Fraction(count) / streams[0].rate
        sizes: dict[str, int | Fraction] = dict(self.measured)

        def given(operand: fx.Node) -> Tensor:
            value = self.values[operand]
            return value.part(start, count) if isinstance(value, Stream) else value.seen

        def number(value: Any) -> Any:
            if isinstance(value, Length):
                if "time" not in value.axes:
                    return value.at(self.measured)
                return int(value.product({**sizes, "time": frames}))
            return [number(v) for v in value] if isinstance(value, tuple) else value

        args = [number(a) for a in fx.map_arg(self.sizes.args[node], given)]
        kwargs = {k: number(v) for k, v in fx.map_arg(self.sizes.kwargs[node], given).items()}
        try:
            with torch.no_grad():
                return operator_of(node)(*args, **kwargs)
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            raise ContractError(self._refusal(node)) from error


class ClosedTimeError(Exception):
    """The step graph cannot take any number of frames in a call."""


def _placed(
    whole: Tensor, piece: Tensor, stream: Stream, trial: tuple[int, int]
) -> tuple[int, int, int] | None:
    """Find the axis of an operator's result that holds time: (dim, outer, inner)."""
    start, count = trial
    if whole.dim() != piece.dim():
        return None
    for dim, (size, small) in enumerate(zip(whole.shape, piece.shape, strict=True)):
        rows, rest = divmod(size, stream.length)
        if rest or small != rows * count:
            continue
        for outer in (d for d in range(1, rows + 1) if rows % d == 0):
            if close(piece, part(whole, dim, outer, rows // outer, start, count)):
                return dim, outer, rows // outer
    return None


def nearest_weight(node: fx.Node, weights: Mapping[str, str]) -> str | None:
    """Return the name of the weight that is nearest before a node, its own first."""
    seen, level = {node}, [node]
    while level:
        for one in level:
            if one.op == "get_attr" and not weights[str(operator_of(one))].startswith("constant."):
                return weights[str(operator_of(one))]
        level = [n for one in level for n in one.all_input_nodes if n not in seen]
        seen.update(level)
    return None


def _numbered(hint: str) -> Any:
    yield hint
    at = 2
    while True:
        yield f"{hint}_{at}"
        at += 1


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, (list, tuple)) else value
