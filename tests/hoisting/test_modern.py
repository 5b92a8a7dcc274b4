"""Modern recurrences: hoisted, exported, and run a thousand steps in the exported files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgernn.export.module_bundle import export_module
from edgernn.sessions.opening import open_session
from tests.hoisting import modern, rwkv
from tests.hoisting.drawn import drawn

_STEPS, _ROWS = 1000, 2
_FRAMES = {"x": f"float32[batch, time, {modern.D}]"}
_FRAME = {"x": f"float32[batch, {modern.D}]"}
_TIMED = {**_FRAMES, "elapsed": "float32[batch, time]"}


def _drawn_inputs(net, inputs):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(_ROWS, _STEPS, modern.D, generator=generator)
    given = {"x": x}
    if "elapsed" in inputs:
        given["elapsed"] = torch.rand(_ROWS, _STEPS, generator=generator)
    return given


@torch.no_grad()
def _whole(net, given, stepped):
    """Run the network itself: a sequence at once, or frame by frame."""
    if not stepped:
        return net(**given)
    state, made = net.start(_ROWS), []
    for frame in given["x"].unbind(1):
        out = net(frame, state) if isinstance(state, rwkv.Rwkv7State) else net(frame, *state)
        y, *rest = out
        state = rest[0] if isinstance(state, rwkv.Rwkv7State) else tuple(rest)
        made.append(y)
    return torch.stack(made, 1)


@pytest.mark.parametrize(
    ("net", "inputs", "states"),
    [
        (rwkv.Rwkv7, _FRAMES, "before_delay value_state between_delay"),
        (rwkv.Rwkv7Step, _FRAME, "state_attended state_mixed state_memory"),
        (modern.Mamba2, _FRAMES, "conv_past step_bias_state"),
        (modern.Mamba2Step, _FRAME, "past held"),
        (modern.GatedDelta, _FRAMES, "conv_past alpha_state"),
        (modern.RgLru, _FRAMES, "conv_past frames_seen input_state"),
        (modern.RgLruStep, _FRAME, "past h position"),
        (modern.MinGru, _FRAMES, "update_state"),
        (
            modern.ParallelMinGru, _FRAMES,
            "update_running update_running_rest candidate_running",
        ),
        (modern.ClosedForm, _TIMED, "near_state"),
    ],
)  # fmt: skip
def test_a_thousand_steps_of_the_exported_files(net, inputs, states, tmp_path):
    network = drawn(net())
    bundle = export_module(
        network, inputs, tmp_path / "net.edgernn", to=["onnx", "torchscript"], steps=16
    )
    given = _drawn_inputs(network, inputs)
    expected = _whole(network, given, stepped=inputs is _FRAME).numpy()
    for artifact in bundle.manifest.artifacts:
        session = open_session(bundle, artifact.path)
        assert [state.name for state in session.contract.step.states] == states.split()
        has_time = session.contract.step.has_time
        state, made = session.initial_state(batch=_ROWS), []
        for t in range(_STEPS):
            frame = {n: v[:, t : t + 1] if has_time else v[:, t] for n, v in given.items()}
            outputs, state = session.step({n: v.numpy() for n, v in frame.items()}, state)
            made.append(outputs["y"] if has_time else outputs["y"][:, None])
        difference = np.abs(np.concatenate(made, 1) - expected).max()
        assert difference <= 1e-4 * max(1.0, np.abs(expected).max()), artifact.path
