"""What was found, in words."""

from __future__ import annotations

import json

from edgernn.formats.compatibility import Elsewhere
from edgernn.hoisting.explain import Found, FoundState, FoundTensor, explain_text

FOUND = Found(
    source="net.onnx",
    states=(
        FoundState(
            FoundTensor("h", "float32", ("layers=2", "batch", "width=8")),
            "zeros",
            "h goes on as hn",
        ),
    ),
    inputs=(FoundTensor("x", "float32", ("batch", "time", "bands=40")),),
    outputs=(FoundTensor("y", "float32", ("batch", "time")),),
    step_frames=4,
    latency_frames=2,
    warmup_frames={"y": 6},
    formats={"onnx float32": "", "coreml float16": "it has the operator Swirl"},
    renamed={"hn": "h_next"},
    warnings=("it begins anew",),
    proof="the same over 256 steps",
    elsewhere=(Elsewhere("one 1", "runs"), Elsewhere("two 2", "refused", ("Swirl",))),
)


def test_it_tells_all_that_was_found() -> None:
    assert explain_text(FOUND).splitlines() == [
        "net.onnx: 1 state",
        "  h float32 [layers=2, batch, width=8]",
        "    starts at zeros; h goes on as hn",
        "a step takes 4 frames, 2 frames late",
        "  in     x float32 [batch, time, bands=40]",
        "  out    y float32 [batch, time]",
        "  y: the first 6 frames bring results that the network does not have",
        "proved: the same over 256 steps",
        "renamed: hn is h_next",
        "onnx float32: yes",
        "coreml float16: no, it has the operator Swirl",
        "elsewhere, its ONNX file in float32:",
        "  runs in one 1",
        "  two 2: refuses it (Swirl)",
        "warning: it begins anew",
    ]


def test_it_goes_to_json() -> None:
    found = json.loads(json.dumps(FOUND.to_dict()))
    assert found["states"][0]["tensor"]["axes"] == ["layers=2", "batch", "width=8"]
    assert found["warnings"] == ["it begins anew"]
