"""A network of which a call is a step already, once its state goes in and out as arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgernn.contract import BATCH, TIME
from edgernn.errors import ContractError
from edgernn.hoisting.capture import Capture
from edgernn.hoisting.encoding import write_encode
from edgernn.hoisting.finish import finish
from edgernn.hoisting.network import ROWS, Network, named_axes, open_axes
from edgernn.hoisting.nodes import known
from edgernn.hoisting.places import USERS_ERRORS
from edgernn.hoisting.plain import PlainBuilder
from edgernn.hoisting.result import Made, State, Step
from edgernn.hoisting.starting import Starting
from edgernn.hoisting.stream import close
from edgernn.hoisting.writer import ClosedTimeError

_SEEDS = (1, 2, 3)  # the largest value of all may chance to be in the last call
_CUTS = ((0, 1), (1, 2), (3, 3))  # of six frames into calls: (start, count)
_FRAMES, _MORE = 24, 8


def steps_already(network: Network) -> bool:
    """Whether one long call gives what several short ones give."""
    return all(_alike_in_parts(network, seed) for seed in _SEEDS)


def _alike_in_parts(network: Network, seed: int) -> bool:
    sizes = network.inputs.measured(batch=ROWS, time=sum(count for _, count in _CUTS))
    inputs = network.inputs.draw(sizes, seed=seed)
    axes = [spec.axis(TIME) for spec in network.inputs.specs]
    try:
        whole, after = network.run(inputs, network.first(ROWS))
        state, calls = network.first(ROWS), []
        for start, count in _CUTS:
            part = [
                given if axis is None else given.narrow(axis, start, count)
                for given, axis in zip(inputs, axes, strict=True)
            ]
            outputs, state = network.run(part, state)
            calls.append(outputs)
    except (*USERS_ERRORS, ContractError):
        return False
    joined = [_joined([made[at] for made in calls], one) for at, one in enumerate(whole)]
    pairs = zip((*joined, *state), (*whole, *after), strict=True)
    return all(one is not None and close(one, other) for one, other in pairs)


def _joined(parts: Sequence[Tensor], whole: Tensor) -> Tensor | None:
    """Return parts side by side along the axis that makes them as long as ``whole``; of what has
    no time axis, the newest.
    """
    for dim in range(whole.dim()):
        if all(part.dim() == whole.dim() for part in parts):
            counts = [part.shape[dim] for part in parts]
            if counts == [count for _, count in _CUTS] and sum(counts) == whole.shape[dim]:
                return torch.cat(list(parts), dim)
    return parts[-1] if parts[-1].shape == whole.shape else None


def stepping(network: Network) -> Step:
    """Take the call over as the step: of any number of frames, or of one where that is another
    graph.

    Raises:
        ContractError: the network does something else for another number of rows.
    """
    if not network.inputs.has_time:
        return _taken_over(network, None)
    try:
        return _taken_over(network, _FRAMES)
    except ClosedTimeError:
        return _taken_over(network, 1)


def _taken_over(network: Network, time: int | None) -> Step:
    many = time not in (None, 1)
    sizes = network.inputs.measured(**{BATCH: ROWS} | ({} if time is None else {TIME: time}))
    captured = network.captured(sizes)
    numbers = network.compared(captured, sizes, sizes[TIME] + _MORE if many else None)
    if numbers is None:
        if many:
            raise ClosedTimeError
        raise ContractError(
            "the network does something else for another number of rows: it loops over them, or "
            "was made for one number of them; write it for any number of rows"
        )
    builder = PlainBuilder(captured, numbers, sizes, frames=None if many or time is None else 1)
    states, results = network.states(captured, numbers), captured.results
    start = Starting(network) if network.inputs.start else None
    parts = _parted(captured, states, start)
    names = [spec.name for spec in network.inputs.specs]
    placed = dict(zip(names, captured.placeholders, strict=False))
    builder.encode(placed[name] for name in network.contexts)
    fresh = [name for name in names if name not in network.contexts]
    inputs = [builder.input(placed[n], n, open_axes(numbers, placed[n])) for n in fresh]
    for at in (*parts.contexts, *parts.states):
        node = captured.placeholders[len(names) + at]
        inputs.append(builder.input(node, states[at].name, open_axes(numbers, node)))
    count = len(results) - len(states)
    nexts = [results[count + at] for at in parts.states]
    nodes = builder.write([*results[:count], *nexts])
    for place, result in enumerate(nexts, count):
        if not known(result).shape:
            nodes[place] = builder.call(torch.ops.aten.view.default, nodes[place], [1])
    outputs = [
        Made(name, known(node), named_axes(numbers, node))
        for name, node in zip(network.call.output_names, results, strict=False)
    ]
    if time == 1:
        _name_time(network, outputs)
    if many and any(TIME not in made.axes for made in outputs):
        raise ClosedTimeError  # of several frames in a call, it would be the newest one's alone
    inputs[len(fresh) : len(fresh)] = builder.contexts.values()
    module = finish(captured.graph_module, builder.graph, inputs, nodes)
    how = "each call is a step; its state is given and returned"
    kept = [states[at] for at in parts.states]
    step = Step(module, tuple(fresh), outputs, kept, how, many or time is None)
    if network.contexts:
        write_encode(step, network, captured, numbers, sizes, network.contexts, builder.contexts)
    if start is not None:
        start.give(step, states, parts.contexts, parts.states)
    return step


def _name_time(network: Network, outputs: Sequence[Made]) -> None:
    """Name the axis of each output that is as long as the call; one frame shows none."""
    one, two = (
        network.run(network.inputs.draw(sizes), network.first(ROWS))[0]
        for sizes in (network.inputs.measured(batch=ROWS, time=frames) for frames in (1, 2))
    )
    for made, short, longer in zip(outputs, one, two, strict=True):
        for dim, (size, other) in enumerate(zip(short.shape, longer.shape, strict=False)):
            if (size, other) == (1, 2) and made.axes[dim] is None:
                made.axes[dim] = TIME


@dataclass(frozen=True)
class _Parted:
    """Which of the states are state, and which are contexts: given by encode, and never changed."""

    states: list[int]
    contexts: list[int]


def _parted(captured: Capture, states: Sequence[State], start: Starting | None) -> _Parted:
    nexts = captured.results[len(captured.results) - len(states) :]
    given = captured.placeholders[len(captured.placeholders) - len(states) :]
    contexts = [
        at
        for at in range(len(states))
        if start is not None and start.makes(at) and nexts[at] is given[at]
    ]
    return _Parted([at for at in range(len(states)) if at not in contexts], contexts)
