"""Faults of Core ML packages: the saved program edited, or converted again from a model with one
thing made wrong.

Their numbers can be judged where verify runs packages; elsewhere they are reported as not judged.
"""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _faulty import Fault, on_arrays, sign

from edgernn.bundle import Bundle
from edgernn.models import checkpoint
from edgernn.models.language import LanguageModel

HALF, EXPLICIT, KEPT = (
    "coreml/step.mlpackage",
    "coreml/step-float32.mlpackage",
    "coreml/step_mlstate.mlpackage",
)


def _on_program(inner: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    """Edit the saved program of a package; ``change`` gets the operations' block and may alter
    it.
    """

    def apply(folder: Path) -> None:
        from coremltools.proto import Model_pb2

        (path,) = (folder / inner).rglob("*.mlmodel")
        spec = Model_pb2.Model()
        spec.ParseFromString(path.read_bytes())
        (block,) = spec.mlProgram.functions["main"].block_specializations.values()
        change(block)
        path.write_bytes(spec.SerializeToString())
        sign(folder, inner)

    return apply


def _reconverted(
    inner: str, precision: str, change: Callable[[LanguageModel], None]
) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        from edgernn.export.to_coreml.exporter import CoreMLExporter

        bundle = Bundle.open(folder)
        model = copy.deepcopy(checkpoint.load(folder / "reference").model)
        with torch.no_grad():
            change(model)
        with contextlib.redirect_stderr(io.StringIO()):
            CoreMLExporter().export(
                model, folder / inner, precision=precision, decoding=bundle.manifest.decoding
            )
        sign(folder, inner)

    return apply


def _writes(block: Any) -> list[Any]:
    return [operation for operation in block.operations if operation.type == "write_state"]


def _write_missing(place: int) -> Callable[[Any], None]:
    """Drop the operation that writes the first state, or the second."""
    return lambda block: block.operations.remove(_writes(block)[place])


def _swap(first: Any, second: Any, argument: str) -> None:
    held = copy.deepcopy(first.inputs[argument])
    first.inputs[argument].CopyFrom(second.inputs[argument])
    second.inputs[argument].CopyFrom(held)


def _writes_swapped(block: Any) -> None:
    """Write each state's value into the other."""
    _swap(*_writes(block), "input")


def _values_swapped(block: Any) -> None:
    """Make each state's update of the other's next value; every operator is where it was."""
    made = {output.name: each for each in block.operations for output in each.outputs}
    _swap(*(made[write.inputs["data"].arguments[0].name] for write in _writes(block)), "update")


def _written_twice(block: Any) -> None:
    block.operations.append(_writes(block)[0])


def _read_after(block: Any) -> None:
    """Read the first state behind its update as well."""
    read = next(each for each in block.operations if each.type == "read_state")
    block.operations.append(read)
    block.operations[-1].outputs[0].name = "read_again"


def _outputs_swapped(block: Any) -> None:
    other = {"h_next": "c_next", "c_next": "h_next"}
    for operation in block.operations:
        for output in operation.outputs:
            output.name = other.get(output.name, output.name)


def _gates_reordered(model: LanguageModel) -> None:
    for parameter in model.recurrent.parameters():
        i, f, g, o = parameter.chunk(4)
        parameter.copy_(torch.cat([i, o, f, g]))


def _one_block_by_one_percent(model: LanguageModel) -> None:
    model.recurrent.get_parameter("fused.weight_hh_l1")[:8] *= 1.01


def _recurrent_bias_dropped(model: LanguageModel) -> None:
    model.recurrent.get_parameter("fused.bias_hh_l1").zero_()


def _nothing(model: LanguageModel) -> None:
    """Leave the model as it is."""


def _output_renamed(folder: Path) -> None:
    import coremltools as ct

    path = folder / EXPLICIT
    (inner,) = path.rglob("*.mlmodel")
    spec = ct.proto.Model_pb2.Model()
    spec.ParseFromString(inner.read_bytes())
    ct.utils.rename_feature(spec, "c_next", "cell_out")
    inner.write_bytes(spec.SerializeToString())
    sign(folder, EXPLICIT)


def _metadata_missing(folder: Path) -> None:
    from coremltools.proto import Model_pb2

    (inner,) = (folder / EXPLICIT).rglob("*.mlmodel")
    spec = Model_pb2.Model()
    spec.ParseFromString(inner.read_bytes())
    spec.description.metadata.userDefined.clear()
    inner.write_bytes(spec.SerializeToString())
    sign(folder, EXPLICIT)


def _fault(
    name: str, imitates: str, apply: Callable[[Path], None], artifact: str, says: str, *checks: str
) -> Fault:
    return Fault(
        name,
        imitates,
        apply,
        checks or ("rollout", "golden"),
        says,
        honest="coreml",
        artifact=artifact,
    )


_STATE = r"worst [hc]_next"
_KEPT_CHECKS = ("structure", "rollout", "golden")
FAULTS = (
    _fault(
        "Core ML state never written",
        "the buffer's assignment lost",
        _on_program(KEPT, _write_missing(1)),
        KEPT,
        "the state c is written 0 times",
        *_KEPT_CHECKS,
    ),
    _fault(
        "Core ML hidden state never written",
        "a state that is read through an operator that changes nothing",
        _on_program(KEPT, _write_missing(0)),
        KEPT,
        "the state h is written 0 times",
        *_KEPT_CHECKS,
    ),
    _fault(
        "Core ML states written crosswise",
        "h into c, c into h",
        _on_program(KEPT, _writes_swapped),
        KEPT,
        "the state c is given what is made for h",
        *_KEPT_CHECKS,
    ),
    _fault(
        "Core ML updates of another state's value",
        "next states bound by position",
        _on_program(KEPT, _values_swapped),
        KEPT,
        _STATE,
    ),
    _fault(
        "Core ML state written twice",
        "an update for each reader",
        _on_program(KEPT, _written_twice),
        KEPT,
        "the state h is written 2 times",
        "structure",
    ),
    _fault(
        "Core ML state read behind its update",
        "a step that sees the next one's state",
        _on_program(KEPT, _read_after),
        KEPT,
        "the state h is read after it is written",
        "structure",
    ),
    Fault(
        "Core ML begins with zeros",
        "first values that conversion loses",
        on_arrays(
            "initial_state.safetensors",
            lambda arrays: {name: np.zeros_like(array) for name, array in arrays.items()},
        ),
        ("contract",),
        "the first state h is not the golden run's",
        honest="learned coreml",
        artifact=KEPT,
    ),
    _fault(
        "Core ML h and c swapped",
        "outputs bound by position",
        _on_program(EXPLICIT, _outputs_swapped),
        EXPLICIT,
        _STATE,
    ),
    _fault(
        "Core ML gates permuted",
        "weights in another framework's order",
        _reconverted(EXPLICIT, "float32", _gates_reordered),
        EXPLICIT,
        r"worst \w+",
    ),
    _fault(
        "Core ML weight block 1 % off",
        "a bad scale of one block",
        _reconverted(EXPLICIT, "float32", _one_block_by_one_percent),
        EXPLICIT,
        r"worst \w+",
    ),
    _fault(
        "Core ML float16, one bias dropped",
        "an error that reduced precision must not hide",
        _reconverted(HALF, "float16", _recurrent_bias_dropped),
        HALF,
        "KL mean",
        "text",
    ),
    _fault(
        "float16 program sold as float32",
        "the converter's default precision",
        _reconverted(EXPLICIT, "float16", _nothing),
        EXPLICIT,
        r"worst \w+",
    ),
    _fault(
        "Core ML output renamed",
        "the converter's own names",
        _output_renamed,
        EXPLICIT,
        "outputs are .*cell_out",
        "contract",
    ),
    _fault(
        "Core ML metadata missing",
        "saved again by a tool",
        _metadata_missing,
        EXPLICIT,
        "no contract in its meta",
        "contract",
    ),
)
