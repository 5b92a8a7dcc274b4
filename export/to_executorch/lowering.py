"""An exported step made into an ExecuTorch program: its splits as slices, and its linear layers and
tables in 8 bits where that is asked for.

A split has several results, which XNNPACK's delegate does not have; as slices of one tensor the
whole step is one delegate, but for what looks up tables.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from edgernn.export.to_executorch.libraries import (
    ExecutorchProgramManager,
    XnnpackPartitioner,
    XNNPACKQuantizer,
    convert_pt2e,
    get_symmetric_quantization_config,
    prepare_pt2e,
    to_edge_transform_and_lower,
)

_ATEN = torch.ops.aten
_SPLITS = (_ATEN.split_with_sizes.default, _ATEN.split.Tensor, _ATEN.chunk.default)
_LEVELS = 127


def lower(
    program: torch.export.ExportedProgram, *, integers: bool, texts: dict[str, str]
) -> ExecutorchProgramManager:
    """Return the program that ExecuTorch runs, with the method ``forward``.

    Args:
        program: the step, its inputs and outputs flat tensors.
        integers: store the weights of linear layers and tables in 8 bits.
        texts: method → the text that it returns.
    """
    examples = program.example_inputs[0]
    graph: Any = program.module()
    split_by_slices(graph)
    if integers:
        round_tables(graph)
        graph = _rounded(graph, examples)
    again = torch.export.export(graph, examples)
    edge = to_edge_transform_and_lower(
        again, partitioner=[XnnpackPartitioner()], constant_methods=texts
    )
    return edge.to_executorch()


def split_by_slices(module: fx.GraphModule) -> None:
    """Write every split of ``module`` as slices, in place."""
    graph = module.graph
    for node in [node for node in graph.nodes if node.target in _SPLITS]:
        axis = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
        sizes = [part.shape[axis] for part in node.meta["val"]]
        for user in list(node.users):
            part = user.args[1]
            start = sum(sizes[:part])
            with graph.inserting_before(user):
                made = graph.call_function(
                    _ATEN.slice.Tensor, (node.args[0], axis, start, start + sizes[part])
                )
            made.meta = dict(user.meta)
            user.replace_all_uses_with(made)
            graph.erase_node(user)
        graph.erase_node(node)
    module.recompile()


def round_tables(module: fx.GraphModule) -> None:
    """Store every table that ``module`` looks up in as bytes with one scale a row, in place."""
    graph = module.graph
    for place, node in enumerate([n for n in graph.nodes if n.target == _ATEN.embedding.default]):
        table, ids = node.args[0], node.args[1]
        if table.op != "get_attr":
            continue
        integers, scales = rounded_rows(_attribute(module, table.target))
        names = f"table{place}_integers", f"table{place}_scales"
        for name, tensor in zip(names, (integers, scales), strict=True):
            module.register_buffer(name, tensor)
        with graph.inserting_before(node):
            rows, factors = (
                graph.call_function(_ATEN.embedding.default, (graph.get_attr(name), ids))
                for name in names
            )
            whole = graph.call_function(_ATEN.to.dtype, (rows, torch.float32))
            made = graph.call_function(_ATEN.mul.Tensor, (whole, factors))
        node.replace_all_uses_with(made)
        graph.erase_node(node)
    module.recompile()


def rounded_rows(table: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 ``[V, E]`` and float32 scales ``[V, 1]`` whose product is ``table``, rounded."""
    most = table.detach().abs().amax(1, keepdim=True)  # [V, 1]
    scales = torch.where(most > 0, most / _LEVELS, torch.ones_like(most))  # [V, 1]
    return torch.round(table.detach() / scales).to(torch.int8), scales


def _attribute(module: fx.GraphModule, path: str) -> Tensor:
    found: Any = module
    for part in path.split("."):
        found = getattr(found, part)
    tensor: Tensor = found
    return tensor


def _rounded(module: fx.GraphModule, examples: tuple[Tensor, ...]) -> Any:
    """Return ``module`` with the weights of its linear layers in 8 bits, one scale a row; what they
    multiply is rounded at each call.
    """
    quantizer = XNNPACKQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True))
    prepared = prepare_pt2e(module, quantizer)
    prepared(*examples)
    return convert_pt2e(prepared)
