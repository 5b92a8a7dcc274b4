"""What may decide in a file that decodes: settings and data, never a size, a count or the length
alone.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgernn.contract.interface import FileTensor, Interface
from edgernn.parity.structure.onnx_decoders import follow_decoder
from edgernn.parity.structure.sizes import SizeError, UnknownError
from edgernn.sessions.ort.reading import parse_model

INTERFACE = Interface(
    (
        FileTensor("prompt", "int64", ("fed",)),
        FileTensor("length", "int64", ()),
        FileTensor("h", "float32", (1, 1, 4)),
    ),
    (FileTensor("tokens", "int64", ("written",)),),
)
node = helper.make_node


def follow(count: str, *inside: onnx.NodeProto, before: tuple[onnx.NodeProto, ...] = ()) -> int:
    """Follow a loop that runs ``count`` times; ``inside`` makes ``next`` of ``number`` and
    ``carried``.
    """
    ints, bools = TensorProto.INT64, TensorProto.BOOL
    body = helper.make_graph(
        [*inside, node("Identity", ["going_on"], ["go_on"])],
        "body",
        [
            helper.make_tensor_value_info("number", ints, []),
            helper.make_tensor_value_info("going_on", bools, []),
            helper.make_tensor_value_info("carried", ints, []),
        ],
        [
            helper.make_tensor_value_info("go_on", bools, []),
            helper.make_tensor_value_info("next", ints, []),
            helper.make_tensor_value_info("written", ints, []),
        ],
    )
    constants = {"yes": np.array(True), "zero": np.array(0), "limit": np.array(5000)}
    loop = node("Loop", [count, "yes", "zero"], ["last", "tokens"], body=body)
    graph = helper.make_graph(
        [*before, loop],
        "g",
        [],
        [],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return follow_decoder(
        parse_model(helper.make_model(graph).SerializeToString(), source="x").graph, INTERFACE
    )


CARRY = (node("Gather", ["prompt", "number"], ["next"]), node("Identity", ["next"], ["written"]))


def test_a_loop_counts_the_length_or_an_axis() -> None:
    assert follow("length", *CARRY) == 4
    assert follow("size", *CARRY, before=(node("Size", ["prompt"], ["size"]),)) == 5


@pytest.mark.parametrize("operator", ["Greater", "Equal", "Min", "Mod"])
def test_a_count_decides_nothing(operator: str) -> None:
    late = (node(operator, ["number", "limit"], ["late"]), *CARRY)
    with pytest.raises(
        SizeError, match=rf"{operator} \(late\) is decided by the size of an axis or a count alone"
    ):
        follow("length", *late)


def test_the_length_and_a_carried_count_decide_nothing() -> None:
    with pytest.raises(SizeError, match=r"Greater \(long\) is decided by"):
        follow("length", *CARRY, before=(node("Greater", ["length", "limit"], ["long"]),))
    counting = (
        node("Add", ["carried", "number"], ["next"]),
        node("Less", ["next", "limit"], ["few"]),
    )
    with pytest.raises(SizeError, match=r"Less \(few\) is decided by"):
        follow("length", *counting, node("Identity", ["next"], ["written"]))


def test_data_sets_no_count_and_nothing_is_drawn() -> None:
    with pytest.raises(SizeError, match="repeats as often as data says"):
        follow("chosen", *CARRY, before=(node("ArgMax", ["h"], ["chosen"]),))
    with pytest.raises(SizeError, match=r"RandomUniformLike .* draws random numbers"):
        follow("length", node("RandomUniformLike", ["h"], ["noise"]), *CARRY)
    with pytest.raises(UnknownError, match="does not know Hardmax"):
        follow("length", node("Hardmax", ["h"], ["odd"]), *CARRY)


@pytest.mark.parametrize("through", ["prompt", "same"])
def test_no_fixed_part_of_the_prompt_is_taken(through: str) -> None:
    same = node("Identity", ["prompt"], ["same"])
    with pytest.raises(SizeError, match=rf"Slice \(part\) takes a part of {through}, expected all"):
        follow("length", *CARRY, before=(same, node("Slice", [through, "zero", "limit"], ["part"])))
