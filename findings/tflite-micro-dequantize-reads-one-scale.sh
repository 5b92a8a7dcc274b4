#!/usr/bin/env bash
# tflite-micro multiplies every row of a constant with the first row's scale when it makes floats of integers.
#
# A .tflite constant in int8 has one scale, or one for each row, as every quantiser of today writes weights. Where the
# products stay floats ("weight-only"), DEQUANTIZE makes a float matrix of it first. LiteRT takes each row's own scale; a
# good guess is that a runtime which knows one scale only refuses a file with several, as it refuses other types. The
# kernel of tflite-micro takes scales[0] for all, with no message: an LSTM in int8, weight-only, was off by 0.4 to 1.0
# within 256 steps, and right to 1e-6 in float32.
#
# Seen: tflite-micro 0.dev20261023182759, ai-edge-litert 2.3.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > scales.py <<'PY'
import flatbuffers
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

ZEROS = np.zeros((2, 2), np.float32)


def tensor(name, kind, buffer=0, scales=None):
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name, [2, 2], kind, buffer
    if scales is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = scales, [0] * len(scales)
        made.quantization.quantizedDimension = 0
    return made


def operator(place, inputs, outputs):
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = place, inputs, outputs
    return made


def file_of(scales):
    """y = x + dequantize([[100, 100], [100, 100]])."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers = 3, [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.full(4, 100, np.uint8)
    kinds = schema.TensorType
    graph.tensors = [
        tensor("x", kinds.FLOAT32),
        tensor("w", kinds.INT8, 1, scales),
        tensor("wide", kinds.FLOAT32),
        tensor("y", kinds.FLOAT32),
    ]
    graph.inputs, graph.outputs = [0], [3]
    for code, version in ((schema.BuiltinOperator.DEQUANTIZE, 5), (schema.BuiltinOperator.ADD, 1)):
        entry = schema.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = version
        model.operatorCodes = [*(model.operatorCodes or []), entry]
    add = operator(1, [0, 2], [3])
    add.builtinOptionsType, add.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.operators, model.subgraphs = [operator(0, [1], [2]), add], [graph]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def lite(data):
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, ZEROS)
    interpreter.invoke()
    return interpreter.get_tensor(3).tolist()


def micro(data):
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 16)
    interpreter.set_input(ZEROS, 0)
    interpreter.invoke()
    return interpreter.get_output(0).tolist()


one, several = file_of([0.01]), file_of([0.01, 1.0])
print("one scale:     LiteRT", lite(one), "tflite-micro", micro(one))
print("a scale a row: LiteRT", lite(several), "tflite-micro", micro(several))
assert lite(one) == micro(one) == [[1, 1], [1, 1]]
assert lite(several) == [[1, 1], [100, 100]]
assert micro(several) == [[1, 1], [1, 1]]
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check ai-edge-litert==2.3.0 \
    tflite-micro==0.dev20261023182759
env/bin/python scales.py
