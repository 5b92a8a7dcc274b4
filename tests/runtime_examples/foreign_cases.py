"""Models that ask for more than themselves and the runtime, which every host of ONNX refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import host_cases
import onnx


def replace_artifact(folder: Path, content: bytes) -> None:
    """Write the first model file of a bundle with its new size and digest."""
    inner = json.loads((folder / "manifest.json").read_text("utf-8"))["artifacts"][0]["path"]
    (folder / inner).write_bytes(content)
    digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    host_cases.edit(folder, lambda manifest: manifest["artifacts"][0].update(digest))


FOREIGN = {  # what a model asks for beyond itself and the runtime: what a host says of it
    "weights": "keeps the constant made_up in another file; expected all of it in this one",
    "attribute": "keeps the constant made_up in another file; expected all of it in this one",
    "sub-graph": "keeps the constant made_up in another file; expected all of it in this one",
    "domain": (
        "uses the operator MadeUp of the domain elsewhere; expected ONNX's own, or MatMulNBits or"
    ),
    "runtime": (
        "uses the operator FusedMatMul of the domain com.microsoft; expected ONNX's own, or "
        "MatMulNBits or"
    ),
    "function": "brings functions of its own; expected ONNX's operators alone",
    "sparse": "has a sparse constant; expected none",
    "training": "brings graphs for training; expected a graph to run",
    "field": "is no ONNX model",
    "cut": "is no ONNX model",
}


def foreign_model(folder: Path, kind: str) -> bytes:
    """Return the first model of a bundle with one thing more, of a kind of ``FOREIGN``. Nothing
    that it names is there.
    """
    inner = json.loads((folder / "manifest.json").read_text("utf-8"))["artifacts"][0]["path"]
    model = onnx.load(folder / inner)
    away = onnx.TensorProto(name="made_up", data_type=onnx.TensorProto.FLOAT, dims=[2])
    away.data_location = onnx.TensorProto.EXTERNAL
    away.external_data.add(key="location", value="elsewhere.bin")
    constant = onnx.helper.make_node("Constant", [], ["made_up"], value=away)
    if kind == "weights":
        model.graph.initializer.append(away)
    elif kind == "attribute":
        model.graph.node.insert(0, constant)
    elif kind == "sub-graph":
        branch = onnx.helper.make_graph(
            [constant], "branch", [], [onnx.ValueInfoProto(name="made_up")]
        )
        model.graph.node.append(
            onnx.helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch)
        )
    elif kind in {"domain", "runtime"}:
        name, domain = (
            ("MadeUp", "elsewhere") if kind == "domain" else ("FusedMatMul", "com.microsoft")
        )
        model.graph.node.append(onnx.helper.make_node(name, ["a"], ["b"], domain=domain))
    elif kind == "function":
        model.functions.append(onnx.FunctionProto(name="MadeUp", domain=""))
    elif kind == "sparse":
        model.graph.sparse_initializer.append(onnx.SparseTensorProto(dims=[2]))
    elif kind == "training":
        model.training_info.append(onnx.TrainingInfoProto())
    content = model.SerializeToString()
    far = bytes.fromhex(
        "baffffff1f00"
    )  # the key of a field beyond 2^32, which the runtime reads as another field
    return content + far if kind == "field" else content[:-3] if kind == "cut" else content
