"""Every exporter leaves the model as it was, and the base class catches one that breaks the
contract.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgernn import formats
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import METADATA_KEY, Decoding, FileContract, Narrowing
from edgernn.errors import ContractError
from edgernn.export.base import Exporter
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.models.family import RecurrentModel
from edgernn.models.language import LanguageModel
from edgernn.sessions.opening import open_session

MakeModel = Callable[..., LanguageModel]
DECODING = Decoding(start=(3,), temperature=0.5)


def exporter_of(name: str) -> Exporter:
    row = formats.by_name(name)
    exporter: Exporter = formats.resolve(row.exporter or "", needed_for="a test", extra=None)()
    return exporter


def export(exporter: Exporter, model: LanguageModel, folder: Path) -> Path:
    row = formats.by_name(exporter.format_name)
    path = folder / row.path(row.precisions[0])
    exporter.export(model, path, precision=row.precisions[0], decoding=DECODING)
    return path


@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_model_in_training_exports_as_in_evaluation(
    make_model: MakeModel, tmp_path: Path, name: str
) -> None:
    inputs = {"tokens": np.arange(6, dtype=np.int64).reshape(2, 3)}
    results = []
    for training in (True, False):
        model = make_model(dropout=0.5, layers=3).train(training)
        session = open_session(export(exporter_of(name), model, tmp_path / str(training)))
        outputs, state = session.step(inputs, session.initial_state(2))
        again, _ = session.step(inputs, session.initial_state(2))
        assert np.array_equal(again["logits"], outputs["logits"])
        results.append({**outputs, **state})
    for key, wanted in results[1].items():
        assert np.array_equal(results[0][key], wanted), key


def test_a_model_of_another_precision_stays_so(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model().double()
    export(OnnxExporter(), model, tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}


@pytest.mark.parametrize(
    ("name", "narrowing", "target"),
    [
        ("onnx", Narrowing(), "opset 17, IR 9"),
        ("torchscript", Narrowing(), "torch.jit"),
        ("coreml", Narrowing(axes={"batch": 1, "time": 1}, dtypes={"tokens": "int32"}), "iOS17"),
    ],
)
def test_it_tells_what_it_wrote(
    make_model: MakeModel, tmp_path: Path, name: str, narrowing: Narrowing, target: str
) -> None:
    exporter, row = exporter_of(name), formats.by_name(name)
    model = make_model(layers=1)
    path = tmp_path / "not" / "there" / f"step{row.suffix}"
    written = exporter.export(model, path, precision=row.precisions[0], decoding=DECODING)
    assert (written.narrowing, written.target) == (narrowing, target)
    assert f"torch {torch.__version__}" in written.exporter
    session = formats.resolve(row.session, needed_for="a test", extra=None)
    own = FileContract.from_metadata(session.describe(path).metadata, source="it")
    assert own == FileContract(
        contract=model.config.contract(), narrowing=narrowing, decoding=DECODING
    )


class BrokenExporter(OnnxExporter):
    """Writes a right file, then spoils it."""

    def __init__(self, spoil: Callable[[onnx.ModelProto], None]) -> None:
        super().__init__()
        self.spoil = spoil

    def _write(self, *arguments: Any, **options: Any) -> tuple[StoredWeight, ...]:
        weights, path = super()._write(*arguments, **options), str(arguments[1])
        graph = onnx.load(path)
        self.spoil(graph)
        onnx.save(graph, path)
        return weights


def no_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def damaged_metadata(model: onnx.ModelProto) -> None:
    onnx.helper.set_model_props(model, {METADATA_KEY: "{"})


def metadata_of_another_schema(model: onnx.ModelProto) -> None:
    onnx.helper.set_model_props(model, {METADATA_KEY: '{"schema_version": 99}'})


def metadata_of_other_decoding(model: onnx.ModelProto) -> None:
    text = model.metadata_props[0].value
    assert "0.5" in text
    onnx.helper.set_model_props(model, {METADATA_KEY: text.replace("0.5", "0.9")})


def renamed_input(model: onnx.ModelProto) -> None:
    model.graph.input[1].name = "hidden_in"
    for node in model.graph.node:
        node.input[:] = ["hidden_in" if name == "h" else name for name in node.input]


def renamed_output(model: onnx.ModelProto) -> None:
    model.graph.output[2].name = "cell_out"
    for node in model.graph.node:
        node.output[:] = ["cell_out" if name == "c_next" else name for name in node.output]


def swapped_outputs(model: onnx.ModelProto) -> None:
    outputs = [model.graph.output[index] for index in (0, 2, 1)]
    copies = [onnx.ValueInfoProto.FromString(output.SerializeToString()) for output in outputs]
    del model.graph.output[:]
    model.graph.output.extend(copies)


def fixed_time(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3


def lost_state(model: onnx.ModelProto) -> None:
    del model.graph.output[2]


def frozen_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3  # the example's T


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (no_metadata, "it has no contract in its metadata"),
        (damaged_metadata, "it has a damaged 'edgernn' entry in its metadata"),
        (metadata_of_another_schema, "it was written with schema version 99"),
        (metadata_of_other_decoding, "the contract in its metadata is another one"),
        (
            renamed_input,
            r"inputs are \['tokens', 'hidden_in', 'c'\], expected \['tokens', 'h', 'c'\]",
        ),
        (renamed_output, r"outputs are \['logits', 'h_next', 'cell_out'\], expected"),
        (swapped_outputs, r"outputs are \['logits', 'c_next', 'h_next'\], expected"),
        (fixed_time, r"tokens has shape \[batch, 3\], expected \[batch, time\]"),
        (lost_state, r"outputs are \['logits', 'h_next'\], expected"),
        (frozen_output, r"logits has shape \[batch, 3, \d+\], expected \[batch, time, \d+\]"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_exporter_is_caught(
    make_model: MakeModel, tmp_path: Path, spoil: Callable[[onnx.ModelProto], None], complaint: str
) -> None:
    with pytest.raises(
        ContractError, match=f"the onnx exporter broke the contract in step.onnx: {complaint}"
    ):
        export(BrokenExporter(spoil), make_model(), tmp_path)


def test_an_exporter_that_writes_no_model(make_model: MakeModel, tmp_path: Path) -> None:
    class Scribbler(OnnxExporter):
        def _write(self, model: RecurrentModel, path: Path, **_: Any) -> tuple[StoredWeight, ...]:
            path.write_bytes(b"scribble")
            return ()

    with pytest.raises(ContractError, match=r"step.onnx is not a model that onnxruntime can open"):
        export(Scribbler(), make_model(), tmp_path)


def test_the_exporter_gets_a_private_quiet_copy(make_model: MakeModel, tmp_path: Path) -> None:
    seen: list[tuple[RecurrentModel, bool]] = []

    class Peeking(OnnxExporter):
        def _write(
            self, model: RecurrentModel, path: Path, **options: Any
        ) -> tuple[StoredWeight, ...]:
            seen.append((model, any(module.training for module in model.modules())))
            weights = super()._write(model, path, **options)
            for parameter in model.parameters():
                parameter.zero_()
            return weights

    model = make_model().double().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export(Peeking(), model, tmp_path)
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    ((copy, was_training),) = seen
    assert not was_training
    assert {(p.dtype, p.requires_grad) for p in copy.parameters()} == {(torch.float32, False)}
