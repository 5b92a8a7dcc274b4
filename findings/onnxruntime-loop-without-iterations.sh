#!/usr/bin/env bash
# A Loop that makes no step gives a scan output whose named axes are 0 in onnxruntime, not the size that they have.
#
# A good guess is that a graph which writes N tokens gives [N, B, V], and so [0, B, V] for N = 0. B and V are known at run
# time, but nothing ran that could tell the shape, so every axis that the sub-graph declares by name is 0: [0, 0, 0]. Only
# axes declared as numbers keep theirs. A host that joins the pieces of several calls fails at the empty one, or, where it
# takes the width from the result, is wrong. A length of 0 is for the host to catch, or the widths are for the file to fix.
#
# Seen: onnxruntime 1.31.1, onnx 1.23.2, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > loops.py <<'PY'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper


def scanned(shape, steps):
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["x"], ["y"])], "body",
        [value("step", TensorProto.INT64, []), value("go", TensorProto.BOOL, [])],
        [value("go_on", TensorProto.BOOL, []), value("y", TensorProto.FLOAT, shape)],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["steps", ""], ["ys"], body=body)], "graph",
        [value("steps", TensorProto.INT64, []), value("x", TensorProto.FLOAT, ["rows", "width"])],
        [value("ys", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"steps": np.array(steps), "x": np.zeros((2, 3), np.float32)})[0].shape


found = [scanned(shape, steps) for shape in (["rows", "width"], [2, 3]) for steps in (2, 0)]
print(f"named axes: two steps {found[0]}, none {found[1]}; numbers: two steps {found[2]}, none {found[3]}")
assert found == [(2, 2, 3), (0, 0, 0), (2, 2, 3), (0, 2, 3)]
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.31.1
env/bin/python loops.py
