"""Files that are damaged or put together wrongly: one line of refusal, or a step that is proved."""

from __future__ import annotations

import random
from pathlib import Path

import onnx
import pytest
from foreign_files import cell_file, given_file, hidden_file

from edgernn.errors import EdgernnError
from edgernn.hoisting.onnx.proof import TOLERANCE, prove
from edgernn.hoisting.onnx.step import read_step

_TRIES = 60


def damaged(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        kind, at = draw.random(), draw.randrange(len(changed))
        if kind < 0.5:
            changed[at] = draw.randrange(256)
        elif kind < 0.75:
            del changed[at : at + draw.randint(1, 20)]
        else:
            changed[at:at] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 8)))
    return bytes(changed)


def rewired(content: bytes, draw: random.Random) -> bytes:
    model_proto = onnx.load_from_string(content)
    graph = model_proto.graph
    node, names = draw.choice(graph.node), [n for o in graph.node for n in (*o.input, *o.output)]
    kind = draw.randrange(6)
    if kind == 0:
        graph.node.remove(node)
    elif kind == 1 and node.input:
        node.input[draw.randrange(len(node.input))] = draw.choice([*names, ""])
    elif kind == 2:
        node.op_type = draw.choice([other.op_type for other in graph.node] + ["Shape", "LSTM"])
    elif kind == 3 and node.attribute:
        node.attribute.remove(draw.choice(node.attribute))
    elif kind == 4 and graph.initializer:
        graph.initializer.remove(draw.choice(graph.initializer))
    else:
        value = draw.choice([*graph.input, *graph.output])
        dim = draw.choice(value.type.tensor_type.shape.dim)
        dim.Clear()
        dim.dim_value = draw.choice([0, 1, 2, 7])
    return model_proto.SerializeToString()


@pytest.mark.parametrize("change", [damaged, rewired])
@pytest.mark.parametrize("form", ["hidden", "given", "cell"])
def test_nothing_but_a_refusal_or_a_proof(tmp_path: Path, form: str, change) -> None:
    path = tmp_path / "f.onnx"
    if form == "hidden":
        hidden_file(path, "LSTM")
    elif form == "given":
        given_file(path, "GRU", ["x", "h"], ["y", "hn"])
    else:
        cell_file(path, ["h", "c"], ["hn", "cn"])
    content, draw, refused = path.read_bytes(), random.Random(f"{form} {change.__name__}"), 0
    for _ in range(_TRIES):
        path.write_bytes(change(content, draw))
        try:
            assert prove(read_step(path), steps=32).worst <= TOLERANCE
        except EdgernnError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > _TRIES // 4
