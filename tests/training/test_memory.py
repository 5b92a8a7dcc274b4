"""Exhausted memory in one line, and no other error mistaken for it."""

from __future__ import annotations

import errno

import pytest
import torch

from edgernn.errors import TrainingError
from edgernn.training.memory import naming_what_to_lower


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:128] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried"
        ),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=lambda error: str(error)[:20],
)
def test_it_names_what_to_lower_and_that_what_was_saved_stands(error: Exception) -> None:
    says = "not enough memory.*what was saved before stands.*smaller --batch or --chunk"
    with pytest.raises(TrainingError, match=says), naming_what_to_lower("--batch or --chunk"):
        raise error


def test_torchs_own_allocation_failure_is_told() -> None:
    with pytest.raises(TrainingError, match="not enough memory"), naming_what_to_lower("--batch"):
        torch.empty(1 << 60)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), OSError(errno.ENOENT, "No such file"), KeyError("x")]
)
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)), naming_what_to_lower("--batch"):
        raise error
