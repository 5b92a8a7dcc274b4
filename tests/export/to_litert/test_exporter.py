"""What the exporter of LiteRT alone must keep: names and metadata in the file, weights that are
integers where that is asked for, the step of a network of frames; and what it refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError, UnavailableError
from edgernn.export import environments, export_module

pytest.importorskip("ai_edge_litert")

from edgernn.export.to_litert import converting
from edgernn.export.to_litert.exporter import LiteRTExporter
from edgernn.export.to_litert.rules import rules_for
from edgernn.sessions.litert.model_file import SIGNATURE, read
from edgernn.sessions.opening import open_session

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "litert"
MADE = pytest.mark.skipif(
    environments.find("litert") is None, reason="edgernn doctor --make litert was not run"
)


def test_without_the_environment_the_command_is_named(
    make_model: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    converting._LAST.clear()
    with pytest.raises(
        UnavailableError,
        match=r"^converting to LiteRT needs an environment of its own, which is not made yet; run: "
        r"edgernn doctor --make litert$",
    ):
        LiteRTExporter().export(
            make_model(), tmp_path / "step.tflite", precision="float32", decoding=None
        )
    assert not (tmp_path / "step.tflite").exists()


def test_a_row_is_cut_in_the_largest_blocks_that_divide_it() -> None:
    model = read(FIXTURES / "gru-float32.tflite")
    rules = [rule for rule in rules_for(model, "int4") if rule[1] == "FULLY_CONNECTED"]
    widths = {
        f"^{model.tensors[o.outputs[0]].name};?$": model.tensors[o.inputs[1]].shape[1]
        for o in model.operators
        if o.kind == "FULLY_CONNECTED"
    }
    assert {rule[0]: rule[3] for rule in rules} == {
        name: "BLOCKWISE_64" if width == 64 else "CHANNELWISE" for name, width in widths.items()
    }
    assert sorted(widths.values()) == [4, 4, 64]


def test_the_line_of_an_exception_is_told() -> None:
    told = (
        "(00:01) [START] x\nTraceback (most recent call last):\n  File\nValueError: no aten.foo\n"
    )
    assert converting._reason(told) == "ValueError: no aten.foo"
    assert converting._reason("") == "no reason"
    assert converting._reason("Killed\n(00:02) [ DONE] x\n") == "Killed"


@MADE
def test_a_converter_that_fails_is_told_in_one_line(
    make_model: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "convert.py"
    script.write_text("raise NotImplementedError('aten.foo has no lowering')\n")
    monkeypatch.setattr(converting, "_CONVERT", script)
    converting._LAST.clear()
    with pytest.raises(
        ContractError,
        match=r"^litert-torch could not convert the step: NotImplementedError: aten.foo has no "
        r"lowering; export to another format$",
    ):
        LiteRTExporter().export(
            make_model(), tmp_path / "step.tflite", precision="float32", decoding=None
        )


class _Frames(nn.Module):
    """A network of frames whose last layer is bare, and whose count goes through."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(5, 7, batch_first=True), nn.Linear(7, 3, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        y, _ = self.rnn(frames)
        return self.head(y)  # [B, T, 3]


@MADE
def test_a_network_of_frames_steps_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(2)
    net = _Frames().eval()
    frames = torch.rand(1, 40, 5) - 0.5
    bundle = export_module(
        net, frames[:, :4], tmp_path / "b", to="litert", precision=("float32", "int8", "int4"),
        steps=8,
    )  # fmt: skip
    with torch.no_grad():
        wanted = net(frames).numpy()
    for name, limit in (("step", 1e-6), ("step-int8", 0.02), ("step-int4", 0.2)):
        path = bundle.path(f"litert/{name}.tflite")
        session = open_session(bundle, f"litert/{name}.tflite")
        (fresh,), state, found = session.spec.fresh_inputs, session.initial_state(), []
        for frame in frames.numpy()[0]:
            outputs, state = session.step({fresh.name: frame[None, None]}, state)
            found.append(next(iter(outputs.values()))[0, 0])
        assert np.abs(np.stack(found) - wanted[0]).max() < limit
        model = read(path)
        assert SIGNATURE.encode() in path.read_bytes()
        assert list(model.signature.inputs) == [t.name for t in session.spec.inputs]
        assert list(model.signature.outputs) == [t.name for t in session.spec.outputs]
