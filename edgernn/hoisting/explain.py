"""What was found in a network, as data and in words: its states, what a step takes, what each
format can carry and why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgernn.formats.compatibility import Elsewhere, elsewhere_text
from edgernn.wording import counted

NO_STATE = "no state was found: each call stands alone"


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
        encode_inputs: what the contexts, and first values of states, are made of.
        step_frames: frames of time in one step.
        latency_frames: by how many frames the outputs are late.
        warmup_frames: output → how many of the first frames bring results that the network does not
            have, where those are more than it is late by.
        open_time: whether a call may hold several steps; None where that was not looked at.
        formats: format → why it cannot carry the network; empty where it can.
        takes: format → the sizes that its file is bound to, in words, where it is.
        promised: formats that were not tried.
        renamed: name in the source → name in the contract, where they differ.
        warnings: what a user should know, a line each.
        proof: how near the step is to the source, in words; empty where that was not measured.
        elsewhere: what other runtimes make of its ONNX file in float32, as far as that was tried.
    """

    source: str
    states: tuple[FoundState, ...]
    inputs: tuple[FoundTensor, ...]
    outputs: tuple[FoundTensor, ...]
    contexts: tuple[FoundTensor, ...] = ()
    encode_inputs: tuple[FoundTensor, ...] = ()
    step_frames: int = 1
    latency_frames: int = 0
    warmup_frames: Mapping[str, int] = field(default_factory=dict)
    open_time: bool | None = None
    formats: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)
    promised: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    proof: str = ""
    elsewhere: tuple[Elsewhere, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)


def explain_text(found: Found) -> str:
    """Return what was found, in lines to read."""
    lines = [f"{found.source}: {counted(len(found.states), 'state')}"]
    for state in found.states:
        lines += [f"  {state.tensor.words}", f"    starts at {state.first}; {state.where}"]
    lines += [] if found.states else [f"  {NO_STATE}"]
    lines.append(f"a step takes {_step(found)}")
    for title, tensors in (
        ("in", found.inputs),
        ("once", found.contexts),
        ("out", found.outputs),
        ("encode", found.encode_inputs),
    ):
        lines += [f"  {title:<6} {tensor.words}" for tensor in tensors]
    lines += [f"  {words}" for words in warmup_words(found.warmup_frames)]
    lines += [f"proved: {found.proof}"] if found.proof else []
    lines += [f"renamed: {old} is {new}" for old, new in found.renamed.items()]
    for name, why in found.formats.items():
        takes = f", with {found.takes[name]}" if name in found.takes else ""
        lines.append(f"{name}: no, {why}" if why else f"{name}: yes{takes}")
    lines += [f"{name}: promised, tried by export" for name in found.promised]
    if found.elsewhere:
        lines += ["elsewhere, its ONNX file in float32:"]
        lines += [f"  {line}" for line in elsewhere_text(found.elsewhere)]
    lines += [f"warning: {warning}" for warning in found.warnings]
    return "\n".join(lines)


def warmup_words(frames: Mapping[str, int]) -> list[str]:
    """Return in lines which of the first results the network does not have."""
    return [
        f"{name}: the first {counted(count, 'frame')} bring results that the network does not have"
        for name, count in frames.items()
    ]


def _step(found: Found) -> str:
    """Return in words what a step takes."""
    late = f", {counted(found.latency_frames, 'frame')} late" if found.latency_frames else ""
    if not any("time" in tensor.axes for tensor in found.inputs):
        return f"one call{late}"
    many = {None: "", True: ", any number of them a call", False: ", one step a call"}
    return counted(found.step_frames, "frame") + many[found.open_time] + late
