"""Which input goes on as which output, where names and shapes mislead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_files import FEATURES, FLOAT, HIDDEN, cell_file, graph_file, value, weights
from onnx import helper

from edgernn.errors import UsageError
from edgernn.hoisting.onnx.proof import prove
from edgernn.hoisting.onnx.step import Wishes, read_step

node = helper.make_node


def enhancer_file(path: Path, *, hidden: int, state: str, after: str) -> Path:
    """A mask on what goes in, made by a cell of plain operators: the mask fits its input."""
    random, shape = np.random.default_rng(0), ["batch", FEATURES]
    nodes = [
        node("MatMul", ["mix", "w"], ["a"]),
        node("MatMul", [state, "u"], ["b"]),
        node("Add", ["a", "b"], ["s"]),
        node("Tanh", ["s"], [after]),
        node("MatMul", [after, "m"], ["logit"]),
        node("Sigmoid", ["logit"], ["mask"]),
        node("Mul", ["mix", "mask"], ["enh"]),
    ]
    return graph_file(
        path,
        nodes,
        [value("mix", FLOAT, shape), value(state, FLOAT, ["batch", hidden])],
        [value("enh", FLOAT, shape), value(after, FLOAT, ["batch", hidden])],
        {
            "w": weights(random, FEATURES, hidden),
            "u": weights(random, hidden, hidden),
            "m": weights(random, hidden, FEATURES),
        },
    )


@pytest.mark.parametrize("hidden", [HIDDEN, FEATURES])
def test_names_win_over_a_shape_that_fits_an_activation(tmp_path: Path, hidden: int) -> None:
    path = enhancer_file(tmp_path / "f.onnx", hidden=hidden, state="cache", after="cache_out")
    step = read_step(path)
    assert {s.before: s.after for s in step.states} == {"cache": "cache_out"}
    assert step.contract.step.fresh_inputs[0].name == "mix"
    assert prove(step).worst < 1e-5


@pytest.mark.parametrize("hidden", [HIDDEN, FEATURES])
def test_what_nothing_decides_is_asked_with_its_candidates(tmp_path: Path, hidden: int) -> None:
    path = enhancer_file(tmp_path / "f.onnx", hidden=hidden, state="first", after="second")
    with pytest.raises(UsageError, match=r"--state \"(mix|first)=") as caught:
        read_step(path)
    assert "mix" in str(caught.value) and "second" in str(caught.value)
    step = read_step(path, Wishes(states=("first=second",)))
    assert [state.before for state in step.states] == ["first"]
    assert prove(step).worst < 1e-5


def shifting_file(path: Path, *, echo: bool = False) -> Path:
    """The last three frames, kept by a file that calls them anything; with ``echo`` an output that
    is the frame itself.
    """
    nodes = [
        node("Unsqueeze", ["a", "axis"], ["frame"]),
        node("Concat", ["b", "frame"], ["four"], axis=1),
        node("Slice", ["four", "one", "end", "axis"], ["d"]),
        node("ReduceMean", ["four"], ["mean"], axes=[1], keepdims=0),
        node("Tanh", ["mean"], ["c"]),
        *([node("Identity", ["a"], ["e"])] if echo else []),
    ]
    shapes = {"a": ["batch", FEATURES], "b": ["batch", 3, FEATURES]}
    outputs = {"c": shapes["a"], "d": shapes["b"], **({"e": shapes["a"]} if echo else {})}
    return graph_file(
        path,
        nodes,
        [value(name, FLOAT, shape) for name, shape in shapes.items()],
        [value(name, FLOAT, shape) for name, shape in outputs.items()],
        {"axis": np.array([1]), "one": np.array([1]), "end": np.array([99])},
    )


@pytest.mark.parametrize("echo", [False, True])
def test_frames_that_are_moved_on_are_state(tmp_path: Path, echo: bool) -> None:
    step = read_step(shifting_file(tmp_path / "f.onnx", echo=echo))
    assert {s.before: s.after for s in step.states} == {"b": "d"}
    assert "what moves it on" in step.states[0].where
    assert prove(step).worst < 1e-5


def test_a_shape_that_alone_fits_is_taken_and_told(tmp_path: Path) -> None:
    random, names = np.random.default_rng(0), {"w": FEATURES, "u": HIDDEN}
    nodes = [
        node("MatMul", ["in1", "w"], ["a"]),
        node("MatMul", ["in2", "u"], ["b"]),
        node("Add", ["a", "b"], ["s"]),
        node("Tanh", ["s"], ["first"]),
        node("MatMul", ["first", "m"], ["second"]),
    ]
    path = graph_file(
        tmp_path / "f.onnx",
        nodes,
        [value("in1", FLOAT, ["batch", FEATURES]), value("in2", FLOAT, ["batch", HIDDEN])],
        [value("first", FLOAT, ["batch", HIDDEN]), value("second", FLOAT, ["batch", 3])],
        {**{n: weights(random, size, HIDDEN) for n, size in names.items()},
         "m": weights(random, HIDDEN, 3)},
    )  # fmt: skip
    step = read_step(path)
    assert {s.before: s.after for s in step.states} == {"in2": "first"}
    assert any("by its shape alone" in warning for warning in step.warnings)
    assert prove(step).worst < 1e-5


def test_a_state_that_is_told_must_be_there_and_fit(tmp_path: Path) -> None:
    path = cell_file(tmp_path / "f.onnx", ["h", "c"], ["hn", "cn"])
    for text, words in (
        ("h=zn", "--state names 'zn', which is no output of the file"),
        ("k=hn", "--state names 'k', which is no input of the file"),
        ("h", "expected IN=OUT"),
        ("h=y", "is \\[1, 8\\] and y is \\[1, 3\\]"),
    ):
        with pytest.raises(UsageError, match=words):
            read_step(path, Wishes(states=(text,)))


def growing_file(path: Path, past: str, present: str) -> Path:
    """All of the past, kept: one frame more a call."""
    nodes = [
        node("Unsqueeze", ["x", "axis"], ["frame"]),
        node("Concat", [past, "frame"], [present], axis=1),
        node("ReduceMean", [present], ["y"], axes=[1], keepdims=0),
    ]
    return graph_file(
        path,
        nodes,
        [value("x", FLOAT, ["batch", FEATURES]), value(past, FLOAT, ["batch", 4, FEATURES])],
        [value("y", FLOAT, ["batch", FEATURES]), value(present, FLOAT, ["batch", 5, FEATURES])],
        {"axis": np.array([1])},
    )


@pytest.mark.parametrize("names", [("past", "present"), ("keys", "keys_out"), ("cache", "new")])
def test_a_state_that_grows_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    path = growing_file(tmp_path / "f.onnx", *names)
    with pytest.raises(UsageError, match=f"the state {names[0]} grows"):
        read_step(path)
