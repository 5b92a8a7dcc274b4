"""A bundle whose step takes and gives a tensor of every dtype of a contract: each input comes out
as it went in, and each state as its input was before.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from onnx import helper

DTYPES = (
    "float32",
    "float64",
    "float16",
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
)
STEP, STEPS, WIDTH = "onnx/step.onnx", 6, 3


def write_dtype_bundle(folder: Path) -> Path:
    """Write the bundle and return its folder."""
    files = {"golden.safetensors": safetensors.numpy.save(_golden())}
    model = _model()
    manifest = {
        "schema_version": 2,
        "family": "module",
        "contract": {
            "graphs": [
                {"name": "step", "inputs": _side("x", "h"), "outputs": _side("y", "h", "_next")}
            ],
            "sizes": {"width": WIDTH},
        },
        "artifacts": [
            {
                **{"path": STEP, "format": "onnx", "precision": "float32", "graph": "step"},
                **{"tolerance": 0.0, "forced": False, **_digest(model)},
            }
        ],
        "golden": "golden.safetensors",
        "files": {name: _digest(content) for name, content in files.items()},
        "provenance": {"edgernn": "0", "created": "by hand", "parameters": 1, "model": {}},
    }
    text = json.dumps(manifest).encode()
    for name, content in {STEP: model, **files, "manifest.json": text}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def _side(plain: str, state: str, after: str = "") -> list[dict[str, Any]]:
    """Return one side of the contract."""
    role = "output" if after else "input"
    return [
        {"name": name, "role": kind, "dtype": dtype, "axes": ["batch", "width"]}
        for dtype in DTYPES
        for name, kind in ((f"{plain}_{dtype}", role), (f"{state}_{dtype}{after}", "state"))
    ]


def _golden() -> dict[str, np.ndarray]:
    """Return the recorded run, which reaches both ends of what a dtype holds."""
    random, made = np.random.default_rng(4), dict[str, np.ndarray]()
    for dtype in DTYPES:
        given = random.normal(0, 60, (STEPS, 1, WIDTH))
        if dtype in ("uint8", "int8", "int16", "int32"):
            ends = np.iinfo(dtype)
            given = np.clip(given * 2.0**20, ends.min, ends.max)
        array = given.astype(dtype)
        made |= {f"x_{dtype}": array, f"y_{dtype}": array, f"h_{dtype}_next": array}
        made[f"h_{dtype}"] = np.zeros((1, WIDTH), dtype)
    return made


def _model() -> bytes:
    nodes, inputs, outputs = [], [], []
    for dtype in DTYPES:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        named = {
            name: helper.make_tensor_value_info(name, kind, ["B", WIDTH])
            for name in (f"x_{dtype}", f"h_{dtype}", f"y_{dtype}", f"h_{dtype}_next")
        }
        given, before, plain, after = named
        nodes += [
            helper.make_node("Concat", [given, before], [f"both_{dtype}"], axis=1),
            helper.make_node(
                "Split", [f"both_{dtype}"], [plain, f"rest_{dtype}"], axis=1, num_outputs=2
            ),
            helper.make_node("Identity", [given], [after]),
        ]
        inputs += [named[given], named[before]]
        outputs += [named[plain], named[after]]
    graph = helper.make_graph(nodes, "every dtype", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


def _digest(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
