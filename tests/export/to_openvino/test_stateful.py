"""What OpenVINO's variables cannot hold is refused by name, before anything runs."""

from __future__ import annotations

import pytest

pytest.importorskip("openvino")

from edgernn.contract import Contract, FileContract, GraphSpec, TensorSpec
from edgernn.errors import ContractError
from edgernn.export.to_openvino.stateful import refuse_unkept


def of(dtype: str) -> FileContract:
    axes = ("batch", "width")
    tensors = (
        TensorSpec(name="x", dtype="float32", axes=axes, role="input"),
        TensorSpec(name="seen", dtype=dtype, axes=axes, role="state"),
    )
    made = (
        TensorSpec(name="y", dtype="float32", axes=axes, role="output"),
        TensorSpec(name="seen_next", dtype=dtype, axes=axes, role="state"),
    )
    step = GraphSpec(name="step", inputs=tensors, outputs=made)
    return FileContract(contract=Contract(graphs=(step,), sizes={"width": 4}))


@pytest.mark.parametrize("dtype", ["int64", "int16", "float64"])
def test_a_state_that_is_not_kept_is_refused(dtype: str) -> None:
    with pytest.raises(ContractError, match=f"OpenVINO keeps no state of {dtype}, and seen is one"):
        refuse_unkept(of(dtype))


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_the_others_are_kept(dtype: str) -> None:
    refuse_unkept(of(dtype))
