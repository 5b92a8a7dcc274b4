"""States that go in and do not come out, or come out and have no way in; outputs of the last frame
alone; lengths that are always those of the whole call.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from foreign_files import BATCH_TIME, FEATURES, HIDDEN, OUT, Recurrent, export, hidden_file
from onnx import helper, numpy_helper
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.errors import UsageError
from edgernn.export.foreign_file import export_onnx
from edgernn.hoisting.onnx.driving import StepRun
from edgernn.hoisting.onnx.proof import prove
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.step import Wishes, read_step


class Chosen(nn.Module):
    """A layer of which some of its outputs are returned."""

    def __init__(self, kind: str, pick: str, layers: int = 2) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layer = getattr(nn, kind)(FEATURES, HIDDEN, layers, batch_first=True)
        self.head, self.pick = nn.Linear(HIDDEN, OUT), pick

    def forward(self, x: Tensor, *state: Tensor) -> Tensor | tuple[Tensor, ...]:
        y, left = self.layer(x, state if len(state) > 1 else state[0] if state else None)
        h = left[0] if isinstance(left, tuple) else left
        picked = {
            "all": (self.head(y),),
            "last": (self.head(y[:, -1]),),
            "top": (self.head(h[-1]),),
            "both": (self.head(y), h),
            "states": (self.head(y), *(left if isinstance(left, tuple) else (left,))),
            "state": (h,),
            "mean": (self.head(y.mean(1)),),
            "mixed": (self.head(y), self.head(y[:, -1])),
        }
        return picked[self.pick]


def chosen_file(path: Path, kind: str, pick: str, *, given: int = 0, layers: int = 2) -> Path:
    names = ["h0", "c0"][:given]
    examples = [torch.randn(2, 4, FEATURES), *(torch.randn(layers, 2, HIDDEN) for _ in names)]
    axes = {"x": BATCH_TIME, **{name: {1: "batch"} for name in names}}
    count = {"states": 3 if kind == "LSTM" else 2, "both": 2, "mixed": 2}.get(pick, 1)
    outputs = ["y", "left", "other"][:count]
    module = Chosen(kind, pick, layers)
    return export(module, examples, path, inputs=["x", *names], outputs=outputs, axes=axes)


@pytest.mark.parametrize(("kind", "given"), [("GRU", 1), ("LSTM", 2), ("RNN", 1)])
@pytest.mark.parametrize("layers", [1, 3])
def test_what_goes_in_and_does_not_come_out(
    tmp_path: Path, kind: str, given: int, layers: int
) -> None:
    path = chosen_file(tmp_path / "f.onnx", kind, "all", given=given, layers=layers)
    step = read_step(path)
    assert [s.name for s in step.contract.step.states] == ["h0", "c0"][:given]
    assert prove(step).worst < 1e-5
    # from another state than zeros, too: cut in two, it is what the file gives at once
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 20, FEATURES), np.float32)
    first = {
        n: random.standard_normal((layers, 2, HIDDEN), np.float32) for n in ["h0", "c0"][:given]
    }
    whole = Runner(step.original)({"x": x, **first})["y"]
    run = Runner(step.model_proto)
    early = run({"x": x[:, :7], **first})
    late = run({"x": x[:, 7:], **{name: early[f"{name}_next"] for name in first}})
    assert np.abs(np.concatenate([early["y"], late["y"]], 1) - whole).max() < 1e-5


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("pick", ["both", "states"])
def test_what_comes_out_and_has_no_way_in(tmp_path: Path, kind: str, pick: str) -> None:
    step = read_step(chosen_file(tmp_path / "f.onnx", kind, pick))
    assert [t.name for t in step.contract.step.read_outputs] == ["y"]
    assert len(step.contract.step.states) == (4 if kind == "LSTM" else 2)
    assert any("the output left is a state" in warning for warning in step.warnings)
    assert prove(step).worst < 1e-5


@pytest.mark.parametrize("pick", ["last", "top", "state", "mixed"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_an_output_of_the_last_frame_makes_steps_of_one(
    tmp_path: Path, kind: str, pick: str
) -> None:
    path = chosen_file(tmp_path / "f.onnx", kind, pick)
    step = read_step(path)
    assert not step.contract.step.has_time
    assert any("a step takes 1 frame" in warning for warning in step.warnings)
    assert prove(step).worst < 1e-5
    x = np.random.default_rng(1).standard_normal((1, 40, FEATURES), np.float32)
    name = step.contract.step.read_outputs[-1].name
    made = StepRun(step).run({"x": np.moveaxis(x[:, :, None], 1, 0)}, [1] * 40)[name]
    for frames in (1, 17, 40):
        wanted = Runner(step.original)({"x": x[:, :frames]})[name]
        assert np.abs(made[frames - 1] - wanted).max() < 1e-5


def test_it_goes_into_a_bundle(tmp_path: Path) -> None:
    path = chosen_file(tmp_path / "f.onnx", "GRU", "last")
    made = export_onnx(path, tmp_path / "b", precision=["float32", "int8"])
    report = verify_bundle(made, steps=32)
    assert report.passed and report.complete


def test_a_mean_over_the_whole_is_no_step(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is made of more than a state"):
        prove(read_step(chosen_file(tmp_path / "f.onnx", "GRU", "mean")))


def with_lengths(path: Path, *, input_name: str | None = None) -> Path:
    """Give the layer the lengths of its sequences: of the whole call, or as an input says."""
    model_proto = onnx.load(str(hidden_file(path, "GRU")))
    graph = model_proto.graph
    at = next(i for i, node in enumerate(graph.node) if node.op_type == "GRU")
    node = graph.node[at]
    if input_name is None:
        consts = {"zero": np.array(0), "one": np.array([1]), "first": np.array(1)}
        for name, array in consts.items():
            graph.initializer.append(numpy_helper.from_array(array, f"k_{name}"))
        new = [
            helper.make_node("Shape", [node.input[0]], ["sizes"]),
            helper.make_node("Gather", ["sizes", "k_zero"], ["frames"], axis=0),
            helper.make_node("Gather", ["sizes", "k_first"], ["rows"], axis=0),
            helper.make_node("Reshape", ["rows", "k_one"], ["rows1"]),
            helper.make_node("Expand", ["frames", "rows1"], ["long"]),
            helper.make_node("Cast", ["long"], ["lengths"], to=onnx.TensorProto.INT32),
        ]
        nodes = [*graph.node[:at], *new, *graph.node[at:]]
        del graph.node[:]
        graph.node.extend(nodes)
        node = graph.node[at + len(new)]
    else:
        graph.input.append(
            helper.make_tensor_value_info(input_name, onnx.TensorProto.INT32, ["batch"])
        )
    node.input[4] = input_name or "lengths"
    onnx.save(model_proto, str(path))
    return path


def test_lengths_of_the_whole_call_are_left_out(tmp_path: Path) -> None:
    step = read_step(with_lengths(tmp_path / "f.onnx"))
    assert [t.name for t in step.contract.step.fresh_inputs] == ["x"]
    assert prove(step).worst < 1e-5


def test_lengths_as_an_input_are_refused_by_name(tmp_path: Path) -> None:
    path = with_lengths(tmp_path / "f.onnx", input_name="x_len")
    with pytest.raises(
        UsageError, match=r"GRU \(.*\) takes the lengths of its sequences from x_len"
    ):
        read_step(path)


def test_a_start_from_an_input_that_is_no_state_is_refused(tmp_path: Path) -> None:
    class Conditioned(Recurrent):
        def forward(self, x: Tensor, speaker: Tensor) -> tuple[Tensor, ...]:
            h = torch.tanh(speaker).unsqueeze(0)
            return (self.head(self.layer(x, h)[0]),)

    examples = [torch.randn(2, 4, FEATURES), torch.randn(2, HIDDEN)]
    axes = {"x": BATCH_TIME, "speaker": {0: "batch"}}
    path = export(Conditioned(), examples, tmp_path / "f.onnx", inputs=["x", "speaker"],
                  outputs=["y"], axes=axes)  # fmt: skip
    with pytest.raises(UsageError, match="comes from speaker, which goes on as no output"):
        read_step(path, Wishes())


class Flattened(nn.Module):
    """A word model as PyTorch's own example has it: its scores have batch and time in one axis."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.table = nn.Embedding(11, FEATURES)
        self.layer = nn.LSTM(FEATURES, HIDDEN, batch_first=batch_first)
        self.head = nn.Linear(HIDDEN, 11)

    def forward(self, ids: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        y, left = self.layer(self.table(ids), (h, c))
        return (torch.log_softmax(self.head(y).view(-1, 11), 1), *left)


@pytest.mark.parametrize("batch_first", [True, False])
def test_batch_and_time_in_one_axis_are_taken_apart(tmp_path: Path, batch_first: bool) -> None:
    axes = {"ids": BATCH_TIME if batch_first else {0: "seq", 1: "batch"}}
    axes |= {name: {1: "batch"} for name in ("h", "c")}
    examples = [
        torch.zeros(3, 4, dtype=torch.int64),
        *(torch.zeros(1, 3 if batch_first else 4, HIDDEN) for _ in "hc"),
    ]
    path = export(Flattened(batch_first=batch_first), examples, tmp_path / "f.onnx",
                  inputs=["ids", "h", "c"], outputs=["y", "hn", "cn"], axes=axes)  # fmt: skip
    step = read_step(path)
    wanted = ("batch", "time") if batch_first else ("time", "batch")
    assert step.contract.step.read_outputs[0].axes == (*wanted, "vocab")
    assert step.contract.step.scores is not None
    assert prove(step).worst < 1e-5
    made = export_onnx(path, tmp_path / "b", precision=["float32", "int8"])
    assert verify_bundle(made, steps=24).passed


class Strided(nn.Module):
    """A convolution that takes two frames at a time, or three with one before, and a GRU behind."""

    def __init__(self, width: int) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.conv = nn.Conv1d(FEATURES, HIDDEN, width, stride=2)
        self.layer = nn.GRU(HIDDEN, OUT, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.conv(x.transpose(1, 2)).transpose(1, 2))[0]


@pytest.mark.parametrize(("width", "context"), [(2, {}), (3, {"x": 1})])
@pytest.mark.parametrize("frames", [2, 4])
def test_a_step_of_several_frames(
    tmp_path: Path, width: int, context: dict[str, int], frames: int
) -> None:
    path = export(Strided(width), [torch.randn(2, 8, FEATURES)], tmp_path / "f.onnx", inputs=["x"],
                  outputs=["y"], axes={"x": BATCH_TIME})  # fmt: skip
    if not context:
        with pytest.raises(UsageError, match=r"does not run on|time=4"):
            read_step(path)
    said = Wishes(inputs=(f"x: float32[batch, time={frames}, {FEATURES}]",), left_context=context)
    step = read_step(path, said)
    assert any(f"a step takes {frames} frames" in warning for warning in step.warnings)
    assert step.contract.shape(step.contract.step.fresh_inputs[0], batch=3) == (3, frames, FEATURES)
    assert len(step.contract.step.states) == 1 + len(context)
    assert prove(step).worst < 1e-5
    assert verify_bundle(export_onnx(path, tmp_path / "b", wishes=said), steps=16).passed
