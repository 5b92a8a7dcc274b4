"""A network whose steps are taken one at a time and kept: what gradients through time are measured
on, whatever an objective does between the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from edgernn.contract import BATCH, STEP, TIME
from edgernn.models.cells.base import State
from edgernn.models.family import RecurrentModel
from edgernn.models.layered.network import Network
from edgernn.training.gradients import omega, row_norms

MOST_STEPS = 64  # back


@dataclass(frozen=True, eq=False)
class Taken:
    """One step of a batch: its inputs and contexts in the contract's order, the state that came
    in, and the one that was handed on.
    """

    given: tuple[Tensor, ...]
    before: State
    after: State


class Unrolled:
    """A model in whose place an objective runs: a call of several steps is taken apart, and each is
    kept in ``taken``. Everything else is the model's own.
    """

    def __init__(self, model: RecurrentModel) -> None:
        self.model = model
        self.taken: list[Taken] = []
        self._spec = model.config.contract().step

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def network(self) -> Network:
        """Return this one as the network that an objective takes."""
        return cast(Network, self)

    def graph(self, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See ``RecurrentModel.graph``."""
        if name != STEP:
            return self.model.graph(name, *tensors)
        given = [spec for spec in self._spec.inputs if spec.role != "state"]
        places = [spec.axes.index(TIME) if TIME in spec.axes else None for spec in given]
        inputs, state = tensors[: len(given)], tuple(tensors[len(given) :])
        lengths = [x.shape[at] for x, at in zip(inputs, places, strict=True) if at is not None]
        made = []
        for t in range(lengths[0] if lengths else 1):
            now = tuple(
                x if at is None else x.narrow(at, t, 1)
                for x, at in zip(inputs, places, strict=True)
            )
            found = self.model.graph(STEP, *now, *state)
            after = tuple(found[len(self._spec.read_outputs) :])
            self.taken.append(Taken(now, state, after))
            state = after
            made.append(found)
        outputs = (
            torch.cat(found, spec.axes.index(TIME)) if TIME in spec.axes else found[-1]
            for spec, found in zip(self._spec.read_outputs, zip(*made, strict=True), strict=False)
        )
        return (*outputs, *state)

    def norms(self, losses: Tensor, places: Tensor) -> Mapping[str, np.ndarray]:
        """Return for each state the norm of the gradient that the loss of a step has to it k steps
        earlier, ``[K, L]``, k = 1 first: a mean over the sequences that have so many steps. K is at
        most what half of them have. A state that no gradient reaches is left out.

        Args:
            losses: ``[B]``, of one step of each sequence, with their graph.
            places: int64 ``[B]``, which step that is; -1 where a sequence has none.
        """
        counted = places[places >= 1]
        states = [step.before for step in self.taken[1:]]
        if not len(counted) or not states:
            return {}
        most = min(MOST_STEPS, int(counted.median()))
        found = row_norms(losses.sum(), states, self._axes)
        rows = torch.arange(len(places), device=places.device)
        made = {}
        for spec, by_step in zip(self._spec.states, found, strict=True):  # [S, B, L]
            course = []
            for k in range(1, most + 1):
                at = places - k  # of the state that came into the step k - 1 before the loss
                course.append(by_step[at.clamp(min=0), rows][at >= 0].mean(0))
            if torch.stack(course).any():
                made[spec.name] = torch.stack(course).cpu().numpy()
        return made

    def vanishing(self, loss: Tensor) -> Tensor:
        """Return Ω of ``training.gradients`` over all steps taken, of every floating state."""
        given = [spec for spec in self._spec.inputs if spec.role != "state"]
        joined = [
            torch.cat([step.given[place] for step in self.taken], spec.axes.index(BATCH))
            for place, spec in enumerate(given)
        ]

        def again(state: State) -> State:
            found = self.model.graph(STEP, *joined, *state)
            return tuple(found[len(self._spec.read_outputs) :])

        before, after = ([getattr(t, when) for t in self.taken] for when in ("before", "after"))
        return omega(loss, before, after, self._axes, again)

    @property
    def _axes(self) -> list[int]:
        return [spec.axes.index(BATCH) for spec in self._spec.states]
