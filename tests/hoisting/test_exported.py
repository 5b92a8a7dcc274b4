"""Hoisted networks as bundles: what is exported verifies, however calls are cut."""

from __future__ import annotations

import pytest

from edgernn.export.module_bundle import export_module
from edgernn.parity.verify import verify_bundle
from tests.hoisting import test_streaming as streaming
from tests.hoisting import test_unrolled as unrolled
from tests.hoisting import test_wild as wild
from tests.hoisting.drawn import drawn

_FRAMES = {"x": "float32[batch, time, 3]"}
_WORDS = {"source": "int64[batch, words] below 11", "target": "int64[batch, time] below 9"}


@pytest.mark.parametrize(
    ("net", "inputs", "fixed", "narrowed"),
    [
        (streaming.CausalConvolutions, _FRAMES, {}, {}),
        (streaming.Strides, _FRAMES, {}, {"time": 4}),
        (streaming.MeanOverAll, _FRAMES, {}, {"time": 1}),
        (streaming.OverFrequency, _FRAMES, {}, {}),
        (unrolled.TwoBack, _FRAMES, {}, {"time": 1}),
        (unrolled.Translator, _WORDS, {"forcing": 1.0}, {"time": 1}),
    ],
)
def test_a_hoisted_network_verifies(net, inputs, fixed, narrowed, tmp_path):
    out = tmp_path / "net.edgernn"
    to = ["onnx", "torchscript"]
    with export_module(drawn(net()), inputs, out, fixed=fixed, to=to, steps=24) as bundle:
        steps = [one for one in bundle.manifest.artifacts if one.graph == "step"]
    assert [one.narrowing.axes for one in steps] == [narrowed, narrowed]
    report = verify_bundle(out, steps=24)
    structure = [c.status for one in report.artifacts for c in one.checks if c.name == "structure"]
    assert "passed" in structure or narrowed
    failed = [c for one in report.artifacts for c in one.checks if c.status == "failed"]
    assert report.passed and not failed, failed


def test_a_package_without_weights_is_whole_in_one_file(tmp_path):
    inputs = {"audio": "float32[batch, time, 1]", "knob": "float32[batch, 1]"}
    out = tmp_path / "net.edgernn"
    with export_module(drawn(wild.Amplifier()), inputs, out, to="coreml", steps=8):
        pass
    report = verify_bundle(out, steps=8)
    failed = [c for one in report.artifacts for c in one.checks if c.status == "failed"]
    assert not failed
