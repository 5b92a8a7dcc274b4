"""Outputs in which batch and time are one axis, as word models flatten them: taken apart again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgernn.contract import BATCH, TIME
from edgernn.hoisting.onnx.axes import Declared
from edgernn.hoisting.onnx.editing import rename
from edgernn.hoisting.onnx.names import unlike
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.sizes import Sizes, feeds


def unflatten(
    model_proto: onnx.ModelProto, declared: Mapping[str, Declared], probes: Sequence[Sizes]
) -> list[str]:
    """Give outputs of batch times time an axis for each, in place, in the order in which the first
    input has them; return those outputs.
    """
    both = (own for own in declared.values() if None not in (own.place(BATCH), own.place(TIME)))
    source = next(both, None)
    if source is None or any(axis.each > 1 for axis in source.axes):
        return []
    run = Runner(model_proto)
    runs = [run(feeds(declared, sizes)) for sizes in probes]
    wanted = [sizes[BATCH] * sizes[TIME] for sizes in probes]
    found = []
    for value in list(model_proto.graph.output):
        shapes = [made[value.name].shape for made in runs]
        places = [
            place for place in range(len(shapes[0])) if [shape[place] for shape in shapes] == wanted
        ]
        if len(places) == 1:
            _take_apart(model_proto.graph, value.name, places[0], shapes[0], source=source)
            found.append(value.name)
    return found


def _take_apart(
    graph: onnx.GraphProto, name: str, place: int, shape: Sequence[int], *, source: Declared
) -> None:
    names = {n for node in graph.node for n in (*node.input, *node.output)}
    flat = unlike(f"{name}_flat", names)
    for node in graph.node:
        rename(node, {name: flat})
    where = sorted((source.place(BATCH) or 0, source.place(TIME) or 0))
    constants = {
        "places": np.array(where),
        "before": np.array(shape[:place], np.int64),
        "after": np.array(shape[place + 1 :], np.int64),
    }
    called = {word: f"{flat}_{word}" for word in (*constants, "sizes", "own", "shape")}
    for word, array in constants.items():
        graph.initializer.append(numpy_helper.from_array(array, called[word]))
    parts = [called["before"], called["own"], called["after"]]
    graph.node.extend(
        [
            helper.make_node("Shape", [source.name], [called["sizes"]]),
            helper.make_node(
                "Gather", [called["sizes"], called["places"]], [called["own"]], axis=0
            ),
            helper.make_node("Concat", parts, [called["shape"]], axis=0),
            helper.make_node("Reshape", [flat, called["shape"]], [name], name=name),
        ]
    )
