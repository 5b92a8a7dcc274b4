#!/usr/bin/env bash
# onnxruntime has GatherBlockQuantized (com.microsoft) from 1.20 on, but its attribute `bits` only from 1.23 on.
#
# A good guess is that an operator which a runtime registers runs in it. A table of rows in 8 bits, as one of 4 bits packed
# in uint8, needs `bits`, so such a file is refused by 1.20 to 1.22, and as a damaged one: "INVALID_GRAPH … Unrecognized
# attribute: bits". It is not damaged: 1.23.0 gives the right rows. Who ships a quantised embedding must state 1.23.
#
# Seen: onnxruntime 1.20.1 and 1.22.1 refuse, 1.23.0 runs; onnx 1.17.0, Python 3.11, Linux x86-64.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > make.py <<'PY'
import onnx
from onnx import TensorProto, helper

rows, width, block = 4, 32, 16
table = helper.make_tensor("table", TensorProto.UINT8, [rows, width], bytes(range(64, 64 + 128)), raw=True)
scales = helper.make_tensor("scales", TensorProto.FLOAT, [rows, width // block], [0.5] * rows * (width // block))
node = helper.make_node(
    "GatherBlockQuantized", ["table", "ids", "scales"], ["found"],
    domain="com.microsoft", bits=8, block_size=block, gather_axis=0, quantize_axis=1,
)
graph = helper.make_graph(
    [node], "rows",
    [helper.make_tensor_value_info("ids", TensorProto.INT64, [1])],
    [helper.make_tensor_value_info("found", TensorProto.FLOAT, [1, width])],
    [table, scales],
)
opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), "rows.onnx")
PY
cat > run.py <<'PY'
import numpy as np, onnxruntime as ort

ort.set_default_logger_severity(4)
try:
    session = ort.InferenceSession("rows.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {"ids": np.array([1])})[0][0]
    right = (np.arange(96, 128) - 128) * 0.5  # 128 stands for zero
    print("runs" if np.array_equal(found, right.astype(np.float32)) else f"wrong: {found}")
except Exception as error:
    print("refuses" if "Unrecognized attribute: bits" in str(error) else f"other: {error}")
PY

python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check 'numpy<2.3' onnx==1.17.0
env/bin/python make.py
for pair in 1.20.1=refuses 1.22.1=refuses 1.23.0=runs; do
  version=${pair%=*} expected=${pair#*=}
  env/bin/python -m pip install --quiet --disable-pip-version-check "onnxruntime==$version"
  found=$(env/bin/python run.py)
  echo "onnxruntime $version: $found"
  [ "$found" = "$expected" ] || { echo "expected: $expected"; exit 1; }
done
