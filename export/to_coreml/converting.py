"""A traced step made into a Core ML package by coremltools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgernn.contract import first_line
from edgernn.errors import ContractError
from edgernn.export.to_coreml.operators import taught
from edgernn.export.to_coreml.recurrent import refuse_kept_whole
from edgernn.export.to_coreml.weights import compression
from edgernn.formats.coreml import COREML
from edgernn.sessions.quiet import quiet

# coremltools prints one line per missing macOS library, and what executorch does that it imports
with quiet():
    import coremltools as ct


def convert(
    module: nn.Module,
    examples: tuple[Tensor, ...],
    path: Path,
    *,
    precision: str,
    target: str,
    metadata: dict[str, str],
    **types: Any,
) -> None:
    """Trace a step, convert it, compress its weights, and save the package at ``path``.

    Args:
        module, examples: the step, and an input for each of its arguments.
        path: the ``.mlpackage``.
        precision: of the products, and of the weights where it is an integer one.
        target: the lowest system that reads the file, as coremltools calls it.
        metadata: what the package says of itself.
        types: ``inputs``, ``outputs`` and ``states`` as coremltools takes them.

    Raises:
        ContractError: coremltools could not convert the step.
    """
    with quiet(), taught():
        traced = torch.jit.trace(module.eval(), examples, check_trace=False)
        _name_apart(traced)
        try:
            program = ct.convert(
                traced,
                convert_to="milinternal",
                minimum_deployment_target=getattr(ct.target, target),
                compute_precision=ct.precision.FLOAT32
                if COREML.promise(precision).exact
                else ct.precision.FLOAT16,
                pass_pipeline=_passes(),
                **types,
            )
            refuse_kept_whole(program, precision)
            package = ct.convert(
                program,
                convert_to="mlprogram",
                minimum_deployment_target=getattr(ct.target, target),
                pass_pipeline=compression(program, precision),
                skip_model_load=True,
            )
        except (ValueError, RuntimeError, NotImplementedError) as error:
            raise ContractError(
                f"coremltools could not convert the step: {first_line(error)}"
            ) from error
        package.user_defined_metadata.update(metadata)
        package.save(str(path))
    _keep_empty_folders(path)


def _name_apart(traced: Any) -> None:
    """Give every value of a traced module a name that no other comes near.

    coremltools writes ``c.1`` as ``c_1``, and ``c`` as ``c_1`` where an input has its name: two
    values are one then, and what reads the first reads the second, without a word.
    """
    torch._C._jit_pass_inline(traced.graph)
    for place, node in enumerate(traced.graph.nodes()):
        for index, value in enumerate(node.outputs()):
            value.setDebugName(f"value{place}of{index}")


def _keep_empty_folders(path: Path) -> None:
    """Put an empty file of weights where there are none: the package names the folder, which an
    archive would lose.
    """
    for folder in path.rglob("weights"):
        if folder.is_dir() and not any(folder.iterdir()):
            (folder / "weight.bin").touch()


def _passes() -> Any:
    """Return coremltools' passes without the one that makes room for negative ids, three operators
    a step: there are none.
    """
    passes = ct.PassPipeline()
    passes.remove_passes(["common::guard_negative_gather_indices"])
    return passes
