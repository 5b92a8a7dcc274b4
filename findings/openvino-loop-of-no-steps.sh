#!/usr/bin/env bash
# A Loop of no steps gives, in OpenVINO, what the last call that made steps wrote, not nothing.
#
# A good guess is that a graph which writes N values in a loop writes none for N = 0, as onnxruntime does. In OpenVINO a
# scan output keeps the memory of the call before: after a call of three steps a call of none gives those three again,
# from another infer request of the same compiled model too. There is no word about it, and a test of one call sees
# nothing. A graph that chooses between two loops by making one of them empty, as greedy or drawn text, gives the text of
# the last call in front of its own.
#
# Seen: OpenVINO 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, Python 3.11, on a CPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > loop.py <<'PY'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

value = helper.make_tensor_value_info
body = helper.make_graph(
    [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["last", "x"], ["sum"]),
     helper.make_node("Identity", ["sum"], ["written"])],
    "body",
    [value("step", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("last", TensorProto.FLOAT, [1])],
    [value("go_on", TensorProto.BOOL, []), value("sum", TensorProto.FLOAT, [1]), value("written", TensorProto.FLOAT, [1])],
)
graph = helper.make_graph(
    [helper.make_node("Loop", ["steps", "true", "x"], ["final", "made"], body=body)], "graph",
    [value("steps", TensorProto.INT64, []), value("x", TensorProto.FLOAT, [1])],
    [value("made", TensorProto.FLOAT, ["count", 1])],
    [numpy_helper.from_array(np.array(True), "true")],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), "loop.onnx")
session = onnxruntime.InferenceSession("loop.onnx", providers=["CPUExecutionProvider"])
compiled = openvino.Core().compile_model("loop.onnx", "CPU")
found = []
for steps in (0, 3, 0, 1, 0):
    feeds = {"steps": np.array(steps), "x": np.array([steps], np.float32)}
    (right,) = session.run(None, feeds)
    (made,) = compiled.create_infer_request().infer(feeds).values()
    found.append((right.ravel().astype(int).tolist(), made.ravel().astype(int).tolist()))
    print(f"{steps} steps: onnxruntime {found[-1][0]}, OpenVINO {found[-1][1]}")
assert [right for right, _ in found] == [[], [6, 9, 12], [], [2], []]
assert [made for _, made in found] == [[], [6, 9, 12], [6, 9, 12], [2], [2]]
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0
env/bin/python loop.py
