"""What was made of a network: its step, and what goes in and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, fx


@dataclass(frozen=True, eq=False)
class State:
    """A state of the step.

    Attributes:
        name, where: what it is called, and what holds it.
        shape, dtype: with the rows of the capture.
        batch: the axis that holds rows, or None where it is one for all of them.
        first: its first value with the rows of the capture; None where encode gives it.
    """

    name: str
    where: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    batch: int | None
    first: Tensor | None


@dataclass(frozen=True, eq=False)
class Made:
    """A tensor that comes out, or a context: its name, its value in the capture, and its axes by
    name, None for one that nobody named.

    ``warmup``: how many elements come before the first that the network has: a convolution without
    padding needs them to begin. ``unlike``: how many frames come before that, lateness among them.
    """

    name: str
    seen: Tensor
    axes: list[str | None]
    warmup: int = 0
    unlike: int = 0


@dataclass(eq=False)
class Step:
    """What was made of a network.

    Attributes:
        module: ``(*inputs, *contexts, *states) -> (*outputs, *next states)``.
        inputs, outputs, states, contexts: in that order.
        how: what was done, in words.
        open_time: whether a call may hold any number of steps.
        frames: of one step.
        latency: by how many frames the outputs are late.
        longest: frames after which a table of fixed length ends; the last row stands for the rest.
        encode: ``(*encode inputs) -> (*contexts, *first states)``, or None.
        encode_inputs: names.
    """

    module: fx.GraphModule
    inputs: tuple[str, ...]
    outputs: list[Made]
    states: list[State]
    how: str
    open_time: bool = True
    frames: int = 1
    latency: int = 0
    encode: fx.GraphModule | None = None
    encode_inputs: tuple[str, ...] = ()
    contexts: list[Made] = field(default_factory=list)
    longest: int | None = None
