"""Torch wrappers with flat tensors in and flat tensors out, one per graph: what every exporter traces."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgernn.contract import BATCH, TIME, FileContract
from edgernn.models.language import LanguageModel


class StepGraph(nn.Module):
    """The step of a language model: ``tokens [B, T], *states`` to ``logits [B, T, V], *states_next``.

    ``forward`` wears the contract's input names as its signature, because tracers name a graph's inputs by it.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model
        self.forward = _with_signature(self._step, [tensor.name for tensor in model.config.contract().step.inputs])

    def _step(self, tokens: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, after = self.model(tokens, state)
        return (logits, *after)


def _with_signature(function: Callable[..., tuple[Tensor, ...]], names: list[str]) -> Callable[..., tuple[Tensor, ...]]:
    def forward(*tensors: Tensor) -> tuple[Tensor, ...]:
        return function(*tensors)

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return forward


def example_inputs(file_contract: FileContract, *, batch: int, time: int) -> tuple[Tensor, ...]:
    """Return one distinct tensor per input of the file, in the contract's order, sizes as given where axes are open.

    Distinct matters: given one tensor object twice, torch's exporters merge the two inputs into one without a word.
    States are small, random and different from one another.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = {BATCH: batch, TIME: time}
    examples = []
    for spec in file_contract.spec.inputs:
        shape = [file_contract.axis_size(axis) or sizes[axis] for axis in spec.axes]
        if spec.role == "state":
            examples.append(torch.rand(shape, generator=generator) - 0.5)
        else:
            examples.append(torch.zeros(shape, dtype=getattr(torch, file_contract.dtype(spec))))
    return tuple(examples)
