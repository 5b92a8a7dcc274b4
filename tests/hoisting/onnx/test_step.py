"""Steps of foreign files against the files themselves, whatever way they keep their state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from foreign_files import (
    BATCH_TIME,
    FEATURES,
    FLOAT,
    HIDDEN,
    INT64,
    OUT,
    Recurrent,
    cell_file,
    chained,
    export,
    given_file,
    graph_file,
    hidden_file,
    value,
    weights,
)
from onnx import helper
from torch import Tensor, nn

from edgernn.contract import next_name
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.proof import prove
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.step import ForeignStep, Wishes, read_step

STEPS = 256


def states_of(step: ForeignStep) -> dict[str, tuple[int, ...]]:
    contract = step.contract
    return {s.name: contract.shape(s, batch=1) for s in contract.step.states}


def first_of(step: ForeignStep, batch: int) -> dict[str, np.ndarray]:
    made = {}
    for spec in step.contract.step.states:
        shape = step.contract.shape(spec, batch=batch)
        first = step.first_state.get(spec.name, np.zeros((), spec.dtype))
        made[spec.name] = np.broadcast_to(first, shape).astype(spec.dtype)
    return made


def stepped(step: ForeignStep, frames: np.ndarray, name: str = "x") -> np.ndarray:
    """Run ``frames [B, T, I]`` one at a time; return the first output ``[B, T, O]``."""
    run, state = Runner(step.model_proto), first_of(step, len(frames))
    made = []
    for at in range(frames.shape[1]):
        found = run({name: frames[:, at : at + 1], **state})
        state = {own: found[next_name(own)] for own in state}
        made.append(found[step.contract.step.read_outputs[0].name])
    return np.concatenate(made, 1)


def whole(path: Path, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return chained(path, [feeds], {}, {})[0]["y"]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("layers", [1, 2])
def test_hidden_state_comes_out(tmp_path: Path, kind: str, layers: int) -> None:
    path = hidden_file(tmp_path / "f.onnx", kind, layers=layers)
    step = read_step(path)
    count = layers * (2 if kind == "LSTM" else 1)
    assert [*states_of(step).values()] == [(1, 1, HIDDEN)] * count
    x = np.random.default_rng(0).standard_normal((3, STEPS, FEATURES), np.float32)
    assert np.abs(stepped(step, x) - whole(path, {"x": x})).max() < 1e-5
    assert prove(step).worst < 1e-5


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_start_that_is_stored_in_the_file_is_the_first_value(tmp_path: Path, kind: str) -> None:
    path = hidden_file(tmp_path / "f.onnx", kind, start=True)
    step = read_step(path)
    first = [*step.first_state.values()]
    assert np.allclose(first[0].ravel(), np.linspace(-0.5, 0.5, HIDDEN))
    assert step.contract.initial_state == dict.fromkeys(states_of(step), "stored")
    x = np.random.default_rng(0).standard_normal((2, STEPS, FEATURES), np.float32)
    assert np.abs(stepped(step, x) - whole(path, {"x": x})).max() < 1e-5


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs", "pairs"),
    [
        ("GRU", ["x", "h0"], ["y", "hn"], {"h0": "hn"}),
        ("GRU", ["feat.in", "foo"], ["some", "bar/2"], {"foo": "bar/2"}),
        ("LSTM", ["x", "h", "c"], ["y", "c_strange", "a"], {"h": "c_strange", "c": "a"}),
        ("RNN", ["x", "y"], ["z", "x_out"], {"y": "x_out"}),
    ],
)
def test_states_of_a_recurrent_operator_are_paired_by_dataflow(
    tmp_path: Path, kind: str, inputs: list[str], outputs: list[str], pairs: dict[str, str]
) -> None:
    path = given_file(tmp_path / "f.onnx", kind, inputs, outputs)
    step = read_step(path)
    assert {s.before: s.after for s in step.states} == pairs
    assert all("recurrent operators" in state.where for state in step.states)
    assert set(states_of(step).values()) == {(2, 1, HIDDEN)}
    assert prove(step).worst < 1e-5


@pytest.mark.parametrize(
    ("states", "after", "how"),
    [
        (["h", "c"], ["hn", "cn"], "names"),
        (["hx", "cx"], ["hx_out", "cx_out"], "names"),
        (["state_h", "state_c"], ["state_h_new", "state_c_new"], "names"),
        (["aa", "bb"], ["uu", "ww"], "carries"),
    ],
)
def test_cells_of_plain_operators_are_paired(
    tmp_path: Path, states: list[str], after: list[str], how: str
) -> None:
    path = cell_file(tmp_path / "f.onnx", states, after)
    step = read_step(path)
    assert {s.before: s.after for s in step.states} == dict(zip(states, after, strict=True))
    assert any(how in state.where for state in step.states)
    assert prove(step).worst < 1e-5
    random = np.random.default_rng(2)
    frames = [{"x": random.standard_normal((2, FEATURES), np.float32)} for _ in range(STEPS)]
    zeros = {name: np.zeros((2, HIDDEN), np.float32) for name in states}
    made = chained(path, frames, zeros, dict(zip(states, after, strict=True)))
    run, state = Runner(step.model_proto), first_of(step, 2)
    for call, expected in zip(frames, made, strict=True):
        found = run({**call, **state})
        state = {own: found[next_name(own)] for own in state}
        assert np.abs(found["y"] - expected["y"]).max() < 1e-5


def test_a_pair_that_is_told_wins(tmp_path: Path) -> None:
    path = cell_file(tmp_path / "f.onnx", ["h", "c"], ["hn", "cn"])
    crossed = read_step(path, Wishes(states=("h=cn", "c=hn")))
    assert {s.before: s.after for s in crossed.states} == {"h": "cn", "c": "hn"}


def test_time_on_the_first_axis(tmp_path: Path) -> None:
    module = Recurrent("GRU", batch_first=False)
    axes = {"x": {0: "time", 1: "batch"}}
    path = export(module, [torch.randn(4, 2, FEATURES)], tmp_path / "f.onnx", inputs=["x"],
                  outputs=["y"], axes=axes)  # fmt: skip
    step = read_step(path)
    assert step.contract.step.fresh_inputs[0].axes[:2] == ("time", "batch")
    assert step.contract.step.read_outputs[0].axes[:2] == ("time", "batch")
    assert prove(step).worst < 1e-5


def test_axes_without_names_are_asked_for(tmp_path: Path) -> None:
    path = hidden_file(tmp_path / "f.onnx", "GRU")
    model_proto = onnx.load(str(path))
    for place, dim in enumerate(model_proto.graph.input[0].type.tensor_type.shape.dim):
        dim.Clear() if place == 0 else setattr(dim, "dim_param" if place == 1 else "dim_value",
                                               "anything" if place == 1 else FEATURES)  # fmt: skip
    onnx.save(model_proto, str(path))
    with pytest.raises(UsageError, match=r'--inputs "x: float32\[batch, time, 5\]"'):
        read_step(path)
    step = read_step(path, Wishes(inputs=("x: float32[batch, time, 5]",)))
    assert prove(step).worst < 1e-5
    assert step.contract.step.fresh_inputs[0].axes == ("batch", "time", "x_width")


def test_axes_that_the_file_baked_are_opened_where_it_runs(tmp_path: Path) -> None:
    names = {"inputs": ["x"], "outputs": ["y"]}
    example = [torch.randn(1, 16, FEATURES)]
    path = export(Recurrent("GRU"), example, tmp_path / "f.onnx", **names, axes={})
    with pytest.raises(UsageError, match="no input has a time axis"):
        read_step(path)
    step = read_step(path, Wishes(inputs=(f"x: float32[batch, time, {FEATURES}]",)))
    assert "time" in step.contract.step.fresh_inputs[0].axes
    assert prove(step).worst < 1e-5


class OverFrequency(nn.Module):
    """A GRU both ways over the bands of a frame, then one over time for each band."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.bands = nn.GRU(2, 3, batch_first=True, bidirectional=True)
        self.frames = nn.GRU(6, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        b, t, f, c = x.shape
        y = self.bands(x.reshape(b * t, f, c))[0].reshape(b, t, f, 6)
        y = y.permute(0, 2, 1, 3).reshape(b * f, t, 6)
        return self.frames(y)[0].reshape(b, f, t, 4).permute(0, 2, 1, 3)


def test_both_ways_over_another_axis_is_no_obstacle(tmp_path: Path) -> None:
    path = export(OverFrequency(), [torch.randn(2, 5, 7, 2)], tmp_path / "f.onnx", inputs=["x"],
                  outputs=["y"], axes={"x": BATCH_TIME})  # fmt: skip
    step = read_step(path)
    assert [*states_of(step).values()] == [(1, 7, 4)]  # a row of the state for each band
    assert prove(step).worst < 1e-5


def test_both_ways_over_time_is_refused_by_name(tmp_path: Path) -> None:
    path = hidden_file(tmp_path / "f.onnx", "LSTM", bidirectional=True)
    with pytest.raises(UsageError, match=r"LSTM \(/layer/LSTM\) is bidirectional over time"):
        read_step(path)


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table, self.layer = (
            nn.Embedding(11, FEATURES),
            nn.GRU(FEATURES, HIDDEN, batch_first=True),
        )

    def forward(self, tokens: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(self.table(tokens), h)


def test_ids_are_below_the_rows_of_their_table(tmp_path: Path) -> None:
    examples = [torch.zeros(2, 3, dtype=torch.int64), torch.zeros(1, 2, HIDDEN)]
    axes = {"tokens": BATCH_TIME, "h": {1: "batch"}}
    path = export(Tagger(), examples, tmp_path / "f.onnx", inputs=["tokens", "h"],
                  outputs=["y", "next"], axes=axes)  # fmt: skip
    ids = read_step(path).contract.step.ids
    assert ids is not None and ids.name == "tokens"
    assert read_step(path).contract.vocabulary == 11


def branch_file(path: Path) -> Path:
    """A GRU cell's input is scaled by one of two tables, chosen by a number that is given."""
    random, node = np.random.default_rng(0), helper.make_node
    branches = {}
    for word, width in (("then", 16), ("else", 8)):
        table = helper.make_tensor(f"{word}_w", FLOAT, [FEATURES, HIDDEN],
                                   weights(random, FEATURES, HIDDEN).ravel())  # fmt: skip
        nodes = [
            node("Constant", [], [f"{word}_w"], value=table),
            node("MatMul", ["x", f"{word}_w"], ["p"]),
            node("Constant", [], [f"{word}_s"], value_float=float(width)),
            node("Div", ["p", f"{word}_s"], ["q"]),
        ]
        out = value("q", FLOAT, None)
        branches[f"{word}_branch"] = helper.make_graph(nodes, word, [], [out])
    nodes = [
        node("Constant", [], ["rate"], value_int=16000),
        node("Equal", ["sr", "rate"], ["fast"]),
        node("If", ["fast"], ["mixed"], name="choose", **branches),
        node("MatMul", ["state", "u"], ["carried"]),
        node("Add", ["mixed", "carried"], ["sum"]),
        node("Tanh", ["sum"], ["stateN"]),
        node("MatMul", ["stateN", "head"], ["y"]),
    ]
    shape = ["batch", HIDDEN]
    return graph_file(
        path,
        nodes,
        [
            value("x", FLOAT, ["batch", FEATURES]),
            value("state", FLOAT, shape),
            value("sr", INT64, []),
        ],
        [value("y", FLOAT, ["batch", OUT]), value("stateN", FLOAT, shape)],
        {"u": weights(random, HIDDEN, HIDDEN), "head": weights(random, HIDDEN, OUT)},
    )


def test_a_scalar_is_bound_and_its_branch_taken(tmp_path: Path) -> None:
    path = branch_file(tmp_path / "f.onnx")
    with pytest.raises(
        UsageError, match=r"If \(choose\) branches on the input sr; bind it, as --set"
    ):
        read_step(path)
    steps = {rate: read_step(path, Wishes(settings={"sr": rate})) for rate in ("16000", "8000")}
    for step in steps.values():
        assert "If" not in {node.op_type for node in step.model_proto.graph.node}
        assert [tensor.name for tensor in step.contract.step.inputs] == ["x", "state"]
        assert step.renamed == {"stateN": "state_next"}
        assert prove(step).worst < 1e-5
    x = np.ones((1, FEATURES), np.float32)
    made = [Runner(s.model_proto)({"x": x, **first_of(s, 1)})["y"] for s in steps.values()]
    assert np.abs(made[0] - made[1]).max() > 1e-2
    with pytest.raises(UsageError, match="--set names 'rs', which is no input"):
        read_step(path, Wishes(settings={"rs": "1"}))
    with pytest.raises(UsageError, match="--set sr is 'fast', expected a value of int64"):
        read_step(path, Wishes(settings={"sr": "fast"}))


class Restarting(nn.Module):
    """A step whose first layer has its state in and out, and whose second begins anew."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.kept = nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.anew = nn.LSTM(HIDDEN, 4, batch_first=True)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        y, left = self.kept(x, h)
        return self.anew(y)[0], left


def restarting_file(path: Path, axes: dict[int, str]) -> Path:
    given = {"x": axes, "h": {1: "batch"}}
    examples = [torch.randn(2, 4, FEATURES), torch.zeros(1, 2, HIDDEN)]
    return export(Restarting(), examples, path, inputs=["x", "h"], outputs=["y", "hn"], axes=given)


def test_a_layer_that_begins_anew_gets_a_state_and_a_warning(tmp_path: Path) -> None:
    step = read_step(restarting_file(tmp_path / "f.onnx", BATCH_TIME))
    assert [*states_of(step)] == ["h", "anew_h", "anew_c"]
    assert any("LSTM (/anew/LSTM), which begins anew" in warning for warning in step.warnings)
    assert prove(step).worst < 1e-5


def test_a_layer_that_begins_anew_in_a_step_of_fixed_length_stays(tmp_path: Path) -> None:
    path = restarting_file(tmp_path / "f.onnx", {0: "batch"})
    step = read_step(path)
    assert [*states_of(step)] == ["h"]
    assert any("LSTM (/anew/LSTM) begins anew" in warning for warning in step.warnings)
    assert prove(step).worst < 1e-5
    with pytest.raises(UsageError, match="say how many a call takes"):
        read_step(restarting_file(tmp_path / "g.onnx", BATCH_TIME), Wishes(keep_restarts=True))


class Causal(nn.Module):
    """A convolution over the five last frames, or over two before and two after."""

    def __init__(self, *, ahead: bool = False) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv = nn.Conv1d(FEATURES, HIDDEN, 5, padding=2 if ahead else 0)
        self.layer = nn.GRU(HIDDEN, OUT, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.conv(x.transpose(1, 2)).transpose(1, 2))[0]


def test_past_frames_that_a_wrapper_keeps_are_state(tmp_path: Path) -> None:
    path = export(Causal(), [torch.randn(2, 9, FEATURES)], tmp_path / "f.onnx", inputs=["x"],
                  outputs=["y"], axes={"x": BATCH_TIME})  # fmt: skip
    step = read_step(path, Wishes(left_context={"x": 4}))
    assert states_of(step)["x_past"] == (1, 4, FEATURES)
    assert prove(step).worst < 1e-5
    x = np.random.default_rng(0).standard_normal((2, 40, FEATURES), np.float32)
    padded = np.concatenate([np.zeros((2, 4, FEATURES), np.float32), x], 1)
    assert np.abs(stepped(step, x) - whole(path, {"x": padded})).max() < 1e-5


def test_a_file_that_needs_the_future_is_refused(tmp_path: Path) -> None:
    path = export(Causal(ahead=True), [torch.randn(2, 9, FEATURES)], tmp_path / "f.onnx",
                  inputs=["x"], outputs=["y"], axes={"x": BATCH_TIME})  # fmt: skip
    with pytest.raises(UsageError, match="needs the future"):
        prove(read_step(path))


class Deep(nn.Module):
    """Two recurrent layers of different depth, the states of both given in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.LSTM(FEATURES, HIDDEN, 2, batch_first=True)
        self.flat = nn.GRU(HIDDEN, HIDDEN, batch_first=True)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, g: Tensor) -> tuple[Tensor, ...]:
        y, (h, c) = self.deep(x, (h, c))
        y, g = self.flat(y, g)
        return y, h, c, g


def deep_file(path: Path) -> Path:
    names = ["x", "h", "c", "g"]
    rows = {1: "batch"}
    deep, flat = torch.zeros(2, 2, HIDDEN), torch.zeros(1, 2, HIDDEN)
    return export(
        Deep(),
        (torch.randn(2, 5, FEATURES), deep, deep, flat),
        path,
        inputs=names,
        outputs=["y", "hn", "cn", "gn"],
        axes={"x": BATCH_TIME, "h": rows, "c": rows, "g": rows},
    )


def test_states_of_different_depth_have_axes_of_their_own(tmp_path: Path) -> None:
    step = read_step(deep_file(tmp_path / "net.onnx"))
    prove(step)
    axes = {state.name: state.axes[0] for state in step.contract.step.states}
    assert axes == {"h": "layers", "c": "layers", "g": "g_0"}
    assert (step.contract.sizes["layers"], step.contract.sizes["g_0"]) == (2, 1)


def test_an_axis_of_the_users_keeps_its_name(tmp_path: Path) -> None:
    told = Wishes(inputs=("g: float32[layers=1, batch, y_width=8]",))
    step = read_step(deep_file(tmp_path / "net.onnx"), told)
    axes = {state.name: state.axes[0] for state in step.contract.step.states}
    assert axes == {"h": "h_0", "c": "h_0", "g": "layers"}


def test_several_inputs_are_told_in_one_text(tmp_path: Path) -> None:
    told = "x: float32[batch, time, 5], h: float32[deep=2, batch, 8]; g: float32[one=1, batch, 8]"
    step = read_step(deep_file(tmp_path / "net.onnx"), Wishes(inputs=(told,)))
    axes = {state.name: state.axes[0] for state in step.contract.step.states}
    assert axes == {"h": "deep", "c": "layers", "g": "one"}


def test_a_weight_that_is_not_finite_is_named(tmp_path: Path) -> None:
    path = deep_file(tmp_path / "net.onnx")
    model_proto = onnx.load(path)
    tensor = next(t for t in model_proto.graph.initializer if len(t.dims) == 3)
    weight = onnx.numpy_helper.to_array(tensor).copy()
    weight.flat[0] = np.nan
    tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
    onnx.save(model_proto, path)
    with pytest.raises(UsageError, match=f"not finite: {tensor.name} holds NaN"):
        read_step(path)
