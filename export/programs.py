"""A graph of a model as torch's exported program: what the converters of LiteRT and ExecuTorch
read.

The step face is exported, one step a call: those converters unroll time, and their integer kernels
take matrix products alone, not recurrent layers.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from edgernn.contract import FileContract, first_line
from edgernn.errors import ContractError
from edgernn.export.graphs import FlatGraph, drop_unused, example_inputs
from edgernn.hoisting.cells import has_layers, step_face
from edgernn.models.family import OperatorSet, RecurrentModel
from edgernn.sessions.quiet import quiet


def exported_program(
    model: RecurrentModel,
    file_contract: FileContract,
    *,
    operators: OperatorSet | None = None,
    folded: bool = False,
) -> ExportedProgram:
    """Return a graph of ``model``, which is turned into its step face, for one row and one step.

    Args:
        model: a private copy, in evaluation mode, float32, on the CPU.
        file_contract: the graph, and how its file is narrower: inputs and outputs have the file's
            dtypes.
        operators: what the format has; the others are written in them.
        folded: whether the embedding and the first layer's input weights become one table.

    Returns:
        The program; inputs and outputs are in the contract's order.

    Raises:
        ContractError: torch cannot export the graph.
    """
    graph, examples = flat_step(model, file_contract, operators=operators, folded=folded)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(graph, examples)
            if has_layers(program.graph_module):  # of a module of its own, which calls torch's
                stepped = step_face(cast(fx.GraphModule, program.module()), examples)
                program = torch.export.export(stepped, examples)
            return program
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError) as error:
        raise ContractError(
            f"torch.export could not export {file_contract.graph}: {first_line(error)}"
        ) from error


def flat_step(
    model: RecurrentModel,
    file_contract: FileContract,
    *,
    operators: OperatorSet | None = None,
    folded: bool = False,
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return the module that is exported, flat tensors in and out in the file's dtypes, and one
    distinct example for each of its inputs; see ``exported_program``.
    """
    stepped = model.step_face(folded=folded).in_products()
    own = FlatGraph(
        stepped if operators is None else stepped.written_in(operators), file_contract.graph
    )
    examples = example_inputs(file_contract, batch=1, time=1)
    with torch.no_grad():
        drop_unused(own, examples)
    interface, spec = file_contract.interface(), file_contract.spec
    wide = [getattr(torch, tensor.dtype) for tensor in spec.inputs]
    narrow = [getattr(torch, str(tensor.dtype)) for tensor in interface.outputs]
    return _Flat(own, wide, narrow), examples


class _Flat(nn.Module):
    """A graph that takes and gives the file's dtypes, and computes in the contract's."""

    def __init__(
        self, graph: nn.Module, wide: list[torch.dtype], narrow: list[torch.dtype]
    ) -> None:
        super().__init__()
        self.inner, self.wide, self.narrow = graph, wide, narrow

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = [
            tensor if tensor.dtype == dtype else tensor.to(dtype)
            for tensor, dtype in zip(tensors, self.wide, strict=True)
        ]
        made = self.inner(*given)
        return tuple(
            tensor if tensor.dtype == dtype else tensor.to(dtype)
            for tensor, dtype in zip(made, self.narrow, strict=True)
        )
