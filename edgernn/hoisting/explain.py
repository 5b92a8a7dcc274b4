"""What was found in a network, as data and in words: its states, what a step takes, what each
format can carry and why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgernn.wording import counted


@dataclass(frozen=True)
class FoundTensor:
    """One tensor of a step: its name, dtype, and axes, each as ``name`` or ``name=size``."""

    name: str
    dtype: str
    axes: tuple[str, ...]

    @property
    def words(self) -> str:
        """The tensor in one line."""
        return f"{self.name} {self.dtype} [{', '.join(self.axes)}]"


@dataclass(frozen=True)
class FoundState:
    """One state: the tensor, its first value in words, and where it was found."""

    tensor: FoundTensor
    first: str
    where: str


@dataclass(frozen=True)
class Found:
    """What was found in a network.

    Attributes:
        source: the file or the module, in words.
        states: in the order of the contract.
        inputs, contexts, outputs: what a step takes anew, what is made once, and what it gives.
        step_frames: frames of time in one step.
        latency_frames: by how many frames the outputs are late.
        formats: format → why it cannot carry the network; empty where it can.
        renamed: name in the source → name in the contract, where they differ.
        warnings: what a user should know, a line each.
        proof: how near the step is to the source, in words; empty where that was not measured.
    """

    source: str
    states: tuple[FoundState, ...]
    inputs: tuple[FoundTensor, ...]
    outputs: tuple[FoundTensor, ...]
    contexts: tuple[FoundTensor, ...] = ()
    step_frames: int = 1
    latency_frames: int = 0
    formats: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    proof: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)


def explain_text(found: Found) -> str:
    """Return what was found, in lines to read."""
    lines = [f"{found.source}: {counted(len(found.states), 'state')}"]
    for state in found.states:
        lines += [f"  {state.tensor.words}", f"    starts at {state.first}; {state.where}"]
    frames = counted(found.step_frames, "frame")
    timed = any("time" in tensor.axes for tensor in found.inputs)
    late = f", {counted(found.latency_frames, 'frame')} late" if found.latency_frames else ""
    lines.append(f"a step takes {frames if timed else 'one call'}{late}")
    for title, tensors in (("in", found.inputs), ("once", found.contexts), ("out", found.outputs)):
        lines += [f"  {title:<4} {tensor.words}" for tensor in tensors]
    lines += [f"proved: {found.proof}"] if found.proof else []
    lines += [f"renamed: {old} is {new}" for old, new in found.renamed.items()]
    lines += [f"{name}: {f'no, {why}' if why else 'yes'}" for name, why in found.formats.items()]
    lines += [f"warning: {warning}" for warning in found.warnings]
    return "\n".join(lines)
