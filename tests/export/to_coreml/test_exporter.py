"""The Core ML packages, read back on any machine: their interface, their target, and no operator
that loops.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgernn.contract import Decoding, FileContract
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.export.to_coreml.exporter import CoreMLExporter, CoreMLStateExporter
from edgernn.models.cells.table import FUSED, cell_class
from edgernn.models.language import LanguageModel
from edgernn.sessions.coreml import CoreMLSession, CoreMLStateSession

with contextlib.redirect_stderr(io.StringIO()):  # one line per library that exists on macOS only
    import coremltools as ct

MakeModel = Callable[..., LanguageModel]
LAYERS, HIDDEN = 2, 8
STATE = (LAYERS, 1, HIDDEN)
EXPORTERS = {"explicit": (CoreMLExporter, "float16"), "mlstate": (CoreMLStateExporter, "float16")}
COMPRESSED = ("int8", "int4", "palettized4")
# What the Neural Engine takes, what fetches a token's row, and what reads and writes a kept state.
PLAIN = {
    "add",
    "concat",
    "expand_dims",
    "linear",
    "mul",
    "relu",
    "sigmoid",
    "slice_by_index",
    "split",
    "squeeze",
    "stack",
    "sub",
}
PLAIN |= {
    "cast",
    "const",
    "gather",
    "read_state",
    "slice_update",
    "tanh",
    "transpose",
    "write_state",
}
PRODUCTS = {"gru": 2 * LAYERS + 1, "lstm": LAYERS + 1, "rnn": LAYERS + 1, "rnn_relu": LAYERS + 1}
GATES = {
    "lstm": {"linear", "sigmoid", "tanh"},
    "gru": {"linear", "sigmoid", "tanh"},
    "rnn": {"linear", "tanh"},
}
GATES["rnn_relu"] = {"linear", "relu"}
ARRAY = ct.proto.FeatureTypes_pb2.ArrayFeatureType


def export(exporter: CoreMLExporter, model: LanguageModel, path: Path, precision: str) -> Any:
    """Export, and return the specification as coremltools reads it back."""
    exporter.export(model, path, precision=precision, decoding=Decoding(start=(5,)))
    return ct.models.MLModel(str(path), skip_model_load=True).get_spec()


@pytest.fixture(scope="module")
def packages(
    make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Any]:
    """(cell, form) → the specification of its package, written once."""
    folder = tmp_path_factory.mktemp("coreml")
    return {
        (cell, form): export(
            exporter(),
            make_model(cell=cell, layers=LAYERS),
            folder / f"{cell}_{form}.mlpackage",
            precision,
        )
        for cell in FUSED
        for form, (exporter, precision) in EXPORTERS.items()
    }


def arrays(features: Any) -> list[tuple[str, tuple[int, ...], str]]:
    found = []
    for feature in features:
        kind = feature.type.WhichOneof("Type")
        array = (
            feature.type.stateType.arrayType if kind == "stateType" else feature.type.multiArrayType
        )
        found.append((feature.name, tuple(array.shape), ARRAY.ArrayDataType.Name(array.dataType)))
    return found


def operators(spec: Any) -> list[str]:
    """Every operator of the program, those in nested blocks too."""
    pending = [
        block
        for function in spec.mlProgram.functions.values()
        for block in function.block_specializations.values()
    ]
    kinds = []
    while pending:
        for operation in pending.pop().operations:
            kinds.append(operation.type)
            pending += operation.blocks
    return kinds


@pytest.mark.parametrize("cell", FUSED)
def test_the_explicit_form(
    packages: dict[tuple[str, str], Any], make_model: MakeModel, cell: str
) -> None:
    spec, names = packages[cell, "explicit"], cell_class(cell).states
    vocabulary = make_model().config.vocabulary
    assert arrays(spec.description.input) == [
        ("tokens", (1, 1), "INT32"),
        *((name, STATE, "FLOAT32") for name in names),
    ]
    assert arrays(spec.description.output) == [
        ("logits", (1, 1, vocabulary), "FLOAT32"),
        *((f"{name}_next", STATE, "FLOAT32") for name in names),
    ]
    assert not spec.description.state
    assert spec.specificationVersion == 8  # iOS 17, macOS 14
    assert not {"read_state", "write_state"} & set(operators(spec))


@pytest.mark.parametrize("cell", FUSED)
def test_the_form_whose_runtime_keeps_the_state(
    packages: dict[tuple[str, str], Any], make_model: MakeModel, cell: str
) -> None:
    spec, names = packages[cell, "mlstate"], cell_class(cell).states
    assert arrays(spec.description.input) == [("tokens", (1, 1), "INT32")]
    assert arrays(spec.description.output) == [
        ("logits", (1, 1, make_model().config.vocabulary), "FLOAT32")
    ]
    assert arrays(spec.description.state) == [(name, STATE, "FLOAT16") for name in names]
    assert spec.specificationVersion == 9  # iOS 18, macOS 15
    kinds = operators(spec)
    assert kinds.count("read_state") == len(names)
    assert kinds.count("write_state") == len(names)  # as coreml_update_state is saved


@pytest.mark.parametrize("form", EXPORTERS)
@pytest.mark.parametrize("cell", FUSED)
def test_the_program_is_plain_products_and_gates(
    packages: dict[tuple[str, str], Any], cell: str, form: str
) -> None:
    spec = packages[cell, form]
    assert spec.WhichOneof("Type") == "mlProgram"
    assert list(spec.mlProgram.functions) == ["main"]
    kinds = operators(spec)
    assert GATES[cell] <= set(kinds) <= PLAIN  # no lstm, no gru, no while_loop
    assert kinds.count("linear") == PRODUCTS[cell]


@pytest.mark.parametrize("precision", COMPRESSED)
@pytest.mark.parametrize("cell", FUSED)
def test_compressed_programs_have_the_same_operators(
    packages: dict[tuple[str, str], Any],
    make_model: MakeModel,
    tmp_path: Path,
    cell: str,
    precision: str,
) -> None:
    spec = export(
        CoreMLExporter(),
        make_model(cell=cell, layers=LAYERS),
        tmp_path / "step.mlpackage",
        precision,
    )
    kinds = operators(spec)
    weights = [kind for kind in kinds if kind.startswith("constexpr_")]
    assert len(weights) == PRODUCTS[cell] + 1  # the products', and the embedding
    plain = [kind for kind in kinds if kind not in {"const", *weights}]
    assert plain == [kind for kind in operators(packages[cell, "explicit"]) if kind != "const"]
    assert arrays(spec.description.input) == arrays(packages[cell, "explicit"].description.input)
    assert arrays(spec.description.output) == arrays(packages[cell, "explicit"].description.output)


@pytest.mark.parametrize(
    ("exporter", "precision", "target"),
    [
        (CoreMLExporter, "int8", "iOS17"),
        (CoreMLExporter, "int4", "iOS18"),
        (CoreMLExporter, "palettized4", "iOS18"),
        (CoreMLStateExporter, "int8", "iOS18"),
        (CoreMLStateExporter, "int4", "iOS18"),
    ],
)
def test_the_target_is_the_one_that_the_weights_need(
    make_model: MakeModel,
    tmp_path: Path,
    exporter: type[CoreMLExporter],
    precision: str,
    target: str,
) -> None:
    path = tmp_path / "step.mlpackage"
    written = exporter().export(make_model(), path, precision=precision, decoding=Decoding())
    assert written.target == target == CoreMLSession.describe(path).target
    states = {"h": "float16", "c": "float16"} if exporter is CoreMLStateExporter else {}
    assert written.narrowing.dtypes == {"tokens": "int32", **states}


@pytest.mark.parametrize("form", EXPORTERS)
@pytest.mark.parametrize("cell", FUSED)
def test_the_metadata_is_the_contract(
    packages: dict[tuple[str, str], Any], make_model: MakeModel, cell: str, form: str
) -> None:
    metadata = dict(packages[cell, form].description.metadata.userDefined)
    own = FileContract.from_metadata(metadata, source="the package")
    assert own.contract == make_model(cell=cell, layers=LAYERS).config.contract()
    assert own.decoding == Decoding(start=(5,))
    assert own.narrowing.axes == {"batch": 1, "time": 1}
    assert own.narrowing.runtime_state == (form == "mlstate")
    halves = dict.fromkeys(cell_class(cell).states, "float16") if form == "mlstate" else {}
    assert own.narrowing.dtypes == {"tokens": "int32", **halves}


def test_float32_computes_in_float32(
    make_model: MakeModel, packages: dict[tuple[str, str], Any], tmp_path: Path
) -> None:
    spec = export(
        CoreMLExporter(), make_model(layers=LAYERS), tmp_path / "step.mlpackage", "float32"
    )
    half = packages["lstm", "explicit"]
    assert arrays(spec.description.input) == arrays(half.description.input)
    assert arrays(spec.description.output) == arrays(half.description.output)
    assert _float_types(spec) == {"FLOAT32"}
    assert "FLOAT16" in _float_types(half)


def _float_types(spec: Any) -> set[str]:
    kinds = ct.proto.MIL_pb2.DataType
    (function,) = spec.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    types = {
        kinds.Name(output.type.tensorType.dataType)
        for op in block.operations
        for output in op.outputs
    }
    return {name for name in types if name.startswith("FLOAT")}


def test_other_model_settings(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model(cell="gru", layers=1, tied=True, embedding=8, learned_initial_state=True)
    spec = export(CoreMLExporter(), model, tmp_path / "step.mlpackage", "float16")
    assert arrays(spec.description.input)[1] == ("h", (1, 1, 8), "FLOAT32")
    own = FileContract.from_metadata(
        dict(spec.description.metadata.userDefined), source="the package"
    )
    assert own.contract.initial_state == {"h": "stored"}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("exporter", [CoreMLExporter, CoreMLStateExporter])
@pytest.mark.parametrize("precision", ["float16", "int8", "palettized4"])
def test_weights_that_are_not_finite_are_refused(
    make_model: MakeModel,
    tmp_path: Path,
    precision: str,
    exporter: type[CoreMLExporter],
    bad: float,
) -> None:
    model = make_model()
    with torch.no_grad():
        model.head.weight[1, 2] = bad
    with pytest.raises(
        UsageError,
        match=r"^the weight head\.weight holds numbers that are not finite; train or import",
    ):
        exporter().export(
            model, tmp_path / "step.mlpackage", precision=precision, decoding=Decoding()
        )


def test_a_model_that_does_not_convert(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("no such operator\nand a long list")

    monkeypatch.setattr(ct, "convert", refuse)
    with pytest.raises(ContractError, match=r"could not convert the step: no such operator$"):
        CoreMLExporter().export(
            make_model(), tmp_path / "step.mlpackage", precision="float16", decoding=Decoding()
        )


@pytest.mark.parametrize("session", [CoreMLSession, CoreMLStateSession])
def test_elsewhere_than_on_macos_it_cannot_run(
    make_model: MakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    session: type[CoreMLSession],
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Plan9")
    file_contract = FileContract(contract=make_model().config.contract())
    with pytest.raises(UnavailableError, match="macOS and iOS only, this is Plan9"):
        session.open(tmp_path / "step.mlpackage", file_contract)
