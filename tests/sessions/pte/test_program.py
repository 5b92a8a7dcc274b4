"""Programs read as they were written, and damaged ones refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pte_files import KERNEL, Tensor, program

from edgernn.errors import ContractError
from edgernn.sessions.pte.program import Instruction, read_program
from edgernn.sessions.pte.stored import FORWARD, stored_constants

ADD = "aten::add.out"
WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def small() -> bytes:
    values = [
        Tensor((2, 3)),
        Tensor((2, 3), constant=1, planned=False),
        Tensor((2, 3)),
        "a text",
    ]
    return program(
        {
            "values": values,
            "inputs": [0],
            "outputs": [2],
            "operators": [ADD],
            "calls": [(KERNEL, 0, (0, 1, 2, 2))],
        },
        others=[{"name": "said", "values": ["what it says"], "outputs": [0]}],
        constants=WEIGHT.tobytes(),
    )


def test_a_program_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pte").write_bytes(small())
    found = read_program(tmp_path / "a.pte")
    method = found.by_name[FORWARD]
    assert method.operators == (ADD,)
    assert method.instructions == (Instruction(KERNEL, 0, (0, 1, 2, 2)),)
    assert (method.inputs, method.outputs) == ((0,), (2,))
    assert [value.shape for value in method.values] == [(2, 3)] * 3 + [()]
    assert method.values[3].text == "a text"
    assert np.array_equal(found.array(method.values[1]), WEIGHT)
    assert found.text("said") == "what it says"
    assert found.text(FORWARD) is None
    assert found.text("nothing") is None
    (stored,) = stored_constants(found, [])
    assert (stored.shape, stored.dtype, stored.bytes) == ((2, 3), "float32", 24)


@pytest.mark.parametrize("length", [0, 3, 8, 40, 100, 300, -24, -1])
def test_a_part_of_it_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.pte"
    path.write_bytes(small()[:length])
    with pytest.raises(ContractError, match=r"a\.pte is not a whole ExecuTorch program: ") as told:
        read_program(path)
    assert "\n" not in str(told.value)


def test_no_byte_of_it_leads_elsewhere(tmp_path: Path) -> None:
    """Whatever is changed, it is read or refused, and nothing else happens."""
    path, content, refused = tmp_path / "a.pte", small(), 0
    for place in range(8, len(content)):
        for byte in (0, 0xFF, content[place] ^ 1):
            path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
            try:
                read_program(path)
            except ContractError:
                refused += 1
    assert refused > 100


def test_places_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pte"
    for calls, says in (
        ([(KERNEL, 0, (0, 7))], "has 1 values and reads 7"),
        ([(KERNEL, 3, (0,))], "calls 3 of 1"),
    ):
        path.write_bytes(program({"values": [Tensor((1,))], "operators": [ADD], "calls": calls}))
        with pytest.raises(ContractError, match=says):
            read_program(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"b\.pte cannot be read"):
        read_program(tmp_path / "b.pte")
