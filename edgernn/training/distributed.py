"""More than one process: what ``torchrun`` starts, seen as a rank in a world. One process is a
world of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from edgernn.errors import TrainingError, UnavailableError, UsageError


@dataclass(frozen=True)
class World:
    """This process's rank among ``size`` processes; rank 0 alone writes files and prints."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def rows(self, batch: int, *, of: str = "rows") -> range:
        """Return which rows of a batch of all processes are this one's; ``of`` says what a row is.

        Raises:
            UsageError: the rows cannot be shared evenly.
        """
        if batch % self.size:
            raise UsageError(
                f"a batch of {batch} {of} cannot be shared evenly by {self.size} processes; "
                "use a multiple"
            )
        share = batch // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            try:
                dist.barrier()
            except RuntimeError as error:
                raise TrainingError(
                    "another process of this run has ended; what it printed says why"
                ) from error

    def wrap(self, module: nn.Module, *, partly: bool = False) -> nn.Module:
        """Return ``module`` so that its gradients are averaged over the processes; ``partly`` where
        some have none at times.
        """
        return (
            module
            if self.size == 1
            else DistributedDataParallel(module, find_unused_parameters=partly)
        )

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of ``value`` over the processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def from_leader(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Return rank 0's ``values`` on every rank, so that all decide alike."""
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=device)
        dist.broadcast(shared, src=0)
        return shared.tolist()

    def largest(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Return the largest of each of ``values`` over the processes, the same on every rank."""
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return shared.tolist()

    def gather(self, tensor: Tensor, dimension: int) -> Tensor:
        """Return every rank's ``tensor`` joined along ``dimension``, in rank order, on every
        rank.
        """
        if self.size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts, dimension)


@contextmanager
def world() -> Iterator[World]:
    """Join the processes that ``torchrun`` started, or be alone; leave them at the end.

    Raises:
        UnavailableError: this torch was built without torch.distributed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    if not dist.is_available():
        raise UnavailableError(
            "torchrun started several processes but this torch has no torch.distributed; use "
            "one process"
        )
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available() and torch.cuda.device_count() > local
    if cuda:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size())
        # leave together: a process that tears down while the leader still writes can be aborted
        dist.barrier()
    finally:
        dist.destroy_process_group()
