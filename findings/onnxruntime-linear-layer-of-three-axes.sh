#!/usr/bin/env bash
# onnxruntime joins a linear layer and its tanh into one operator for [N, K], and leaves three for [N, 1, K].
#
# A good guess is that an axis of one costs nothing: [N, 1, K] holds the same numbers as [N, K] in the same order. But
# MatMul, Add and Tanh become one FusedGemm only where the input has two axes. With a third, whose size is 1 or open, they
# stay three operators; where all sizes are known each becomes Reshape, Gemm, Reshape and Tanh, without the tanh inside.
# A step of a recurrent network, whose time axis is 1, runs its small layers in about 1.6 times the time for it.
#
# Seen: onnxruntime 1.31.1, onnx 1.23.2, Python 3.11, on a CPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > layers.py <<'PY'
import time
from collections import Counter

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random, width, layers = np.random.default_rng(0), 64, 8
weights = [random.standard_normal((width, width)).astype(np.float32) / 8 for _ in range(layers)]


def run(axes):
    nodes, held, last = [], [], "x"
    for at, weight in enumerate(weights):
        held.append(numpy_helper.from_array(weight, f"w{at}"))
        held.append(numpy_helper.from_array(np.ones(width, np.float32), f"b{at}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{at}"], [f"p{at}"]))
        nodes.append(helper.make_node("Add", [f"p{at}", f"b{at}"], [f"s{at}"]))
        nodes.append(helper.make_node("Tanh", [f"s{at}"], [last := f"y{at}"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "graph", [value("x", TensorProto.FLOAT, axes)], [value(last, TensorProto.FLOAT, None)], held
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.intra_op_num_threads, options.log_severity_level = "run.onnx", 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {"x": np.ones([1] * (len(axes) - 1) + [width], np.float32)}
    best = float("inf")
    for _ in range(300):
        began = time.perf_counter()
        for _ in range(20):
            session.run(None, feeds)
        best = min(best, (time.perf_counter() - began) / 20)
    counts = dict(Counter(node.op_type for node in onnx.load("run.onnx").graph.node))
    print(f"x {axes}: {counts}, {best * 1e6:.1f} µs a run")
    return counts


assert run(["N", width]) == {"FusedGemm": layers}
assert run(["N", 1, width]) == {"MatMul": layers, "Add": layers, "Tanh": layers}
assert run([1, 1, width]) == {"Reshape": 2 * layers, "Gemm": layers, "Tanh": layers}
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.31.1 numpy
env/bin/python layers.py
