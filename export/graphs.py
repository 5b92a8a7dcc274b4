"""Torch wrappers with flat tensors in and flat tensors out, one per graph: what every exporter
traces.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgernn.contract import BATCH, PICTURE, TIME, FileContract, GraphWord
from edgernn.models.family import RecurrentModel


class FlatGraph(nn.Module):
    """One graph of a model: its inputs in the contract's order to its outputs in that order.

    ``forward`` wears the contract's input names as its signature, because tracers name a graph's
    inputs by it.
    """

    def __init__(self, model: RecurrentModel, name: GraphWord) -> None:
        super().__init__()
        self.model, self.name = model, name
        self.forward = _with_signature(
            self._run, [tensor.name for tensor in model.config.contract().graph(name).inputs]
        )

    def _run(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.model.graph(self.name, *tensors)


def drop_unused(graph: FlatGraph, examples: tuple[Tensor, ...]) -> None:
    """Take out of ``graph`` what it does not run, in place; a captioner's step would carry the
    image encoder along.
    """
    ran: set[nn.Module] = set()
    hooks = [
        module.register_forward_hook(lambda module, given, made: ran.add(module))
        for module in graph.modules()
    ]
    graph(*examples)
    for hook in hooks:
        hook.remove()
    for parent in list(graph.modules()):
        for name, child in parent.named_children():
            holds = isinstance(child, (nn.ModuleDict, nn.ModuleList)) or list(child.children())
            if child not in ran and not holds:  # what holds layers may be used without being called
                setattr(parent, name, nn.Identity())


def _with_signature(
    function: Callable[..., tuple[Tensor, ...]], names: list[str]
) -> Callable[..., tuple[Tensor, ...]]:
    def forward(*tensors: Tensor) -> tuple[Tensor, ...]:
        return function(*tensors)

    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names
    ]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return forward


_OPEN_SIZE = 5  # of the first axis that encode chooses; the next has one more


def example_inputs(file_contract: FileContract, *, batch: int, time: int) -> tuple[Tensor, ...]:
    """Return one distinct tensor per input of the graph, in the contract's order, sizes as given
    where axes are open; ``time`` in steps.

    Distinct matters: given one tensor object twice, torch's exporters merge the two inputs into one
    without a word. Everything but ids is random; ids are zeros, which every vocabulary has.
    """
    generator = torch.Generator().manual_seed(0)
    contract = file_contract.contract
    open_axes = {axis: _OPEN_SIZE + at for at, axis in enumerate(contract.open_axes)}
    sizes = {BATCH: batch, TIME: time * contract.step_frames, **open_axes}
    examples = []
    for spec in file_contract.spec.inputs:
        shape = [file_contract.axis_size(axis) or sizes[axis] for axis in spec.axes]
        own = file_contract.dtype(spec)
        as_in_file = spec.kind in "iu" and own != PICTURE
        dtype = getattr(torch, own if as_in_file else spec.dtype)
        if dtype.is_floating_point:
            drawn = torch.rand(shape, generator=generator) - 0.5
            examples.append(drawn if own == "float32" else drawn.to(dtype))
        elif spec.below is None:
            most = 256 if spec.dtype == "uint8" else 2
            drawn = torch.randint(most, shape, generator=generator)
            examples.append(drawn.to(dtype if own == PICTURE else getattr(torch, own)))
        else:
            examples.append(torch.zeros(shape, dtype=dtype))
    return tuple(examples)
