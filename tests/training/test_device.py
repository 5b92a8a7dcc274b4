"""Choosing a device and its precision."""

from __future__ import annotations

import pytest
import torch

from edgernn.errors import UnavailableError, UsageError
from edgernn.training.device import choose_device, mixed_precision


def test_auto_is_a_device_that_is_there() -> None:
    torch.zeros(1, device=choose_device("auto"))


def test_unknown_and_absent_devices() -> None:
    with pytest.raises(
        UsageError, match="unknown device 'gpu'; expected one of auto, cuda, mps, cpu"
    ):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(UnavailableError, match="no cuda device"):
            choose_device("cuda")


def test_mixed_precision_is_as_set_and_auto_asks_the_hardware(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = torch.device("cpu")
    assert mixed_precision("on", cpu)
    assert not mixed_precision("off", cpu)
    for units in (True, False):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda units=units: {"amx_bf16": units}, raising=False
        )
        assert mixed_precision("auto", cpu) is units
    assert not mixed_precision("auto", torch.device("mps"))
