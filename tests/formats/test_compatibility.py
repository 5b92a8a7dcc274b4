"""Where else ONNX files run: the data that ships, and what is judged by it."""

from __future__ import annotations

import re

import pytest

from edgernn.formats.compatibility import (
    VERDICTS,
    Elsewhere,
    Result,
    compatibility,
    counted,
    elsewhere,
    elsewhere_text,
    judge,
    summary,
)
from edgernn.models.cells.table import CELLS

GATES = frozenset({"MatMul", "Add", "Tanh", "open sizes"})
FUSED = frozenset({"LSTM", "MatMul", "open sizes"})
RELU = frozenset({"RNN", "RNN with Relu", "MatMul"})
SMALL = frozenset({"MatMulNBits", "Add"})
RESULTS = [
    Result(GATES, "runs"),
    Result(FUSED, "runs", fixed=True),
    Result(frozenset({"RNN", "MatMul"}), "runs"),
    Result(RELU, "wrong", do="take the step"),
    Result(SMALL, "refused", do="take float32"),
]


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        (GATES, Elsewhere("r", "runs")),
        (FUSED, Elsewhere("r", "runs", fixed=True)),
        (GATES - {"Tanh"}, Elsewhere("r", "runs")),
        (FUSED | GATES, Elsewhere("r", "runs", fixed=True)),
        (RELU, Elsewhere("r", "wrong", do="take the step")),
        (RELU | {"Add"}, Elsewhere("r", "wrong", ("RNN with Relu",), do="take the step")),
        (
            GATES | {"MatMulNBits"},
            Elsewhere("r", "refused", ("MatMulNBits",), do="take float32"),
        ),
        (GATES | {"Sin", "Cos"}, Elsewhere("r", "", ("Cos", "Sin"))),
    ],
)
def test_a_file_is_judged_by_what_ran(needs: frozenset[str], found: Elsewhere) -> None:
    assert judge(needs, "r", RESULTS) == found


def test_of_files_with_the_same_needs_the_worst_counts() -> None:
    results = [Result(GATES, "runs"), Result(GATES, "wrong"), Result(GATES, "refused")]
    assert judge(GATES, "r", results).verdict == "wrong"
    assert judge(GATES - {"Add"}, "r", results).verdict == "runs"


def test_fewer_bits_are_told_where_nothing_ran_in_all_of_them() -> None:
    results = [Result(GATES, "inexact", do="say f32"), Result(SMALL, "runs")]
    assert judge(GATES - {"Add"}, "r", results) == Elsewhere("r", "inexact", do="say f32")
    assert judge(frozenset({"Add"}), "r", results) == Elsewhere("r", "runs")


def test_the_lines_to_read() -> None:
    found = [
        Elsewhere("one 1", "runs"),
        Elsewhere("two 2", "runs"),
        Elsewhere("three 3", "runs", fixed=True),
        Elsewhere("four 4", "wrong", ("RNN with Relu",), do="do it"),
        Elsewhere("five 5", "", ("Sin",)),
    ]
    assert elsewhere_text(found) == [
        "runs in one 1, two 2",
        "runs, once every size is fixed, in three 3",
        "four 4: computes something else without saying so (RNN with Relu); do it",
        "five 5: not known (never run with Sin)",
    ]


def test_counts_in_words() -> None:
    assert counted(["runs", "runs"]) == "all"
    assert counted(["refused"]) == "refused"
    assert counted(["wrong", "runs", "refused", "runs"]) == "2 of 4, 1 refused, 1 wrong"
    assert counted([]) == "-"


def test_what_ships_has_every_cell_and_tells_what_became_of_each_file() -> None:
    data = compatibility()
    assert list(data["needs"])[: len(CELLS)] == list(CELLS)
    for name, runtime in data["runtimes"].items():
        assert ("results" in runtime) != ("missing" in runtime), name
        for cell, results in runtime.get("results", {}).items():
            assert results.keys() <= data["needs"][cell].keys(), (name, cell)
            for told in results.values():
                assert told["verdict"] in VERDICTS
                assert ("line" in told) == (told["verdict"] in {"refused", "slow", "crashed"})
                assert not re.search(r"/(home|root|tmp|opt|usr)/|https?:", told.get("line", ""))
    assert {len(cells) for cells in summary().values()} == {len(data["needs"]["lstm"])}


def test_a_rectified_network_is_wrong_in_tract_and_right_in_onnxruntime() -> None:
    needs = compatibility()["needs"]["rnn_relu"]["float32"]
    found = {each.runtime.split()[0]: each.verdict for each in elsewhere(needs)}
    assert (found["tract"], found["OpenVINO"], found["onnxruntime"]) == ("wrong", "inexact", "runs")
