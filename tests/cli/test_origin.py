"""What a loss that is told of a model is of."""

from __future__ import annotations

from edgernn.cli.origin import loss_unit


def test_a_loss_is_of_an_example_where_training_says_so_else_of_a_token() -> None:
    assert loss_unit({"unit": "clip"}, "char") == "clip"
    assert loss_unit({"unit": 3}, "char") == "character"
    assert loss_unit({}, "") == "token"
