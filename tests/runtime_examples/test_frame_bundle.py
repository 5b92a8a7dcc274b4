"""The bundle that hosts of the general network are tried on computes what its own words say."""

from __future__ import annotations

import json
from pathlib import Path

import frame_bundle
import numpy as np
import onnxruntime
import pytest
import safetensors.numpy


@pytest.mark.parametrize("encode", [False, True])
@pytest.mark.parametrize("step_frames", [1, 2])
def test_the_models_compute_the_golden_run(encode: bool, step_frames: int, tmp_path: Path) -> None:
    folder = frame_bundle.write_frame_bundle(tmp_path, encode=encode, step_frames=step_frames)
    golden = safetensors.numpy.load_file(folder / "golden.safetensors")
    step = onnxruntime.InferenceSession(folder / frame_bundle.STEP)
    if encode:
        encoder = onnxruntime.InferenceSession(folder / frame_bundle.ENCODE)
        keys, first = encoder.run(["keys", "h"], {"source": golden["source"]})
        np.testing.assert_allclose(keys, golden["keys"], atol=1e-6)
        np.testing.assert_allclose(first, golden["h"], atol=1e-6)
    (graph,) = (
        each
        for each in json.loads((folder / "manifest.json").read_text())["contract"]["graphs"]
        if each["name"] == "step"
    )
    state = {t["name"]: golden[t["name"]] for t in graph["inputs"] if t["role"] == "state"}
    contexts = {t["name"]: golden[t["name"]] for t in graph["inputs"] if t["role"] == "context"}
    fresh = [t["name"] for t in graph["inputs"] if t["role"] == "input"]
    for at in range(frame_bundle.STEPS):
        feed = {**{name: golden[name][at] for name in fresh}, **contexts, **state}
        names = [tensor["name"] for tensor in graph["outputs"]]
        made = dict(zip(names, step.run(names, feed), strict=True))
        for name, array in made.items():
            assert array.dtype == golden[name].dtype
            np.testing.assert_allclose(
                array.astype(float), golden[name][at].astype(float), atol=1e-5
            )
        state = {name: made[f"{name}_next"] for name in state}
