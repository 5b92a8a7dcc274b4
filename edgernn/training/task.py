"""What the loop trains: the interface that every task has, and what a measurement of it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

GoOn = Callable[
    [], bool
]  # asked between the parts of an evaluation; False ends it with what is measured


_MOST_LOGITS = 1 << 23  # 32 MiB


def positions_at_a_time(vocabulary: int) -> int:
    """Return of how many positions an evaluation holds the logits at once, so that memory does not
    grow with the vocabulary.
    """
    return max(1, _MOST_LOGITS // vocabulary)


def always() -> bool:
    """Go on to the end."""
    return True


@dataclass(frozen=True)
class Evaluation:
    """A measurement on the validation part.

    Attributes:
        loss: nats per token, each token predicted from the true ones before it.
        criterion: what the best weights have least of; for text it is the loss.
        measured: further figures by name, to be shown and kept.
        covered: share of the validation part that was measured, 0 to 1.
    """

    loss: float
    criterion: float
    measured: dict[str, float] = field(default_factory=dict)
    covered: float = 1.0


class Task(Protocol):
    """What the loop trains."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    @property
    def unit(self) -> str:
        """What one token is: a character, a byte, a word; or just a token."""

    @property
    def split(self) -> str:
        """The validation part in words, as last measured; printed beside every loss."""

    def next_loss(self, share: float) -> tuple[Tensor, Tensor, int]:
        """Take the next batch; return what to minimise, with its graph, the loss to report, and the
        tokens of all processes.

        Both are this process's means. ``share`` of the budget is used so far.
        """

    def rate_of(self, name: str) -> float:
        """Return by what the learning rate of the parameter ``name`` is multiplied."""

    def epochs(self) -> float:
        """Return how many passes over the corpus are done."""

    def evaluate(self, share: float = 1.0, go_on: GoOn = always) -> Evaluation:
        """Measure the model on the first ``share`` of the validation part, or a little more: at
        least one part of it.
        """

    def sample(self) -> str:
        """Return a little of what the model makes now."""

    def save_best(self, *, step: int, found: Evaluation) -> None:
        """Keep the current weights, which were measured as ``found``, as the run's result."""

    def state(self) -> dict[str, Tensor]:
        """Return position and carried state of all processes."""

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``state`` gave, each under ``task.`` and its name.

        Raises:
            ValueError: a tensor is missing, misshapen, or means a place that the corpus does not
                have.
        """
