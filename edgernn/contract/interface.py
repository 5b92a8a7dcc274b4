"""What a model file takes and gives, as its own runtime reads it, and how that differs from what
was promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileTensor:
    """One tensor of a model file: each dimension is a size, or a text where the file leaves it
    open.

    ``dtype`` or ``shape`` is None where the file's format does not record it.
    """

    name: str
    dtype: str | None
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True)
class Interface:
    """What goes in and out of one model file, in the file's order; ``states`` are kept by the
    runtime.
    """

    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]
    states: tuple[FileTensor, ...] = ()


@dataclass(frozen=True)
class FileDescription:
    """A model file as its own runtime reads it: its interface, its metadata, for which target it
    was written, and what runs it.

    ``target`` is in the words of ``Artifact.target``, or None where the file's format does not
    record it. ``requires`` is package → the lowest version that runs what is in the file, where
    that is above edgernn's own floor.
    """

    interface: Interface
    metadata: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    requires: Mapping[str, str] = field(default_factory=dict)


def interface_problems(expected: Interface, found: Interface) -> list[str]:
    """Compare a file's interface with the contract's; return one line per difference, none when
    they agree.

    A dimension that the contract leaves open must be open in the file; one that it fixes must have
    that size.
    """
    problems: list[str] = []
    for kind in ("inputs", "outputs", "states"):
        wanted: tuple[FileTensor, ...] = getattr(expected, kind)
        got: tuple[FileTensor, ...] = getattr(found, kind)
        if [tensor.name for tensor in wanted] != [tensor.name for tensor in got]:
            problems.append(
                f"{kind} are {[t.name for t in got]}, expected {[t.name for t in wanted]}"
            )
            continue
        for want, have in zip(wanted, got, strict=True):
            problems += _tensor_problems(want, have)
    return problems


def _tensor_problems(want: FileTensor, have: FileTensor) -> list[str]:
    problems = []
    if have.dtype is not None and have.dtype != want.dtype:
        problems.append(f"{want.name} is {have.dtype}, expected {want.dtype}")
    if have.shape is not None and have.shape != want.shape:
        problems.append(
            f"{want.name} has shape {_shape(have.shape)}, expected {_shape(want.shape or ())}"
        )
    return problems


def _shape(shape: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
