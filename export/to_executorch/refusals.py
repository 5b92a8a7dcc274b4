"""What an ExecuTorch program cannot hold, or would run a hundred times slower."""

from __future__ import annotations

from pathlib import Path

from edgernn.contract.interface import Interface
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.pte.program import read_program
from edgernn.sessions.pte.stored import FORWARD, LOOKUP


def refuse_open(interface: Interface) -> None:
    """Raise UsageError for an input with an axis of any size."""
    for tensor in interface.inputs:
        if axes := [axis for axis in tensor.shape or () if isinstance(axis, str)]:
            raise UsageError(
                f"ExecuTorch files take fixed sizes, and {tensor.name} has the open axis "
                f"{axes[0]}; say its size with --axis {axes[0]}=20, or leave ExecuTorch "
                "out"
            )


def refuse_undelegated(path: Path) -> None:
    """Raise ContractError where XNNPACK took no part of the written program: what is left to
    ExecuTorch's own operators runs a hundred times slower, but for looking up rows of a table.
    """
    method = read_program(path).by_name[FORWARD]
    if not method.delegates and {*method.operators} != {LOOKUP}:
        raise ContractError(
            f"XNNPACK took none of the operators {', '.join(method.operators)}, so every step "
            "would run in ExecuTorch's portable ones, a hundred times slower; use another format"
        )
