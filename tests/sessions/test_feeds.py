"""What goes into a file is checked by the contract: whatever is wrong with it is named."""

from __future__ import annotations

import re

import numpy as np
import pytest

from edgernn.contract import FileContract, Narrowing
from edgernn.errors import ContractError
from edgernn.families.language import language_contract
from edgernn.sessions.feeds import CheckedFeeds

LAYERS, HIDDEN, VOCABULARY = 2, 3, 7
CONTRACT = language_contract(("h", "c"), layers=LAYERS, hidden=HIDDEN, vocabulary=VOCABULARY)


def checked(**narrowing: object) -> CheckedFeeds:
    return CheckedFeeds(
        FileContract(contract=CONTRACT, narrowing=Narrowing.model_validate(narrowing))
    )


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


H = C = zeros(2, 1, 3)
ONE = zeros(1, 1, dtype="int64")
REFUSED = {
    "state missing": (
        {"tokens": ONE},
        {"h": H},
        "state 'c' is missing; feed back what the last step returned",
    ),
    "input missing": ({}, {"h": H, "c": C}, "input 'tokens' is missing; it is int64 [batch, time]"),
    "unknown input": (
        {"tokens": ONE, "mask": ONE},
        {"h": H, "c": C},
        "unknown input ['mask']; expected ['tokens']",
    ),
    "unknown state": (
        {"tokens": ONE},
        {"h": H, "c": C, "s": H},
        "unknown state ['s']; expected ['h', 'c']",
    ),
    "output fed as state": (
        {"tokens": ONE},
        {"h_next": H, "c": C},
        "unknown state ['h_next']; expected ['h', 'c']",
    ),
    "state as input": (
        {"tokens": ONE, "h": H},
        {"c": C},
        "unknown input ['h']; expected ['tokens']",
    ),
    "tokens of int32": (
        {"tokens": zeros(1, 1, dtype="int32")},
        {"h": H, "c": C},
        "tokens is int32, expected int64 [batch, time]",
    ),
    "state of float64": (
        {"tokens": ONE},
        {"h": H, "c": zeros(2, 1, 3, dtype="float64")},
        "c is float64, expected float32 [layers, batch, hidden]",
    ),
    "a list": ({"tokens": [[0]]}, {"h": H, "c": C}, "tokens is list, expected int64 [batch, time]"),
    "tokens without time": (
        {"tokens": zeros(1, dtype="int64")},
        {"h": H, "c": C},
        "tokens has shape [1], expected int64 [batch, time]",
    ),
    "state without layers": (
        {"tokens": ONE},
        {"h": zeros(1, 3), "c": C},
        "h has shape [1, 3], expected float32 [layers, batch, hidden]",
    ),
    "batch of tokens and state": (
        {"tokens": zeros(2, 1, dtype="int64")},
        {"h": H, "c": C},
        "h has batch = 1 (shape [2, 1, 3]), expected 2 as in tokens",
    ),
    "batch of the second state": (
        {"tokens": ONE},
        {"h": H, "c": zeros(2, 2, 3)},
        "c has batch = 2 (shape [2, 2, 3]), expected 1 as in tokens",
    ),
    "hidden size": (
        {"tokens": ONE},
        {"h": zeros(2, 1, 4), "c": C},
        "h has hidden = 4 (shape [2, 1, 4]), expected 3 as in this file",
    ),
    "layers": (
        {"tokens": ONE},
        {"h": zeros(3, 1, 3), "c": C},
        "h has layers = 3 (shape [3, 1, 3]), expected 2 as in this file",
    ),
    "no inputs": (None, {"h": H, "c": C}, "inputs is NoneType, expected a dict of arrays by name"),
    "no state": ({"tokens": ONE}, None, "state is NoneType, expected a dict of arrays by name"),
    "no rows": (
        {"tokens": zeros(0, 1, dtype="int64")},
        {"h": zeros(2, 0, 3), "c": zeros(2, 0, 3)},
        "tokens has batch = 0 (shape [0, 1]), expected at least 1",
    ),
    "no steps": (
        {"tokens": zeros(1, 0, dtype="int64")},
        {"h": H, "c": C},
        "tokens has time = 0 (shape [1, 0]), expected at least 1",
    ),
}


@pytest.mark.parametrize(("inputs", "state", "says"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_the_contract_is_named(inputs: dict, state: dict, says: str) -> None:
    with pytest.raises(ContractError, match=f"^{re.escape(says)}$"):
        checked()(inputs, state)


@pytest.mark.parametrize(("inputs", "state", "says"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_the_contract_is_named_after_a_right_call_too(
    inputs: dict, state: dict, says: str
) -> None:
    check = checked()
    for _ in range(2):
        assert set(check({"tokens": ONE}, {"h": H, "c": C})) == {"tokens", "h", "c"}
        with pytest.raises(ContractError, match=f"^{re.escape(says)}$"):
            check(inputs, state)


@pytest.mark.parametrize("right_before", [False, True])
@pytest.mark.parametrize(
    ("rows", "found"), [([[-1]], -1), ([[VOCABULARY]], VOCABULARY), ([[2, 9, -1], [1, 1, 8]], 9)]
)
def test_an_id_outside_the_vocabulary_is_named(
    rows: list[list[int]], found: int, right_before: bool
) -> None:
    check, state = checked(), {name: zeros(2, len(rows), 3) for name in ("h", "c")}
    if right_before:
        check({"tokens": np.ones((len(rows), len(rows[0])), np.int64)}, state)
    with pytest.raises(
        ContractError, match=f"^tokens has the value {found}, expected 0 to {VOCABULARY - 1}$"
    ):
        check({"tokens": np.array(rows, np.int64)}, state)


@pytest.mark.parametrize(
    ("narrowing", "shape", "says"),
    [
        (
            {"axes": {"batch": 1}},
            (2, 1),
            "tokens has batch = 2 (shape [2, 1]), expected 1 as in this file",
        ),
        (
            {"axes": {"time": 1}},
            (1, 3),
            "tokens has time = 3 (shape [1, 3]), expected 1 as in this file",
        ),
        (
            {"axes": {"time": 4}},
            (1, 3),
            "tokens has time = 3 (shape [1, 3]), expected 4 as in this file",
        ),
    ],
    ids=["batch", "one step", "four steps"],
)
def test_a_narrowed_axis_takes_one_size(narrowing: dict, shape: tuple[int, int], says: str) -> None:
    state = {name: zeros(2, shape[0], 3) for name in ("h", "c")}
    with pytest.raises(ContractError, match=re.escape(says)):
        checked(**narrowing)({"tokens": zeros(*shape, dtype="int64")}, state)
