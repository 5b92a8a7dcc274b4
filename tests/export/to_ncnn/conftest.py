"""Small ONNX graphs as ncnn, run by ncnn; left out where it is not installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("ncnn", reason="ncnn is not installed: the extra ncnn brings it")

from edgernn.contract import Contract, FileContract
from edgernn.contract.build import build_contract
from edgernn.export.operators import IR_VERSION, OPSET
from edgernn.export.to_ncnn.exporter import NcnnExporter, write_folder
from edgernn.sessions.ncnn.session import NcnnSession

_TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
Arrays = dict[str, np.ndarray]
Compute = Callable[..., tuple[np.ndarray, np.ndarray]]
Write = Callable[..., tuple[Path, FileContract]]


def _contract(
    inputs: Arrays, outputs: Mapping[str, tuple[int, ...]], states: Arrays | None = None
) -> Contract:
    def text(shape: tuple[int, ...], dtype: str = "float32") -> str:
        return f"{dtype}[{', '.join(map(str, shape))}]"

    return build_contract(
        inputs={name: text(array.shape, str(array.dtype)) for name, array in inputs.items()},
        states={name: text(array.shape) for name, array in (states or {}).items()},
        outputs={name: text(shape) for name, shape in outputs.items()},
    )


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Write operators over the tensors of a contract as a folder of ncnn."""

    def write(
        nodes: list[Any],
        inputs: Arrays,
        outputs: Mapping[str, tuple[int, ...]],
        *,
        constants: Arrays | None = None,
        states: Arrays | None = None,
        precision: str = "float32",
    ) -> tuple[Path, FileContract]:
        contract = _contract(inputs, outputs, states)
        spec = contract.step

        def infos(tensors: Any) -> list[Any]:
            return [
                helper.make_tensor_value_info(
                    t.name, _TYPES[t.dtype], [contract.sizes[axis] for axis in t.axes]
                )
                for t in tensors
            ]

        held = [numpy_helper.from_array(a, name) for name, a in (constants or {}).items()]
        graph = helper.make_graph(nodes, "g", infos(spec.inputs), infos(spec.outputs), held)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        made.ir_version = IR_VERSION
        own = FileContract(contract=contract, narrowing=NcnnExporter().narrowing(spec, precision))
        folder = tmp_path / "step"
        write_folder(made, folder, own, precision=precision)
        return folder, own

    return write


@pytest.fixture
def computed(written: Write) -> Compute:
    """Run operators over ``x``, and whatever else is given, in ncnn and in onnxruntime."""
    import onnxruntime

    def run(
        nodes: list[Any],
        inputs: Arrays,
        constants: Arrays | None = None,
        *,
        precision: str = "float32",
    ) -> tuple[np.ndarray, np.ndarray]:
        held = [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()]
        infos = [
            helper.make_tensor_value_info(n, _TYPES[str(a.dtype)], a.shape)
            for n, a in inputs.items()
        ]
        end = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        loose = helper.make_model(
            helper.make_graph(nodes, "g", infos, end, held),
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        loose.ir_version = IR_VERSION
        (wanted,) = onnxruntime.InferenceSession(loose.SerializeToString()).run(None, inputs)
        shapes = {"y": wanted.shape}
        folder, own = written(nodes, inputs, shapes, constants=constants, precision=precision)
        outputs, _ = NcnnSession.open(folder, own).step(inputs, {})
        return outputs["y"], wanted

    return run
