#!/usr/bin/env bash
# OpenVINO multiplies five and more rows wrongly with a 4-bit matrix whose rows have an odd number of values.
#
# A constant in i4 holds two values a byte, and the next row of an odd width begins in the middle of one. A good guess is
# that the product is right or refused, and that it does not depend on how many rows come in. With one to four rows it is
# right; from five on it is off by whole values, without a word, and the even width beside it is right in any number. A
# step of one row shows nothing; a batch does. A column of zeros more makes every row a whole number of bytes.
#
# Seen: OpenVINO 2026.4.1, numpy 2.4.6, Python 3.11, on an x86-64 CPU with AVX-512.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > odd.py <<'PY'
import numpy as np
import openvino
from openvino import opset13 as ops


def off(width, rows):
    random = np.random.default_rng(0)
    values = random.integers(-7, 8, (32, width)).astype(np.int8)
    halves = (values.reshape(-1) & 15).astype(np.uint8)
    held = openvino.Tensor(openvino.Type.i4, [32, width])
    held.data[...] = (halves[0::2] | halves[1::2] << 4).reshape(held.data.shape)
    scaled = ops.multiply(ops.convert(openvino.op.Constant(held), "f32"), ops.constant(np.full((32, 1), 0.01, np.float32)))
    x = ops.parameter([-1, width], np.float32)
    model = openvino.Model([ops.matmul(x, scaled, False, True)], [x])
    options = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    compiled = openvino.Core().compile_model(model, "CPU", options)
    given = random.normal(size=(rows, width)).astype(np.float32)
    right = given @ (values * np.float32(0.01)).T
    return float(np.abs(compiled(given)[0] - right).max())


found = {width: [off(width, rows) for rows in (1, 4, 5, 16)] for width in (18, 19, 20)}
for width, errors in found.items():
    print(f"width {width}: off by", ", ".join(f"{error:.1e}" for error in errors), "with 1, 4, 5, 16 rows")
assert max(found[18] + found[20] + found[19][:2]) < 1e-5
assert min(found[19][2:]) > 0.05
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
env/bin/python odd.py
