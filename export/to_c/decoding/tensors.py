"""The tensors of a call of the step as C: which are fed and made, how large they are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib.resources import files

from edgernn.contract import Contract, GraphSpec, TensorSpec
from edgernn.export.to_c.loops import c_name
from edgernn.export.to_c.plan import C_TYPES


def writes_tokens(contract: Contract) -> bool:
    """Whether a step takes one token beside a state, and gives a score in float32 for each token
    that may come next.
    """
    step = contract.step
    if step.ids is None or step.scores is None or step.fresh_inputs != (step.ids,):
        return False
    ids, scores = (contract.shape(own, batch=1, time=1) for own in (step.ids, step.scores))
    kinds = step.scores.dtype == "float32" and step.ids.dtype in C_TYPES
    one = bool(step.states) and contract.step_frames == 1
    return one and kinds and set(ids) == {1} and set(scores[:-1]) <= {1}


def others(step: GraphSpec) -> list[TensorSpec]:
    """Return the outputs beside the scores."""
    return [own for own in step.read_outputs if own != step.scores]


def members(contract: Contract, tensors: Iterable[TensorSpec], mark: str) -> str:
    """Return the members of a structure that holds ``tensors``, a line each."""
    return "".join(
        f"\n    {C_TYPES[own.dtype]} {mark}{own.name}[{size(contract, own)}];" for own in tensors
    )


def outputs_in(step: GraphSpec, memory: str) -> str:
    """Return the pointers to where a step's outputs go: the members of ``memory``."""
    return ", ".join(
        f".{c_name(own.name)} = {memory}{'logits' if own == step.scores else f'out_{own.name}'}"
        for own in step.read_outputs
    )


def size(contract: Contract, tensor: TensorSpec) -> int:
    """Return how many values a tensor of one row and one step has."""
    return math.prod(contract.shape(tensor, batch=1, time=1))


def piece(name: str) -> str:
    """Return a file of C in this folder."""
    return files(__package__).joinpath(name).read_text(encoding="ascii")
