"""Trees are walked in their order, whatever they hold, and never without end."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.containers.content import Content, Stub
from edgernn.containers.walk import modules, plain_attributes, tensors, walk
from edgernn.errors import DataError

ONE, TWO, THREE = (np.full(1, n) for n in (1, 2, 3))


def module(name: str, **parts: Any) -> Stub:
    """A module's stub: its parameters, buffers and modules, and plain attributes."""
    state = {"_parameters": {}, "_buffers": {}, "_modules": {}, "training": False, **parts}
    return Stub(name, (), state)


def test_names_are_those_of_the_state_dict() -> None:
    inner = module("Inner", _parameters={"weight": ONE, "bias": None}, _buffers={"mean": TWO})
    net = module("Net", _modules={"a": inner, "b": inner}, _parameters={"scale": THREE}, width=4)
    found = tensors([net, {"x": (ONE, 5)}])
    assert list(found) == [
        "0.scale",
        "0.a.weight",
        "0.a.mean",
        "0.b.weight",
        "0.b.mean",
        "1.x.0",
    ]
    assert [name for name, _ in modules([net])] == ["0", "0.a", "0.b"]
    assert plain_attributes(net) == {"training": False, "width": 4}


def test_a_tensor_alone_has_no_name() -> None:
    assert list(tensors(ONE)) == [""]


def test_a_branch_in_itself_is_not_entered_again() -> None:
    tree: dict[str, Any] = {"a": ONE}
    tree["self"] = tree
    assert list(tensors(tree)) == ["a"]
    assert [place for place, _ in walk(tree)] == [(), ("a",), ("self",)]


def test_keys_that_are_objects_are_named() -> None:
    key = Stub("torch.Tensor", (ONE,))
    key.state = {key: key}
    assert list(tensors({key: ONE, 3: TWO, None: THREE})) == ["torch.Tensor", "3", "None"]


@pytest.mark.parametrize("tree", [{"n" * 2000: [ONE]}, [[[]] * 1000] * 1000])
def test_a_tree_without_end_is_refused(tree: Any) -> None:
    with pytest.raises(DataError, match="too deep or too large to be a network"):
        tensors(tree)


def test_the_file_of_such_a_tree_is_named() -> None:
    with pytest.raises(DataError, match=r"^a/net\.pt holds a tree that is too deep or too large"):
        tensors(Content(Path("a/net.pt"), "a pickle", {"n" * 2000: [ONE]}))


def test_what_is_deep_is_refused() -> None:
    tree: list[Any] = []
    for _ in range(200):
        tree = [tree]
    with pytest.raises(DataError, match="too deep"):
        tensors(tree)


def test_a_wide_branch_far_below_takes_no_memory() -> None:
    tree: list[Any] = [None] * 300_000
    for _ in range(30):
        tree = [tree]
    tracemalloc.start()
    try:
        assert tensors(tree) == {}
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_what_an_object_holds_that_is_no_module_is_found_once() -> None:
    weight = np.ones(3)
    inner = Stub("own.Inner", state={"w": weight})
    trainer = Stub("own.Trainer", state={"net": inner, "again": inner}, entries=[("key", weight)])
    inner.state["trainer"] = trainer  # which holds itself
    assert tensors(trainer).keys() == {"net.w", "key"}
