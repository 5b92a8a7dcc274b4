"""Both graphs of a captioner in every format and conditioning: rolled out against the model,
narrowed as their formats need.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgernn import formats
from edgernn.contract import Decoding, FileContract, Narrowing
from edgernn.export.base import Exporter
from edgernn.export.graphs import FlatGraph, drop_unused, example_inputs
from edgernn.export.to_coreml.exporter import CoreMLExporter, CoreMLStateExporter
from edgernn.models.captioner import Captioner
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.models.eager import EagerSession
from edgernn.parity.rollout import compare, plans
from edgernn.sessions.base import Session
from edgernn.sessions.mil.session import MilSession

MakeCaptioner = Callable[..., Captioner]
LIMITS = {("onnx", "float32"): 1e-5, ("torchscript", "float32"): 1e-5, ("coreml", "float32"): 1e-5}
LIMITS |= {("coreml", "float16"): 5e-2, ("coreml-mlstate", "float16"): 5e-2}
SHAPES = {  # conditioning → cell and layers, so that each is met with both
    "soft-attention": ("lstm", 1),
    "hard-attention": ("gru", 1),
    "first-token": ("gru", 2),
    "initial-state": ("lstm", 2),
    "every-step": ("lstm", 2),
}
GRAPHS = ("encode", "step")


def model_of(make_captioner: MakeCaptioner, conditioning: str) -> Captioner:
    cell, layers = SHAPES[conditioning]
    return make_captioner(conditioning=conditioning, cell=cell, layers=layers)


def exporter_of(name: str) -> Exporter:
    row = formats.by_name(name)
    found: type[Exporter] = formats.resolve(row.exporter or "", needed_for="a test", extra=None)
    return found()


def exported(model: Captioner, folder: Path, name: str, *, precision: str, graph: str) -> Session:
    """Export one graph and open it as verify does here."""
    row = formats.by_name(name)
    path = folder / row.path(precision, graph)
    written = exporter_of(name).export(
        model, path, precision=precision, decoding=Decoding(), graph=graph
    )
    contract = FileContract(
        contract=model.config.contract(), graph=graph, narrowing=written.narrowing
    )
    session: type[Session] = formats.resolve(
        row.interpreter or row.session, needed_for="a test", extra=None
    )
    return session.open(path, contract)


def eager(model: Captioner, graph: str) -> EagerSession:
    return EagerSession(model, FileContract(contract=model.config.contract(), graph=graph))


HALVES = (
    "soft-attention",
    "every-step",
)  # all that contexts can be; the others differ in their first states alone
FILES = [
    (name, precision, c)
    for name, precision in LIMITS
    for c in (CONDITIONINGS if precision == "float32" else HALVES)
]


@pytest.mark.parametrize(("name", "precision", "conditioning"), FILES, ids=lambda part: part)
def test_a_file_computes_what_the_model_computes(
    make_captioner: MakeCaptioner, tmp_path: Path, name: str, precision: str, conditioning: str
) -> None:
    model = model_of(make_captioner, conditioning)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    for graph in formats.by_name(name).graphs:
        session = exported(model, tmp_path, name, precision=precision, graph=graph)
        for plan in plans(session, 6, seed=1):
            found = compare(eager(model, graph), session, plan, seed=4)
            assert [drift.tensor for drift in found.drifts if drift.scale == 0] == []
            assert found.worst.scaled < LIMITS[name, precision], (graph, plan, found.worst.tensor)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_how_core_ml_narrows_each_graph(make_captioner: MakeCaptioner) -> None:
    contract = make_captioner().config.contract()
    encode, step = (contract.graph(graph) for graph in GRAPHS)
    explicit, kept = CoreMLExporter(), CoreMLStateExporter()
    assert explicit.narrowing(encode, "float16") == Narrowing(
        axes={"batch": 1}, dtypes={"image": "picture"}
    )
    assert explicit.narrowing(step, "float32") == Narrowing(
        axes={"batch": 1, "time": 1}, dtypes={"tokens": "int32"}
    )
    assert kept.narrowing(step, "float16") == Narrowing(
        axes={"batch": 1, "time": 1},
        dtypes={"tokens": "int32", "h": "float16", "c": "float16"},
        runtime_state=True,
    )


@pytest.mark.parametrize("conditioning", ["soft-attention", "every-step", "first-token"])
def test_a_kept_state_leaves_the_contexts_as_inputs(
    make_captioner: MakeCaptioner, tmp_path: Path, conditioning: str
) -> None:
    model = make_captioner(conditioning=conditioning)
    written = CoreMLStateExporter().export(
        model, tmp_path / "s.mlpackage", precision="float16", decoding=Decoding()
    )
    interface = MilSession.describe(tmp_path / "s.mlpackage").interface
    contexts = [tensor.name for tensor in model.config.contract().step.contexts]
    looked = ["attention"] if conditioning == "soft-attention" else []
    assert [tensor.name for tensor in interface.inputs] == ["tokens", *contexts]
    assert [tensor.name for tensor in interface.outputs] == ["logits", *looked]
    assert [(tensor.name, tensor.dtype) for tensor in interface.states] == [
        ("h", "float16"),
        ("c", "float16"),
    ]
    assert written.narrowing.runtime_state


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_signature_of_each_graph_has_the_names_of_the_contract(
    make_captioner: MakeCaptioner, conditioning: str
) -> None:
    model = make_captioner(conditioning=conditioning)
    contract = model.config.contract()
    for graph in GRAPHS:
        names = list(inspect.signature(FlatGraph(model, graph).forward).parameters)
        assert names == [tensor.name for tensor in contract.graph(graph).inputs]


def test_examples_of_pictures_and_contexts_are_random_and_distinct(
    make_captioner: MakeCaptioner,
) -> None:
    contract = make_captioner().config.contract()
    (image,) = example_inputs(FileContract(contract=contract, graph="encode"), batch=2, time=3)
    assert (image.shape, image.dtype) == ((2, 32, 32, 3), torch.uint8)
    assert len(image.unique()) > 200
    tokens, *others = example_inputs(FileContract(contract=contract), batch=2, time=3)
    assert tokens.shape == (2, 1)  # a captioner takes one word a call
    assert [list(tensor.shape) for tensor in others] == [
        [contract.sizes.get(axis, 2) for axis in spec.axes] for spec in contract.step.inputs[1:]
    ]
    assert len({tensor.untyped_storage().data_ptr() for tensor in others}) == len(others)
    assert all(tensor.std() > 0 for tensor in others)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_each_graph_keeps_only_what_it_runs(
    make_captioner: MakeCaptioner, conditioning: str
) -> None:
    for graph in GRAPHS:
        model = model_of(make_captioner, conditioning)
        flat = FlatGraph(model, graph)
        examples = example_inputs(
            FileContract(contract=model.config.contract(), graph=graph), batch=2, time=1
        )
        with torch.no_grad():
            before = flat(*examples)
            drop_unused(flat, examples)
            after = flat(*examples)
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        kept = {name.split(".")[1] for name, _ in flat.named_parameters()}
        assert ("encoder" in kept) == (graph == "encode")
        assert ("embedding" in kept) == ("head" in kept) == (graph == "step")


def test_a_step_file_carries_no_image_encoder(captioner_bundle_folder: Path) -> None:
    for name, suffix in (("onnx", "onnx"), ("torchscript", "pt")):
        encode, step = (
            (captioner_bundle_folder / name / f"{graph}.{suffix}").stat().st_size
            for graph in GRAPHS
        )
        assert step < encode / 2
    operators = {
        node.op_type
        for node in onnx.load(str(captioner_bundle_folder / "onnx" / "step.onnx")).graph.node
    }
    assert "Conv" not in operators


def test_onnx_leaves_the_batch_open_and_nothing_else(captioner_bundle_folder: Path) -> None:
    for graph in GRAPHS:
        model = onnx.load(str(captioner_bundle_folder / "onnx" / f"{graph}.onnx"))
        for value in (*model.graph.input, *model.graph.output):
            dims = value.type.tensor_type.shape.dim
            open_axes = {dim.dim_param for dim in dims if dim.dim_param}
            assert open_axes == {"batch"}, value.name


def test_pictures_of_any_number_go_in_together(
    captioner_bundle_folder: Path, pictures: np.ndarray
) -> None:
    from edgernn.sessions.opening import open_session

    session = open_session(captioner_bundle_folder, "onnx/encode.onnx")
    together, _ = session.encode({"image": pictures})
    for index in range(len(pictures)):
        alone, _ = session.encode({"image": pictures[index : index + 1]})
        np.testing.assert_allclose(alone["features"][0], together["features"][index], atol=1e-5)
