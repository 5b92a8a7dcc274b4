"""Which device to train on, and whether it multiplies bfloat16 in hardware."""

from __future__ import annotations

import torch

from edgernn.errors import UnavailableError, UsageError
from edgernn.wording import expected_one_of

DEVICES = ("auto", "cuda", "mps", "cpu")


def choose_device(name: str) -> torch.device:
    """Return the device ``name``, or for ``auto`` the first that is there of cuda, mps, cpu.

    Raises:
        UsageError: an unknown name.
        UnavailableError: the device is not on this machine.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, available in there.items() if available))
    if name not in there:
        raise UsageError(f"unknown device {name!r}; {expected_one_of(name, DEVICES)}")
    if not there[name]:
        raise UnavailableError(
            f"this machine has no {name} device that torch can use; use --device auto"
        )
    return torch.device(name)


def mixed_precision(setting: str, device: torch.device) -> bool:
    """Return whether matrix products run in bfloat16: as set, or for ``auto`` where the hardware
    has units for it.
    """
    if setting != "auto":
        return setting == "on"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and _cpu_multiplies_bfloat16()


def _cpu_multiplies_bfloat16() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
