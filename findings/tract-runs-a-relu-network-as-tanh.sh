#!/usr/bin/env bash
# tract opens an ONNX file whose RNN operator says activations = ["Relu"], and computes tanh; clip, and input_forget
# of an LSTM, it leaves out too, and direction = "reverse" runs forwards. It says nothing of any. Both directions in
# one operator, the default activations and a GRU's linear_before_reset are right. Explicit products and Relu are,
# too, which is how edgernn export --portable writes such a network.
#
# Seen with tract 0.23.9, onnx 1.23.2, onnxruntime 1.31.1, on Linux x86_64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q tract==0.23.9 onnx==1.23.2 onnxruntime==1.31.1 numpy

"$folder/env/bin/python" - "$folder/model.onnx" <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
import tract
from onnx import TensorProto, helper, numpy_helper


def difference(op, **attributes):
    rng, gates = np.random.default_rng(0), {"RNN": 1, "LSTM": 4}[op]
    shapes = {"W": (1, gates * 4, 4), "R": (1, gates * 4, 4)}
    weights = [
        numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in shapes.items()
    ]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "W", "R"], ["y"], hidden_size=4, **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 1, 1, 4])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), sys.argv[1])
    x = rng.normal(size=(3, 1, 4)).astype(np.float32)
    wanted = onnxruntime.InferenceSession(sys.argv[1]).run(None, {"x": x})[0]
    found = tract.onnx().load(sys.argv[1]).into_model().into_runnable().run([x])[0].to_numpy()
    return float(np.abs(found - wanted).max())


for op, attributes in (
    ("RNN", {}),
    ("RNN", {"activations": ["Relu"]}),
    ("RNN", {"clip": 0.1}),
    ("LSTM", {"input_forget": 1}),
    ("RNN", {"direction": "reverse"}),
):
    apart = difference(op, **attributes)
    print(f"{op} {attributes}: {apart:.1e} from onnxruntime")
    assert (apart < 1e-5) == (not attributes), "this has changed"
PYTHON
