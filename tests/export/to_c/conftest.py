"""Small ONNX graphs as C, compiled by this machine's compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgernn.contract import Contract, FileContract
from edgernn.contract.build import build_contract
from edgernn.export.operators import IR_VERSION, OPSET
from edgernn.export.to_c.generator import generate
from edgernn.sessions.compiled import CompiledSession
from edgernn.sessions.compiler import build, find_compiler, lacking

if lacking() is not None:
    pytest.skip("this machine has no C compiler", allow_module_level=True)
_TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
Arrays = dict[str, np.ndarray]


def contract_of(
    inputs: Arrays, outputs: Mapping[str, tuple[int, ...]], states: Arrays | None = None
) -> Contract:
    """Return a contract of fixed sizes."""

    def text(shape: tuple[int, ...], dtype: str = "float32") -> str:
        return f"{dtype}[{', '.join(map(str, shape))}]"

    return build_contract(
        inputs={name: text(array.shape, str(array.dtype)) for name, array in inputs.items()},
        states={name: text(array.shape) for name, array in (states or {}).items()},
        outputs={name: text(shape) for name, shape in outputs.items()},
    )


def model_of(
    nodes: list[Any], contract: Contract, constants: Arrays | None = None, *, opset: int = OPSET
) -> bytes:
    """Return an ONNX model of the operators ``nodes`` with the tensors of ``contract``."""
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
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = IR_VERSION
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString()
    return content


def opened(model: bytes, contract: Contract) -> CompiledSession:
    """Compile the C of ``model`` and open it."""
    own = FileContract(contract=contract)
    return CompiledSession(build(generate(model, own).files, find_compiler()), own)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the tests' own."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


Compute = Callable[..., Arrays]


@pytest.fixture
def computed() -> Compute:
    """Run operators over ``x``, and whatever else is given, in C and in onnxruntime."""
    import onnxruntime

    def run(
        nodes: list[Any], inputs: Arrays, constants: Arrays | None = None, *, opset: int = OPSET
    ) -> tuple[Any, Any]:
        made = {output for node in nodes for output in node.output if output}
        read = {name for node in nodes for name in node.input}
        name = "y" if "y" in made - read else next(iter(made - read))
        loose = helper.make_model(
            helper.make_graph(
                nodes,
                "g",
                [
                    helper.make_tensor_value_info(n, _TYPES[str(a.dtype)], a.shape)
                    for n, a in inputs.items()
                ],
                [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
                [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()],
            ),
            opset_imports=[helper.make_opsetid("", opset)],
        )
        loose.ir_version = IR_VERSION
        (wanted,) = onnxruntime.InferenceSession(loose.SerializeToString()).run(None, inputs)
        contract = contract_of(inputs, {name: wanted.shape})
        session = opened(model_of(nodes, contract, constants, opset=opset), contract)
        outputs, _ = session.step(inputs, {})
        return outputs[name], wanted

    return run
