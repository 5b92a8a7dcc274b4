"""The frame of a running Core ML program: a slot for every variable, what reads and what fills
slots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Frame = list[Any]  # slot → array, text, or list of arrays
Instruction = Callable[[Frame], None]
Place = int | list[int]  # the slot of an input, or the slots of an input that is several variables


@dataclass(frozen=True)
class Block:
    """A compiled block: its instructions in order, and the slots of what goes in and comes out."""

    instructions: tuple[Instruction, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def run(self, frame: Frame) -> None:
        """Run the instructions on ``frame``."""
        for instruction in self.instructions:
            instruction(frame)


def values_at(places: tuple[tuple[str, Place], ...], frame: Frame) -> dict[str, Any]:
    """Return what stands in a frame at the places of an operator's inputs."""
    return {
        name: [frame[slot] for slot in place] if isinstance(place, list) else frame[place]
        for name, place in places
    }


def wide_values_at(places: tuple[tuple[str, Place], ...], frame: Frame) -> dict[str, Any]:
    """Return the same with float16 widened to float32."""
    return {
        name: [_widened(frame[slot]) for slot in place]
        if isinstance(place, list)
        else _widened(frame[place])
        for name, place in places
    }


def _widened(value: Any) -> Any:
    narrow = isinstance(value, np.ndarray) and value.dtype == np.float16
    return value.astype(np.float32) if narrow else value


def assign(frame: Frame, slots: Sequence[int], values: Sequence[Any]) -> None:
    """Put ``values`` into ``slots``, one into each."""
    for slot, value in zip(slots, values, strict=True):
        frame[slot] = value


def flat(places: Any) -> list[int]:
    """Return the slots of all ``places``."""
    return [slot for place in places for slot in (place if isinstance(place, list) else [place])]
