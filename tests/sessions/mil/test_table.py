"""What the table does not know is refused by name, before anything runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgernn.errors import ContractError
from edgernn.sessions.mil.table import COMPUTING, CONTROL, KNOWN, MOVING, function_of


def operation(kind: str, **inputs: Any) -> Any:
    return SimpleNamespace(
        op_type=kind,
        name=f"{kind}_7",
        inputs={n: SimpleNamespace(val=v) for n, v in inputs.items()},
    )


def test_a_row_is_the_function() -> None:
    x = np.array([-1.0, 2])
    assert (function_of(operation("relu", x=None))(x=x) == [0, 2]).all()
    assert function_of(operation("reverse", x=None))(x=x).tolist() == [2, -1]


def test_no_operator_stands_in_two_kinds() -> None:
    kinds = (set(COMPUTING), set(MOVING), set(CONTROL))
    assert sum(map(len, kinds)) == len(set.union(*kinds))
    assert set.union(*kinds) < KNOWN


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(
        ContractError, match=r"the interpreter does not know the operator 'l2_norm' \(l2_norm_7\)"
    ):
        function_of(operation("l2_norm", x=None))


def test_an_unknown_input_is_named() -> None:
    with pytest.raises(
        ContractError,
        match=r"does not know the input 'rounding' of the operator 'linear' \(linear_7\)",
    ):
        function_of(operation("linear", x=None, weight=None, rounding=None))


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("scatter", "mode", "swap"),
        ("gru", "recurrent_activation", "elu"),
        ("lstm", "activation", "x"),
    ],
)
def test_an_unknown_option_is_named(kind: str, option: str, value: str) -> None:
    told = rf"the operator '{kind}' \({kind}_7\) has {option} = '{value}'; the interpreter knows"
    with pytest.raises(ContractError, match=told):
        function_of(operation(kind, **{option: value}))
