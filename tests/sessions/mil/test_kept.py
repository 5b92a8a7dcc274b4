"""How a saved program keeps its states, told from its text."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("coremltools")

from coremltools.proto import MIL_pb2

from edgernn.sessions.mil.kept import kept_problems


def operation(kind: str, out: str = "", **inputs: str) -> Any:
    """An operator of a saved program: its kind, its result, and what it takes."""
    made = MIL_pb2.Operation(type=kind)
    if out:
        made.outputs.add(name=out)
    for argument, name in inputs.items():
        made.inputs[argument].arguments.add(name=name)
    return made


def kept(name: str, value: str, over: str = "") -> list[Any]:
    """What coremltools writes for an assignment to a whole state."""
    return [
        operation("slice_update", f"{name}_new", x=f"{over or name}_read", update=value),
        operation("write_state", input=name, data=f"{name}_new"),
    ]


READS = [operation("read_state", f"{name}_read", input=name) for name in ("h", "c")]
STEP = [operation("tanh", "a", x="h_read"), operation("tanh", "b", x="c_read")]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ([*READS, *STEP, *kept("h", "a"), *kept("c", "b")], []),
        # an assignment that a later coremltools writes without slice_update
        ([*READS, *STEP, operation("write_state", input="h", data="a"), *kept("c", "b")], []),
        ([*READS, *STEP, *kept("h", "a")], ["the state c is written 0 times, expected once"]),
        (
            [*READS, *STEP, *kept("h", "a"), *kept("c", "b"), *kept("h", "a")],
            ["the state h is written 2 times, expected once"],
        ),
        (
            [READS[0], *kept("h", "a"), *kept("c", "b", over="h")],
            ["the state c is never read", "the state c is given what is made for h"],
        ),
        (
            [READS[0], *kept("h", "a"), READS[1], *kept("c", "b"), READS[0]],
            ["the state h is read after it is written"],
        ),
        (
            [*READS, *kept("h", "a", over="c"), *kept("c", "b", over="h")],
            ["the state h is given what is made for c", "the state c is given what is made for h"],
        ),
        (
            [*READS, *kept("h", "a"), *kept("c", "b"), operation("read_state", "x", input="own")],
            ["it keeps the state own, expected c, h"],
        ),
    ],
)
def test_what_is_said_of_a_program(program: list[Any], said: list[str]) -> None:
    assert kept_problems(program, ["h", "c"]) == said


def test_a_state_that_is_cast_before_it_is_written_over() -> None:
    program = [
        READS[0],
        operation("cast", "h_wide", x="h_read"),
        operation("slice_update", "h_new", x="h_wide", update="a"),
        operation("write_state", input="h", data="h_new"),
    ]
    assert kept_problems(program, ["h"]) == []
    assert kept_problems(program, []) == ["it keeps the state h, expected none"]
