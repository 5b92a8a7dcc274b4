"""A step graph with its state layer by layer: the same numbers, and neither split nor joined
inside.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest

from edgernn.contract import TIME, FileContract, Narrowing
from edgernn.export.to_onnx.layered import by_layer
from edgernn.export.to_onnx.tracing import IR_VERSION, trace
from edgernn.models.language import LanguageModel

MakeModel = Callable[..., LanguageModel]


def step_graph(model: LanguageModel) -> onnx.ModelProto:
    file_contract = FileContract(
        contract=model.config.contract(), narrowing=Narrowing(axes={TIME: 1})
    )
    made = trace(copy.deepcopy(model).step_face(), file_contract)
    made.ir_version = IR_VERSION
    return made


def states(model: LanguageModel) -> list[str]:
    return [state.name for state in model.config.contract().step.states]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_layers_go_in_and_come_out_by_themselves(make_model: MakeModel, cell: str) -> None:
    model = make_model(cell=cell, layers=3).requires_grad_(False)
    whole = step_graph(model)
    before = whole.SerializeToString()
    layered = by_layer(whole.graph, states(model))
    assert whole.SerializeToString() == before, "the graph that was given is not changed"
    assert all(len(parts) == 3 for parts in (*layered.before.values(), *layered.after.values()))
    kinds = [
        node.op_type
        for node in layered.graph.node
        if not node.name.startswith("/model/recurrent/layers")
    ]
    assert "Split" not in kinds
    apart = onnx.helper.make_model(
        layered.graph, opset_imports=whole.opset_import, ir_version=IR_VERSION
    )
    onnx.checker.check_model(apart, full_check=True)
    random = np.random.default_rng(1)
    given = {name: random.uniform(-1, 1, (3, 1, 8)).astype(np.float32) for name in states(model)}
    tokens = {"tokens": np.array([[5]], np.int64)}
    pieces = {
        part: given[name][i : i + 1]
        for name, parts in layered.before.items()
        for i, part in enumerate(parts)
    }
    expected, found = run(whole, {**tokens, **given}), run(apart, {**tokens, **pieces})
    assert np.array_equal(expected["logits"], found["logits"])
    for name, parts in layered.after.items():
        assert np.array_equal(
            expected[f"{name}_next"], np.concatenate([found[part] for part in parts])
        )


def test_one_layer_stays_as_it_is(make_model: MakeModel) -> None:
    model = make_model(layers=1).requires_grad_(False)
    whole = step_graph(model)
    layered = by_layer(whole.graph, states(model))
    assert (layered.before, layered.after) == (
        {"h": ["h"], "c": ["c"]},
        {"h": ["h_next"], "c": ["c_next"]},
    )
    assert layered.graph == whole.graph


def test_a_fused_graph_stays_as_it_is(make_model: MakeModel) -> None:
    model = make_model(layers=2).requires_grad_(False)
    whole = trace(model, FileContract(contract=model.config.contract()))
    assert by_layer(whole.graph, states(model)).before == {"h": ["h"], "c": ["c"]}


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))
