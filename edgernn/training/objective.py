"""What is minimised and measured while a network of layers trains on examples."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from edgernn.contract import ENCODE, STEP
from edgernn.data.examples import ExampleSet
from edgernn.errors import UsageError
from edgernn.models.cells.base import State
from edgernn.models.layered.network import Network

Batch = dict[str, Tensor]
Sums = dict[str, tuple[float, float]]  # figure → its sum over examples, and their number
LOSS = "loss"


class Objective(nn.Module):
    """Subclasses implement ``forward`` and ``measure``; parameters of their own are trained, and
    are no part of the checkpoint.

    Attributes:
        unit: what an example is.
        step: what a step of it is, where the loss is told of steps; None: of examples.
        best: the figure of ``measure`` that the best weights have most of; None: least loss.
    """

    unit: ClassVar[str] = "example"
    step: ClassVar[str | None] = None
    best: ClassVar[str | None] = None

    def forward(self, network: Network, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        """Return what to minimise, with its graph, and the loss to report in nats an example.

        Args:
            network: in training mode.
            batch: the arrays of some examples, ``[N, …]``.
            share: of the budget that is used so far, 0 to 1.
        """
        raise NotImplementedError

    def measure(self, network: Network, batch: Batch) -> Sums:
        """Return the sums of figures over ``batch``, ``loss`` among them; no gradients flow."""
        raise NotImplementedError

    def last_losses(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return of each sequence of ``batch`` the loss of its last step that is asked for, in nats
        with its graph, and which step that is, int64, -1 where none is asked: ``[M]`` each.

        Raises:
            UsageError: no step has a loss of its own.
        """
        raise UsageError(f"a {self.unit} has no loss of one step; leave --gradients out")

    def count(self, batch: Batch) -> int:
        """Return of how many examples, or steps, the loss of ``batch`` is the mean."""
        return len(next(iter(batch.values())))

    def chance(self, examples: ExampleSet) -> float | None:
        """Return the loss of guessing each answer as often as it occurs in the validation part;
        None where nothing is guessed.
        """
        return None

    def sample(self, network: Network, examples: ExampleSet) -> str:
        """Return a little of what the network makes now, in a line; empty where it is nothing to
        read.
        """
        return ""

    def rate_of(self, name: str) -> float:
        """Return by what the learning rate of the network's parameter ``name`` is multiplied."""
        return 1.0


def begin(network: Network, seen: Batch, rows: int) -> tuple[dict[str, Tensor], State]:
    """Begin ``rows`` sequences with gradients: run ``encode`` on its inputs ``seen`` where there
    is one; return the contexts by name and the first state.
    """
    contract = network.config.contract()
    state = network.initial_state(rows)
    if contract.encode is None:
        return {}, state
    given = [seen[spec.name] for spec in contract.encode.inputs]
    made = dict(
        zip((s.name for s in contract.encode.outputs), network.graph(ENCODE, *given), strict=True)
    )
    contexts = {spec.name: made[spec.name] for spec in contract.step.contexts}
    first = tuple(
        made.get(spec.name, own) for spec, own in zip(contract.step.states, state, strict=True)
    )
    return contexts, first


def advance(
    network: Network, inputs: Batch, contexts: Batch, state: State
) -> tuple[dict[str, Tensor], State]:
    """Run the step with gradients; return its outputs by name and the state after.

    Args:
        inputs: the fresh inputs by name, ``[B, T, …]``; T is 1 where a step takes one.
        contexts, state: as ``begin`` returns them.
    """
    step = network.config.contract().step
    given = {**inputs, **contexts}
    tensors = [given[spec.name] for spec in step.inputs if spec.role != "state"]
    made = network.graph(STEP, *tensors, *state)
    outputs = len(step.read_outputs)
    named = {spec.name: tensor for spec, tensor in zip(step.read_outputs, made, strict=False)}
    return named, tuple(made[outputs:])
