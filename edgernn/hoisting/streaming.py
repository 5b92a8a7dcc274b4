"""A network over a whole sequence taken apart along time, until a step is left."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, fx, nn

from edgernn.contract import BATCH, TIME
from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.capture import Capture
from edgernn.hoisting.counting import counted
from edgernn.hoisting.encoding import write_encode
from edgernn.hoisting.finish import finish
from edgernn.hoisting.network import ROWS, Network, named_axes
from edgernn.hoisting.nodes import operator_of
from edgernn.hoisting.past import delayed, late, missing, unlike
from edgernn.hoisting.placing import place_all
from edgernn.hoisting.result import Made, State, Step
from edgernn.hoisting.rules import RULES
from edgernn.hoisting.sizes import Sized, with_time
from edgernn.hoisting.stream import Constant, Moment, Stream, Turn
from edgernn.hoisting.unrolled import Unroller
from edgernn.hoisting.writer import ClosedTimeError

_FRAMES = (24, 96, 384, 1536, 12)  # tried in turn until the network takes them
_UNROLLED = (11, 13, 17, 19, 23)  # frames of a loop: one that is no other number of the network


def streaming(network: Network) -> Step:
    """Take a whole sequence apart.

    Raises:
        ContractError: it cannot be stepped; says what and where.
    """
    if network.inputs.start:
        raise ContractError(
            f"{network.begin.method} makes the first state of {network.inputs.start[0].name} for a "
            "method that runs over the whole sequence; name the method that is one step (--method)"
        )
    sizes, captured = _long_enough(network, 1)
    numbers = _compared(network, captured, sizes)
    if numbers is not None:
        walk = _Walk(network, captured, numbers, sizes)
        try:
            step = _walked(walk)
        except ContractError:
            if sizes[TIME] % walk.step_frames == 0:
                raise
        else:
            if sizes[TIME] % step.frames == 0:
                return step
        # only whole steps say what the numbers of strides hang on
        sizes, captured = _long_enough(network, walk.step_frames)
        numbers = _compared(network, captured, sizes)
        assert numbers is not None
        return _walked(_Walk(network, captured, numbers, sizes))
    sizes = network.inputs.measured(batch=ROWS, time=_own_number(network.call.net))
    captured = network.captured(sizes)
    numbers = network.compared(captured, sizes, None)
    if numbers is None:
        raise ContractError(
            "the network does something else for another number of rows: it loops over them; "
            "write it for any number of rows"
        )
    timed = with_time(numbers, captured.nodes, sizes[TIME])
    return _unrolled(_Walk(network, captured, timed, sizes, Unroller()))


def _compared(network: Network, captured: Capture, sizes: dict[str, int]) -> Sized | None:
    """Compare with a sequence twice as long, or, where a table ends before, a little longer."""
    try:
        return network.compared(captured, sizes, 2 * sizes[TIME])
    except (RuntimeError, IndexError, ValueError):
        return network.compared(captured, sizes, sizes[TIME] + sizes[TIME] // 3)


def _long_enough(network: Network, multiple: int) -> tuple[dict[str, int], Capture]:
    errors = []
    for least in _FRAMES:
        frames = -(-least // multiple) * multiple
        sizes = network.inputs.measured(batch=ROWS, time=frames)
        try:
            return sizes, network.captured(sizes)
        except (RuntimeError, IndexError, ValueError) as error:
            errors.append(error)
    raise ContractError(
        f"the network runs on no sequence of {min(_FRAMES)} to {max(_FRAMES)} frames: {errors[-1]}"
    ) from errors[-1]


def _own_number(net: nn.Module) -> int:
    """Return a number of frames that is no size of a weight."""
    taken = {size for tensor in net.state_dict().values() for size in tensor.shape}
    own = (n for n in _UNROLLED if n not in taken and ROWS * n not in taken)
    return next(own, _UNROLLED[-1])


def _walked(walk: _Walk) -> Step:
    """Walk with any number of frames a call, or with one step where that cannot be."""
    try:
        return walk.step(walk.builder(None))
    except ClosedTimeError:
        frames = 1
        while (builder := walk.builder(frames)).step_frames != frames:
            frames = builder.step_frames
        return walk.step(builder)


def _unrolled(walk: _Walk) -> Step:
    """Walk twice: to see the turns of the loops, and to write one of each."""
    assert walk.loops is not None
    first = walk.builder(1)
    walk.outputs(first)

    def constant(node: fx.Node) -> Tensor | None:
        own = walk.captured.weights[str(operator_of(node))].startswith("constant.")
        return first.values[node].seen if own else None

    nodes = walk.captured.nodes
    numel = {n: v.numel() for n in nodes if isinstance(v := n.meta.get("val"), Tensor)}
    walk.loops.make_plan(nodes, numel, constant)
    frames = 1
    while (builder := walk.builder(frames)).step_frames != frames:
        frames = builder.step_frames
    return walk.step(builder)


def _told(longest: int | None) -> str:
    how = "the whole sequence is taken apart along time"
    if longest is None:
        return how
    return f"{how}; its table of positions has {longest} rows, and the last stands for later frames"


@dataclass
class _Walk:
    network: Network
    captured: Capture
    numbers: Sized
    sizes: dict[str, int]
    loops: Unroller | None = None
    step_frames: int = 1

    def builder(self, frames: int | None) -> Builder:
        """Walk the capture once."""
        builder = Builder(
            self.captured,
            self.numbers,
            self.sizes,
            frames=frames,
            loops=self.loops,
            counted=counted,
        )
        given, placeholders = self.network.inputs.draw(self.sizes), self.captured.placeholders
        for spec, node, seen in zip(self.network.inputs.specs, placeholders, given, strict=False):
            place, rows = spec.axis(TIME), spec.axis(BATCH)
            if place is None:
                builder.values[node] = Constant(node, seen)
                builder.encoded.add(node)
            else:
                builder.values[node] = builder.stream_input(spec.name, seen, place, rows)
        first, names = self.network.first(self.sizes[BATCH]), self.network.call.state_names
        for name, node, seen in zip(names, placeholders[len(given) :], first, strict=True):
            batch = self.numbers.axis_of(node, BATCH)
            builder.values[node] = builder.moment_input(name, seen, batch, held=True)
        try:
            place_all(builder, RULES)
        finally:
            self.step_frames = max(self.step_frames, builder.step_frames)
        return builder

    @property
    def results(self) -> list[fx.Node]:
        """The outputs of the capture, without states."""
        results = self.captured.results
        return results[: len(results) - len(self.network.call.state_names)]

    def outputs(self, builder: Builder) -> list[Stream | Moment]:
        """Return what comes out, streams delayed until all are late alike."""
        made: list[Stream | Moment] = []
        for name, node in zip(self.network.call.output_names, self.results, strict=True):
            value = builder.values[node]
            if isinstance(value, Turn) and self.loops is not None:
                value = self.loops.moment(builder, node)
            if not isinstance(value, (Stream, Moment)):
                raise ContractError(
                    f"{name} hangs on none of the frames, or only some of them; leave it out of "
                    "what the method returns"
                )
            made.append(value)
        latest = max((late(builder, v) for v in made if isinstance(v, Stream)), default=Fraction(0))
        for place, value in enumerate(made):
            if isinstance(value, Stream) and late(builder, value) < latest:
                more = int((latest - late(builder, value)) * value.rate)
                made[place] = delayed(builder, value, more, self.results[place])
        return made

    def step(self, builder: Builder) -> Step:
        """Close the step graph, and the encode graph where there is one."""
        values = self.outputs(builder)
        named = zip(self.network.call.output_names, self.results, values, strict=True)
        outputs = [self._output(builder, name, node, value) for name, node, value in named]
        states, afters = self._states(builder)
        specs = self.network.inputs.specs
        streams = [spec.name for spec in specs if spec.axis(TIME) is not None]
        placed = {str(n.target): n for n in builder.graph.nodes if n.op == "placeholder"}
        module = finish(
            self.captured.graph_module,
            builder.graph,
            [
                *(placed[name] for name in streams),
                *builder.contexts.values(),
                *(placed[state.name] for state in states),
            ],
            [*(node for node, _ in outputs), *afters],
        )
        step = Step(
            module,
            tuple(streams),
            [made for _, made in outputs],
            states,
            _told(builder.longest),
            builder.frames is None,
            builder.step_frames,
            int(max((late(builder, value) for value in values), default=Fraction(0))),
            longest=builder.longest,
        )
        if len(streams) < len(specs):
            self._encode(builder, step)
        return step

    def _output(
        self, builder: Builder, name: str, result: fx.Node, value: Stream | Moment
    ) -> tuple[fx.Node, Made]:
        node, seen = value.node, value.seen
        axes = [axis if axis != TIME else None for axis in named_axes(self.numbers, result)]
        if isinstance(value, Stream):
            value = value.apart()
            if (value.outer, value.inner) != (1, 1):
                raise ContractError(
                    f"{name} has time in one axis with something else; give it an axis of its own"
                )
            axes[value.dim] = TIME
            if value.rate != 1:
                if builder.frames is None or (builder.frames * value.rate).denominator != 1:
                    raise ClosedTimeError
                axes[value.dim] = None
                seen = value.part(0, int(builder.frames * value.rate))
            if value.rate != 1 and seen.shape[value.dim] == 1:  # one a step: no time axis
                node = builder.call(torch.ops.aten.select.int, node, value.dim, -1)
                seen = seen.select(value.dim, -1)
                del axes[value.dim]
        warmup = missing(builder, value) if isinstance(value, Stream) else 0
        return node, Made(name, seen, axes, warmup, unlike(value))

    def _states(self, builder: Builder) -> tuple[list[State], list[fx.Node]]:
        states = self.network.states(self.captured, self.numbers)
        after = self.captured.results[len(self.captured.results) - len(states) :]
        afters = [builder.node_of(node) for node in after]
        for slot in builder.states:
            assert slot.next is not None
            shape, first = tuple(slot.first.shape), slot.first
            known_first = None if slot.encoded is not None else first
            states.append(State(slot.name, slot.where, shape, first.dtype, slot.batch, known_first))
            afters.append(slot.next)
        return states, afters

    def _encode(self, builder: Builder, step: Step) -> None:
        """Write what hangs on no frame: contexts, and first states."""
        names = [spec.name for spec in self.network.inputs.specs if spec.axis(TIME) is None]
        firsts = [slot.encoded for slot in builder.states if slot.encoded is not None]
        write_encode(
            step, self.network, self.captured, self.numbers, self.sizes,
            names, builder.contexts, firsts,
        )  # fmt: skip
