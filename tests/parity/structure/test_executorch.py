"""What the structure of an ExecuTorch program proves, and what it refuses by name: programs made
for it, which nothing runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pte_files import JUMP, KERNEL, MOVE, Tensor, program

from edgernn.contract import FileContract
from edgernn.errors import ContractError
from edgernn.parity.structure.executorch import ExecuTorchStructure
from edgernn.parity.structure.sizes import SizeError, UnknownError

ADD = "aten::add.out"
STEP: dict[str, Any] = {
    "values": [Tensor((2,)), Tensor((2,)), Tensor((2,)), Tensor((2,))],
    "inputs": [0, 1],
    "outputs": [2],
    "operators": [ADD],
    "calls": [(KERNEL, 0, (0, 1, 2, 2))],
}
ANY: Any = None  # a contract of which nothing is read


def prove(tmp_path: Path, others: Any = (), **changed: Any) -> str:
    path = tmp_path / "step.pte"
    path.write_bytes(program({**STEP, **changed}, others=others, constants=bytes(8)))
    contract: FileContract = ANY
    return ExecuTorchStructure(path).prove(contract)


def test_a_step_of_what_it_is_given_is_proved(tmp_path: Path) -> None:
    proved = prove(tmp_path)
    assert proved.startswith("0 delegates of XNNPACK with 0 operators, portable operators: ")
    assert f"{ADD} (1)" in proved


def test_a_view_of_what_was_written_is_read(tmp_path: Path) -> None:
    """ExecuTorch copies no view whose shape is fixed: it gives it the same memory."""
    values = [Tensor((2,)), Tensor((2,)), Tensor((2,), at=64), Tensor((1, 2), at=64), Tensor((2,))]
    calls = [(KERNEL, 0, (0, 1, 2, 2)), (KERNEL, 0, (0, 3, 4, 4))]
    assert f"{ADD} (2)" in prove(tmp_path, values=values, calls=calls, outputs=[4])
    with pytest.raises(SizeError, match="reads value 3, which nothing has written"):
        prove(tmp_path, values=values, calls=calls[1:], outputs=[4])
    values[3] = Tensor((1, 3), at=64)  # more than was written
    with pytest.raises(SizeError, match="reads value 3, which nothing has written"):
        prove(tmp_path, values=values, calls=calls, outputs=[4])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"calls": [(KERNEL, 0, (0, 3, 2, 2))]},
            "reads value 3, which nothing has written: a state that the file keeps",
        ),
        (
            {"calls": [(KERNEL, 0, (0, 3, 2, 2)), (MOVE, 0, (2, 3))]},
            "reads value 3, which nothing has written: a state that the file keeps",
        ),
        (
            {
                "operators": [ADD, "aten::copy_"],
                "calls": [(KERNEL, 0, (0, 3, 2, 2)), (KERNEL, 1, (3, 2, 3))],
            },
            "reads value 3, which nothing has written: a state that the file keeps",
        ),
        ({"calls": [(KERNEL, 0, (0, 1, 1, 1))]}, "writes to value 1, an input or a constant"),
        ({"calls": []}, "it returns value 2, which nothing has written"),
        ({"calls": [*STEP["calls"], (JUMP, 0, (2, 0))]}, "it jumps to another instruction"),
        ({"operators": ["aten::rand_like.out"]}, "rand_like.out draws random numbers"),
        ({"operators": ["aten::bernoulli.Tensor_out"]}, "draws random numbers"),
        ({"operators": ["aten::nonzero.out"]}, "a result whose size depends on data"),
        (
            {"values": [*STEP["values"][:3], Tensor((2,), dynamic=True)]},
            "value 3 has an open size",
        ),
        (
            {"values": [*STEP["values"][:3], Tensor((2,), constant=1)]},
            "value 3 has a first value and is written",
        ),
        (
            {"others": [{"name": "reset", "values": [Tensor((2,))]}]},
            r"it has the methods \['reset'\] beside forward",
        ),
    ],
)
def test_what_is_no_step_is_named(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(SizeError, match=says):
        prove(tmp_path, **changed)


@pytest.mark.parametrize("operator", ["custom::add.out", "aten::add_", "aten::copy_"])
def test_what_is_not_known_is_said(tmp_path: Path, operator: str) -> None:
    with pytest.raises(UnknownError, match=operator):
        prove(tmp_path, operators=[operator])


def test_a_program_without_a_step_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "step.pte"
    path.write_bytes(program({**STEP, "name": "other"}))
    with pytest.raises(ContractError, match="has no method 'forward'"):
        ExecuTorchStructure(path)
