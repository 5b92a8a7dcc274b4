"""Branches on values that make no difference: shortcuts, as where no row is to be reset, and checks
that only raise an error. Every other branch on a value is refused.

Each way is followed and written down as a graph of its own. One that gives what the network gives
on every example, on both sides of each question, is the network's graph; a side that raises needs
none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, _tensor_str, fx, nn
from torch.overrides import TorchFunctionMode

from edgernn.errors import ContractError
from edgernn.hoisting.nodes import operands
from edgernn.hoisting.places import USERS_ERRORS
from edgernn.hoisting.stream import close

VALUE_READ = "get value out of a tracing tensor"  # torch's words where Python asks for a number
_MOST_WAYS = 64
_Taken = tuple[bool, ...]
_taken: WeakKeyDictionary[nn.Module, _Taken] = WeakKeyDictionary()  # the way that did
_Call = Callable[..., Sequence[Tensor]]


class Decisions(TorchFunctionMode):
    """While it holds, what Python asks of a traced value is answered: as ``decided``, then yes."""

    def __init__(self, decided: _Taken = ()) -> None:
        super().__init__()
        self._decided = decided
        self.taken: _Taken = ()
        self.asked: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is not torch.Tensor.__bool__:
            return func(*args, **(kwargs or {}))
        try:
            return func(*args)
        except RuntimeError as error:
            if VALUE_READ not in str(error):
                raise
        at = len(self.taken)
        self.taken = (*self.taken, self._decided[at] if at < len(self._decided) else True)
        self.asked.append(args[0])
        return self.taken[-1]


@dataclass(frozen=True)
class _Way:
    taken: _Taken
    graph: fx.GraphModule | None  # None where it raised an error; its last results are ``asked``


def without_branches(
    write: Callable[[_Call], fx.GraphModule],
    call: _Call,
    inputs: Sequence[Tensor],
    net: nn.Module,
) -> fx.GraphModule | None:
    """Return the graph of the way that does for all; None where there is none.

    Args:
        write: gives the graph of a call.
        call: what branches.
        inputs: an example.
        net: whose call it is; the way that did for another call of it is tried first, alone.
    """
    if net in _taken:
        ways = _ways(write, call, _taken[net])
        if len(ways) == 1 and (graph := _that_does(ways, call, inputs, net)) is not None:
            return graph
    return _that_does(_ways(write, call), call, inputs, net)


def _that_does(
    ways: Sequence[_Way], call: _Call, inputs: Sequence[Tensor], net: nn.Module
) -> fx.GraphModule | None:
    examples, wanted = [], []
    for example in _examples(inputs) if ways else ():
        try:
            with torch.no_grad():
                wanted.append(list(call(*[t.clone() for t in example])))
        except USERS_ERRORS:  # a check that it does not pass
            continue
        examples.append(example)
    for way in ways:
        if way.graph is None or not wanted:
            continue
        count = len(wanted[0])
        made = [list(way.graph(*[t.clone() for t in example])) for example in examples]
        if all(_alike(one[:count], other) for one, other in zip(made, wanted, strict=True)):
            answers = [{bool(one[count + at]) for one in made} for at in range(len(way.taken))]
            seen = all(len(a) == 2 or _raises(ways, way.taken, at) for at, a in enumerate(answers))
            if seen or _taken.get(net) == way.taken:
                _taken[net] = way.taken
                output = way.graph.graph.output_node()
                output.args = (tuple(operands(output)[0][:count]),)
                return way.graph
    return None


def _ways(
    write: Callable[[_Call], fx.GraphModule], call: _Call, only: _Taken | None = None
) -> list[_Way]:
    """Follow each way, or ``only`` one."""
    ways: list[_Way] = []
    pending: list[_Taken] = [only or ()]
    while pending and len(ways) < _MOST_WAYS:
        decided = pending.pop()
        decisions = Decisions(decided)

        def asked(*tensors: Tensor, decisions: Decisions = decisions) -> list[Tensor]:
            with decisions:
                made = list(call(*tensors))
            return [*made, *decisions.asked]

        graph = None
        try:
            graph = write(asked)
        except ContractError as error:
            if not _shows(error.__cause__):
                return []
        except USERS_ERRORS as error:
            if VALUE_READ in str(error) and not _shows(error):
                return []
        ways.append(_Way(decisions.taken, graph))
        if only is not None:
            return ways if decisions.taken == only else []
        for at in range(len(decided), len(decisions.taken)):
            pending.append((*decisions.taken[:at], not decisions.taken[at]))
    return [] if pending else ways


def _shows(error: BaseException | None) -> bool:
    """Whether a tensor was to be shown, as in the message of an error."""
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _tensor_str.__file__:
            return True
        trace = trace.tb_next
    return False


def _raises(ways: Sequence[_Way], taken: _Taken, at: int) -> bool:
    """Whether every way on the other side of a question raises an error."""
    other = (*taken[:at], not taken[at])
    return all(way.graph is None for way in ways if way.taken[: at + 1] == other)


def _examples(inputs: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield inputs for which questions have other answers: all or one of them zeros, or ones."""
    yield list(inputs)
    for make in (torch.zeros_like, torch.ones_like):
        yield [make(tensor) for tensor in inputs]
        for at in range(len(inputs)):
            yield [make(t) if place == at else t for place, t in enumerate(inputs)]
    yield [-t if t.is_floating_point() else t for t in inputs]


def _alike(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return len(one) == len(other) and all(map(close, one, other))
