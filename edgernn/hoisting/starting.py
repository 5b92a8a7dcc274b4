"""The encode graph of a network whose first state a method makes of inputs of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import fx

from edgernn.contract import BATCH
from edgernn.errors import ContractError
from edgernn.hoisting.finish import finish
from edgernn.hoisting.network import ROWS, Network, named_axes, open_axes
from edgernn.hoisting.nodes import known
from edgernn.hoisting.plain import PlainBuilder
from edgernn.hoisting.result import Made, State, Step


class Starting:
    """The start method captured: which states hang on its inputs, and how."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.sizes = network.inputs.measured(**{BATCH: ROWS})
        self.captured = network.start_captured(self.sizes)
        numbers = network.compared(self.captured, self.sizes, None, network.start_captured)
        if numbers is None:
            raise ContractError(
                f"{network.begin.method} does something else for another number of rows: it loops "
                "over them, or was made for one number of them; write it for any number of rows"
            )
        self.numbers = numbers

    def makes(self, at: int) -> bool:
        """Whether a state hangs on what the method is given."""
        pending, seen = [self.captured.results[at]], set[fx.Node]()
        while pending:
            node = pending.pop()
            if node.op == "placeholder":
                return True
            if node not in seen:
                seen.add(node)
                pending += node.all_input_nodes
        return False

    def give(
        self, step: Step, states: Sequence[State], contexts: Sequence[int], kept: Sequence[int]
    ) -> None:
        """Put the encode graph into ``step``: its contexts, then the first values that it makes.

        Args:
            states: all of them; ``contexts`` and ``kept`` are places among them.
        """
        builder = PlainBuilder(self.captured, self.numbers, self.sizes, frames=1)
        specs = self.network.inputs.start
        inputs = [
            builder.input(node, spec.name, open_axes(self.numbers, node))
            for node, spec in zip(self.captured.placeholders, specs, strict=True)
        ]
        firsts = [at for at in kept if self.makes(at)]
        results = [self.captured.results[at] for at in (*contexts, *firsts)]
        nodes = builder.write(results)
        for place, result in enumerate(results):
            if not known(result).shape:
                nodes[place] = builder.call(torch.ops.aten.view.default, nodes[place], [1])
        step.encode = finish(self.captured.graph_module, builder.graph, inputs, nodes)
        step.encode_inputs = tuple(spec.name for spec in specs)
        step.states = [
            replace(states[at], first=None) if at in firsts else states[at] for at in kept
        ]
        step.contexts = [
            Made(states[at].name, known(result), named_axes(self.numbers, result))
            for at, result in zip(contexts, results, strict=False)
        ]
