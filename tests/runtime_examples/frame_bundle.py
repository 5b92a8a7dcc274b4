"""A bundle of schema version 2 that is no text: a small network of frames, written by hand.

Made of onnx, numpy and safetensors alone, so that a host is judged by what the format says and not
by what edgernn happens to write. The step, for the frames ``x`` of one call:

    driven       = gate · frame @ A                                    # [B, T, H]
    h_next       = tanh(Σ_t driven + h @ R + memory @ M + offset @ O / 100)
    memory_next  = memory without its oldest row, then the last frame @ P
    count_next   = count + 1
    sample       = driven @ S + h_next @ Y + shift                     # [B, T, channels_out]
    late         = count_next > 3                                      # [B, T]

With ``encode`` the sequence ``source [batch, places, width]`` of any length gives the context
``keys`` and the first ``h``, and step looks at the keys:

    keys         = source @ K                                          # [B, places, H]
    h            = tanh(Σ_places keys)
    weights      = softmax(h_next · keys)                              # [B, T, places]
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

SIZES = {"width": 3, "hidden": 5, "taps": 4, "channels_in": 2, "channels_out": 2}
STEPS = 12  # of the golden run
PLACES = 6  # of the source in the golden run; the axis is open
STEP, ROUNDED, ENCODE = "onnx/step.onnx", "onnx/step-int8.onnx", "onnx/encode.onnx"
FIRST_STATE = "initial_state.safetensors"
OPSET, IR_VERSION = 17, 8
_ROUNDED_TOLERANCE = 0.15
_TOLERANCE = 1e-4

Arrays = dict[str, np.ndarray]
Spec = tuple[str, str, str, list[str]]  # name, role, dtype, axes

_INPUTS: list[Spec] = [
    ("frame", "input", "float32", ["batch", "time", "width"]),
    ("gate", "input", "bool", ["batch", "time"]),
    ("offset", "input", "int8", ["batch", "width"]),  # no time: the same over a run
    ("shift", "input", "float32", ["channels_out"]),  # no batch: the same for every row
]
_STATES: list[Spec] = [
    ("h", "state", "float32", ["batch", "hidden"]),
    ("memory", "state", "float32", ["batch", "taps", "channels_in"]),
    ("count", "state", "int32", ["batch"]),
]
_OUTPUTS: list[Spec] = [
    ("sample", "output", "float32", ["batch", "time", "channels_out"]),
    ("late", "output", "bool", ["batch", "time"]),
]
_SOURCE: Spec = ("source", "input", "float32", ["batch", "places", "width"])
_KEYS: Spec = ("keys", "context", "float32", ["batch", "places", "hidden"])
_LOOK: Spec = ("weights", "output", "float32", ["batch", "time", "places"])


def write_frame_bundle(
    folder: Path, *, encode: bool = False, step_frames: int = 1, rows: int = 1
) -> Path:
    """Write the bundle and return its folder.

    The first ``h`` is stored, or with ``encode`` encode's; the first ``memory`` is zeros, or with
    ``encode`` stored; ``count`` starts at zeros. With more than one row the recorded run is none
    that a host may check. ``onnx/step.onnx`` is exact; ``onnx/step-int8.onnx`` has rounded weights
    and is to be judged step by step (``forced``). Both are narrowed to ``step_frames`` frames a
    call.
    """
    weights = _weights()
    kept = {"O": weights["O"]}  # too small to be rounded so
    rounded = {name: np.round(array * 40) / np.float32(40) for name, array in weights.items()}
    models = {STEP: _step_model(weights, encode, step_frames)}
    models |= {ROUNDED: _step_model(rounded | kept, encode, step_frames)}
    models |= {ENCODE: _encode_model(weights)} if encode else {}
    files = {"golden.safetensors": safetensors.numpy.save(golden(encode, step_frames, rows))}
    files[FIRST_STATE] = safetensors.numpy.save(stored(encode))
    manifest = {
        "schema_version": 2,
        "family": "module",
        "contract": _contract(encode, step_frames),
        "artifacts": [_artifact(path, model, step_frames) for path, model in models.items()],
        "golden": "golden.safetensors",
        "initial_state": FIRST_STATE,
        "files": {name: _digest(content) for name, content in files.items()},
        "provenance": {"edgernn": "0", "created": "by hand", "parameters": 1, "model": {}},
    }
    text = json.dumps(manifest, indent=2).encode()
    for name, content in {**models, **files, "manifest.json": text}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def stored(encode: bool) -> Arrays:
    """Return the stored first values, of one row."""
    name, shape = ("memory", (4, 2)) if encode else ("h", (SIZES["hidden"],))
    return {name: np.linspace(-0.8, 0.8, int(np.prod(shape)), dtype=np.float32).reshape(1, *shape)}


def golden(encode: bool = False, step_frames: int = 1, rows: int = 1, *, seed: int = 8) -> Arrays:
    """Return the recorded run: ``[N, *axes]`` of what changes by step, ``[*axes]`` of the rest."""
    random, made = np.random.default_rng(seed), dict[str, np.ndarray]()
    shape = (STEPS, rows, step_frames)
    inputs: Arrays = {
        "frame": random.normal(size=(*shape, SIZES["width"])).astype(np.float32),
        "gate": random.random(shape) < 0.7,
        "offset": np.tile(np.array([[-90, 7, 120]], np.int8), (STEPS, rows, 1)),
        "shift": np.tile(np.array([0.5, -0.25], np.float32), (STEPS, 1)),
    }
    state: Arrays = {
        "h": random.normal(0, 0.5, (rows, SIZES["hidden"])).astype(np.float32),
        "memory": random.normal(0, 0.5, (rows, SIZES["taps"], SIZES["channels_in"])).astype("f4"),
        "count": np.ones(rows, np.int32),
    }
    contexts: Arrays = {}
    if encode:
        source = random.normal(size=(rows, PLACES, SIZES["width"])).astype(np.float32)
        contexts, state["h"] = run_encode(source)
        made["source"] = source
    made |= {**contexts, **state, **inputs}
    steps = []
    for at in range(STEPS):
        outputs, state = run_step({**{n: a[at] for n, a in inputs.items()}, **contexts}, state)
        steps.append({**outputs, **{f"{name}_next": array for name, array in state.items()}})
    return made | {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def run_encode(source: np.ndarray) -> tuple[Arrays, np.ndarray]:
    """Return the contexts and the first ``h`` of a source ``[B, places, width]``, in numpy."""
    keys = source @ _weights()["K"]  # [B, places, H]
    return {"keys": keys}, np.tanh(keys.sum(1))


def run_step(inputs: Arrays, state: Arrays) -> tuple[Arrays, Arrays]:
    """Return outputs and next state of one call, in numpy."""
    w = _weights()
    driven = (inputs["frame"] * inputs["gate"][..., None]) @ w["A"]  # [B, T, H]
    memory = state["memory"].reshape(len(state["memory"]), -1)  # [B, taps · channels_in]
    offset = inputs["offset"].astype(np.float32) @ w["O"]  # [B, H]
    h = np.tanh(driven.sum(1) + state["h"] @ w["R"] + memory @ w["M"] + offset)  # [B, H]
    newest = (inputs["frame"][:, -1:] @ w["P"]).astype(np.float32)  # [B, 1, channels_in]
    count = state["count"] + np.int32(1)  # [B]
    late = np.broadcast_to((count > 3)[:, None], inputs["gate"].shape)  # [B, T]
    outputs = {
        "sample": driven @ w["S"] + (h @ w["Y"])[:, None] + inputs["shift"],
        "late": np.ascontiguousarray(late),
    }
    if "keys" in inputs:
        scores = np.einsum("bh,bph->bp", h, inputs["keys"])  # [B, places]
        spread = np.exp(scores - scores.max(-1, keepdims=True))
        spread = (spread / spread.sum(-1, keepdims=True))[:, None]  # [B, 1, places]
        outputs["weights"] = np.repeat(spread, inputs["gate"].shape[1], 1)  # [B, T, places]
    after = {"h": h, "memory": np.concatenate([state["memory"][:, 1:], newest], 1), "count": count}
    return outputs, after


def _weights() -> Arrays:
    """Return the seeded weights, by the letters of the equations."""
    random, (width, hidden, taps, channels, out) = np.random.default_rng(4), SIZES.values()
    shapes = {
        "A": (width, hidden),
        "R": (hidden, hidden),
        "M": (taps * channels, hidden),
        "P": (width, channels),
        "S": (hidden, out),
        "Y": (hidden, out),
        "K": (width, hidden),
    }
    made = {name: random.normal(0, 0.5, size).astype(np.float32) for name, size in shapes.items()}
    return {**made, "O": random.normal(0, 0.01, (width, hidden)).astype(np.float32)}


def _tensors(encode: bool) -> dict[str, tuple[list[Spec], list[Spec]]]:
    """Return what goes into and comes out of each graph."""
    after: list[Spec] = [(f"{name}_next", *rest) for name, *rest in _STATES]  # type: ignore[misc]
    contexts, looks = ([_KEYS], [_LOOK]) if encode else ([], [])
    graphs = {"step": ([*_INPUTS, *contexts, *_STATES], [*_OUTPUTS, *looks, *after])}
    return graphs | ({"encode": ([_SOURCE], [_KEYS, _STATES[0]])} if encode else {})


def _contract(encode: bool, step_frames: int) -> dict[str, Any]:
    def plain(specs: Sequence[Spec]) -> list[dict[str, Any]]:
        return [dict(zip(("name", "role", "dtype", "axes"), each, strict=True)) for each in specs]

    graphs = [
        {"name": name, "inputs": plain(inputs), "outputs": plain(outputs)}
        for name, (inputs, outputs) in _tensors(encode).items()
    ]
    return {
        "graphs": graphs,
        "sizes": SIZES,
        "initial_state": {"h": "encode", "memory": "stored"} if encode else {"h": "stored"},
        "step_frames": step_frames,
        "latency_frames": 0,
    }


def _artifact(path: str, content: bytes, step_frames: int) -> dict[str, Any]:
    reduced, graph = path == ROUNDED, "encode" if path == ENCODE else "step"
    return {
        "path": path,
        "format": "onnx",
        "precision": "int8" if reduced else "float32",
        "graph": graph,
        **_digest(content),
        "target": f"opset {OPSET}",
        "exporter": "by hand",
        "narrowing": {"axes": {"time": step_frames} if graph == "step" else {}},
        "tolerance": _ROUNDED_TOLERANCE if reduced else _TOLERANCE,
        "forced": reduced,
    }


def _digest(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _step_model(weights: Arrays, encode: bool, step_frames: int) -> bytes:
    nodes = _step_nodes() + (_look_nodes() if encode else [])
    constants: dict[str, Any] = {
        **{name: array for name, array in weights.items() if name != "K"},
        "last": np.array([-1]),
        "one": np.array([1]),
        "end": np.array([1 << 31]),
        "unit": np.array([1], np.int32),
        "three": np.array([3], np.int32),
        "one_by_frames": np.array([1, step_frames]),
        "frames": np.array([1, step_frames, 1]),
    }
    return _model("step", _tensors(encode)["step"], nodes, constants, {"time": step_frames})


def _step_nodes() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Cast", ["gate"], ["gate_float"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["gate_float", "last"], ["gate_wide"]),
        node("Mul", ["frame", "gate_wide"], ["gated"]),
        node("MatMul", ["gated", "A"], ["driven"]),
        node("ReduceSum", ["driven", "one"], ["drive"], keepdims=0),
        node("MatMul", ["h", "R"], ["recurrent"]),
        node("Flatten", ["memory"], ["memory_flat"]),
        node("MatMul", ["memory_flat", "M"], ["remembered"]),
        node("Cast", ["offset"], ["offset_float"], to=TensorProto.FLOAT),
        node("MatMul", ["offset_float", "O"], ["moved"]),
        node("Sum", ["drive", "recurrent", "remembered", "moved"], ["before"]),
        node("Tanh", ["before"], ["h_next"]),
        node("Slice", ["frame", "last", "end", "one"], ["newest_frame"]),
        node("MatMul", ["newest_frame", "P"], ["newest"]),
        node("Slice", ["memory", "one", "end", "one"], ["kept"]),
        node("Concat", ["kept", "newest"], ["memory_next"], axis=1),
        node("Add", ["count", "unit"], ["count_next"]),
        node("Greater", ["count_next", "three"], ["late_row"]),
        node("Unsqueeze", ["late_row", "one"], ["late_column"]),
        node("Expand", ["late_column", "one_by_frames"], ["late"]),
        node("MatMul", ["driven", "S"], ["direct"]),
        node("MatMul", ["h_next", "Y"], ["said"]),
        node("Unsqueeze", ["said", "one"], ["said_wide"]),
        node("Sum", ["direct", "said_wide", "shift"], ["sample"]),
    ]


def _look_nodes() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Unsqueeze", ["h_next", "one"], ["query"]),
        node("Transpose", ["keys"], ["keys_turned"], perm=[0, 2, 1]),
        node("MatMul", ["query", "keys_turned"], ["scores"]),
        node("Softmax", ["scores"], ["spread"], axis=-1),
        node("Tile", ["spread", "frames"], ["weights"]),
    ]


def _encode_model(weights: Arrays) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["source", "K"], ["keys"]),
        helper.make_node("ReduceSum", ["keys", "one"], ["drive"], keepdims=0),
        helper.make_node("Tanh", ["drive"], ["h"]),
    ]
    constants = {"K": weights["K"], "one": np.array([1])}
    return _model("encode", _tensors(True)["encode"], nodes, constants, {})


def _model(
    name: str,
    tensors: tuple[list[Spec], list[Spec]],
    nodes: list[onnx.NodeProto],
    constants: Arrays,
    fixed: dict[str, int],
) -> bytes:
    sizes: dict[str, Any] = {**SIZES, **fixed}
    sides = [
        [
            helper.make_tensor_value_info(
                tensor,
                helper.np_dtype_to_tensor_dtype(np.dtype(dtype)),
                [sizes.get(axis, axis) for axis in axes],
            )
            for tensor, _, dtype, axes in side
        ]
        for side in tensors
    ]
    used = {part for each in nodes for part in each.input}
    stored = [numpy_helper.from_array(a, part) for part, a in constants.items() if part in used]
    graph = helper.make_graph(nodes, name, *sides, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
