"""A stack over time is chosen by one name, and described by the layers that stand for it."""

from __future__ import annotations

from typing import Any

import pytest

from edgernn.contract import validated
from edgernn.errors import UsageError
from edgernn.models.layered.over_time import Stack


def layer(name: str, kind: str, given: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "inputs": [given], "options": options}


@pytest.mark.parametrize(
    ("said", "kind", "options"),
    [
        ({}, "recurrent", {"cell": "lstm"}),
        (
            {"cell": "nas", "between": "highway", "weights": "ternary", "dropout": 0.5},
            "recurrent",
            {"cell": "nas", "between": "highway", "weights": "ternary", "dropout": 0.5},
        ),
        (
            {"cell": "lstm_projected", "cell_options": "projection=3, "},
            "recurrent",
            {"cell": "lstm_projected", "cell_options": {"projection": "3"}},
        ),
        (
            {"cell": "causal_convolution", "kernel": 2, "growth": 3},
            "causal_convolution",
            {"kernel": 2, "growth": 3},
        ),
    ],
    ids=str,
)
def test_what_is_said_is_described(
    said: dict[str, Any], kind: str, options: dict[str, Any]
) -> None:
    stack = validated(Stack, hidden=8, layers=2, **said)
    assert stack.described("a", "x") == [layer("a", kind, "x", hidden=8, layers=2, **options)]


def test_what_goes_over_maps_is_one_layer_after_another_and_their_mean() -> None:
    stack = Stack(cell="conv_lstm", hidden=5, layers=2, kernel=5)
    assert stack.described("a", "x", maps=True) == [
        layer("a_0", "conv_lstm", "x", width=5, kernel=5),
        layer("a_1", "conv_lstm", "a_0", width=5, kernel=5),
        layer("a", "frame_vector", "a_1", by="mean"),
    ]


def test_widths_are_told() -> None:
    assert Stack(cell="lstm_projected", hidden=8, cell_options={"projection": "3"}).width == 3
    assert Stack(cell="causal_convolution", hidden=8).width == 8
    assert Stack(cell="gru", hidden=8).states == {"h": 8}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"cell": "lstmm"}, "expected one of .*causal_convolution, conv_lstm; did you mean lstm"),
        ({"cell": "gru", "kernel": 3}, "gru takes no --kernel.*causal_convolution or conv_lstm"),
        ({"cell": "gru", "growth": 3}, "gru takes no --growth.*choose causal_convolution$"),
        (
            {"cell": "causal_convolution", "between": "residual"},
            "causal_convolution takes no --between; leave it out, or choose a recurrent cell",
        ),
        ({"cell": "causal_convolution", "weights": "binary"}, "takes no --weights"),
        ({"cell": "causal_convolution", "cell_options": "a=b"}, "takes no --cell-options"),
        ({"cell": "conv_lstm"}, "conv_lstm takes a map a frame, and here stand vectors"),
        ({"cell_options": "projection"}, "expected NAME=VALUE"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_by_name(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        validated(Stack, **said).described("a", "x")


def test_no_vectors_over_maps_and_what_wants_a_cell_says_why() -> None:
    with pytest.raises(UsageError, match="gru takes vectors, and here stand maps"):
        Stack(cell="gru").described("a", "x", maps=True)
    Stack(cell="nas").of_cells("it must be one")
    with pytest.raises(UsageError, match="causal_convolution is no recurrent cell: it must be"):
        Stack(cell="causal_convolution").of_cells("it must be one")


def test_what_came_later_is_left_out_where_nothing_is_said() -> None:
    class Old(Stack):
        """As a family has it."""

        cell: str = "gru"

    plain = {"cell": "gru", "hidden": 64, "layers": 1, "dropout": 0.0}
    assert Old().model_dump() == plain
    assert Old.model_validate(plain) == Old()
    said = Old(weights="binary", growth=3)
    assert said.model_dump() == {**plain, "weights": "binary", "growth": 3}
    assert Old.model_validate_json(said.model_dump_json()) == said
