"""The encode graph: what hangs on no frame, computed once a sequence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import fx

from edgernn.hoisting.capture import Capture
from edgernn.hoisting.finish import finish
from edgernn.hoisting.network import Network, named_axes, open_axes
from edgernn.hoisting.nodes import known
from edgernn.hoisting.plain import PlainBuilder
from edgernn.hoisting.result import Made, Step
from edgernn.hoisting.sizes import Sized, Sizes


def write_encode(
    step: Step,
    network: Network,
    captured: Capture,
    numbers: Sized,
    sizes: Sizes,
    names: Collection[str],
    contexts: Mapping[fx.Node, fx.Node],
    firsts: Sequence[fx.Node] = (),
) -> None:
    """Give ``step`` its encode graph.

    Args:
        step: without one.
        network, captured, numbers, sizes: what it was made of.
        names: the inputs that encode takes.
        contexts: node of the capture → the placeholder of the step that stands for it.
        firsts: nodes of the capture that are first values of states.
    """
    plain = PlainBuilder(captured, numbers, sizes, frames=1)
    inputs = []
    for spec, node in zip(network.inputs.specs, captured.placeholders, strict=False):
        if spec.name in names:
            inputs.append(plain.input(node, spec.name, open_axes(numbers, node)))
            step.encode_inputs = (*step.encode_inputs, spec.name)
    nodes = plain.write([*contexts, *firsts])
    step.encode = finish(captured.graph_module, plain.graph, inputs, nodes)
    step.contexts = [
        Made(str(placed.target), known(node), named_axes(numbers, node))
        for node, placed in contexts.items()
    ]
