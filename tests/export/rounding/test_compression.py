"""What a reduced precision is told: shares as people write them, and limits that mean something."""

from __future__ import annotations

import math

import pytest

from edgernn.errors import UsageError
from edgernn.export.rounding.compression import Budget, Compression


@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf, -math.inf])
def test_a_budget_that_means_nothing(value: float) -> None:
    with pytest.raises(
        UsageError, match=r"the largest perplexity increase is .*, expected 0 or more \(0.01 or 1%"
    ):
        Budget(perplexity=value)
    with pytest.raises(UsageError, match=r"the largest CIDEr drop is .*, expected 0 or more"):
        Budget(cider=value)


@pytest.mark.parametrize("value", [5, 1.5, "5"])
def test_a_budget_above_1_is_written_with_its_sign(value: float | str) -> None:
    with pytest.raises(
        UsageError, match=r"the largest perplexity increase is .*above 1.*write .*%"
    ):
        Budget(perplexity=value)
    assert Budget(perplexity="500%", cider="5%") == Budget(perplexity="500%", cider=0.05)


def test_a_budget_of_nothing_is_a_budget() -> None:
    assert Budget(perplexity=0.0) != Budget()
    assert (Budget(perplexity=0.0).perplexity, Budget().perplexity, Budget().cider) == (
        0.0,
        None,
        None,
    )


@pytest.mark.parametrize("size", [20, 0, -16, 512])
def test_a_block_size_that_cannot_be(size: int) -> None:
    with pytest.raises(
        UsageError, match=f"the block size is {size}, expected one of 16, 32, 64, 128, 256"
    ):
        Compression(block_size=size)
