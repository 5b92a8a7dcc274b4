"""A call of a network as one graph of torch operators, got by running it.

The user's Python runs with real tensors, and what torch is asked to do is written down before it
decomposes anything: a recurrent layer stays one operator. Python's own loops and branches are
followed as they go, so a branch on a value that the inputs reach is refused, never frozen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from edgernn.errors import ContractError
from edgernn.hoisting.branches import VALUE_READ, without_branches
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.places import place_of, refuse_packing
from edgernn.hoisting.pure import pure
from edgernn.hoisting.random_draws import LARGEST, SMALLEST, RandomDraws, draw_in


@dataclass(frozen=True)
class Capture:
    """One call, written down.

    Attributes:
        graph_module: without in-place operators; its placeholders are the inputs in order, its
            output one tuple; weights are buffers named as in the network, with ``_`` for ``.``.
        weights: attribute of ``graph_module`` → the weight's name in the network.
    """

    graph_module: fx.GraphModule
    weights: dict[str, str]

    @property
    def nodes(self) -> list[fx.Node]:
        """The nodes in order."""
        return list(self.graph_module.graph.nodes)

    @property
    def placeholders(self) -> list[fx.Node]:
        """The inputs, in order."""
        return [node for node in self.graph_module.graph.nodes if node.op == "placeholder"]

    @property
    def results(self) -> list[fx.Node]:
        """What comes out, in order."""
        return list(operands(self.graph_module.graph.output_node())[0])


class _ValueReadError(ContractError):
    """Python asked for a number that is known in a run alone."""


def capture(
    call: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], net: nn.Module
) -> Capture:
    """Run ``call`` on clones of ``inputs`` and return what it did.

    Raises:
        ContractError: a branch or a number in Python hangs on the inputs or the state, or what is
            given hangs on random numbers.
    """
    try:
        written, drew = _write_down(call, inputs, SMALLEST)
    except _ValueReadError:
        one = without_branches(lambda c: _write_down(c, inputs, SMALLEST)[0], call, inputs, net)
        if one is None:
            raise
        written, drew = one, False
    if drew:
        other, _ = _write_down(call, inputs, LARGEST)
        if _outline(other) != _outline(written):
            raise ContractError(
                "the network draws a random number to choose a branch, as teacher forcing does, "
                "so two runs on the same input differ. Give the argument that decides it, as "
                "--set teacher_forcing_ratio=1"
            )
    if drawn := draw_in(written):
        raise ContractError(drawn)
    weights = _name_weights(written, net)
    return Capture(pure(written), weights)


def _write_down(
    call: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], number: float
) -> tuple[fx.GraphModule, bool]:
    given = [tensor.clone() for tensor in inputs]  # one tensor given twice would be one input
    tracer = make_fx(
        lambda *tensors: tuple(call(*tensors)), pre_dispatch=True, record_stack_traces=True
    )
    with _gradients_put_back(), torch.no_grad(), RandomDraws(number) as draws:
        try:
            return _without_switches(tracer(*given)), draws.seen
        except RuntimeError as error:
            refuse_packing(error)
            if VALUE_READ not in str(error):
                raise
            raise _ValueReadError(
                f"{place_of(error)} turns a value that hangs on the inputs or the state into a "
                "number of Python, to branch on it or to count with it; a graph would freeze what "
                "one run saw. Write it with tensors (torch.where, a mask, an index)"
            ) from error


def _without_switches(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Take out what switches gradients on and off: a graph that is run would leave them so."""
    for node in reversed(list(graph_module.graph.nodes)):
        if operator_of(node) is torch._C._set_grad_enabled:
            graph_module.graph.erase_node(node)
    graph_module.recompile()
    return graph_module


@contextmanager
def _gradients_put_back() -> Iterator[None]:
    """Let gradients be on or off as before: torch's tracer leaves them off where it is broken off
    inside the network's own ``no_grad``.
    """
    enabled = torch.is_grad_enabled()
    try:
        yield
    finally:
        torch.set_grad_enabled(enabled)


def _outline(graph_module: fx.GraphModule) -> list[tuple[str, str]]:
    return [(str(operator_of(node)), str(operands(node))) for node in graph_module.graph.nodes]


def _name_weights(graph_module: fx.GraphModule, net: nn.Module) -> dict[str, str]:
    """Give each constant one attribute, under the network's own name where it has one."""
    known = {id(t): name for name, t in (*net.named_buffers(), *net.named_parameters())}
    found: dict[int, str] = {}
    weights: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    for node in graph_module.graph.nodes:
        if node.op != "get_attr":
            continue
        tensor = getattr(graph_module, operator_of(node))
        if id(tensor) not in found:
            name = known.get(id(tensor), f"constant.{len(found)}")
            attribute = "w_" + re.sub(r"\W", "_", name)
            found[id(tensor)], weights[attribute] = attribute, name
            tensors[attribute] = tensor.detach()
        node.target = found[id(tensor)]
    for held in (graph_module._parameters, graph_module._buffers):
        held.clear()
    for name in [name for name in vars(graph_module) if name.startswith("_tensor_constant")]:
        delattr(graph_module, name)
    for attribute, tensor in tensors.items():
        graph_module.register_buffer(attribute, tensor)
    return weights
