"""Files that decode in the graph, verified beside their step file: what is right passes, what is
not is named.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgernn.bundle import Bundle, digest
from edgernn.contract import Decoding
from edgernn.errors import ContractError
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.parity.checks import checks_of, run_check
from edgernn.parity.subject import Subject, subjects
from edgernn.parity.verify import verify_bundle

LOOSE = ReducedOptions(
    budget=Budget(perplexity=1.0)
)  # untrained weights, so what they lose is not the point


@pytest.fixture(scope="module")
def texts(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("texts") / "bundle"
    return export_bundle(
        checkpoint_folder,
        out,
        to=["onnx"],
        precision=["float32", "int4"],
        in_graph=True,
        steps=8,
        options=LOOSE,
    )


@pytest.fixture(scope="module")
def captions(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("captions") / "bundle"
    return export_bundle(
        captioner_folder, out, to=["onnx"], precision="int8", in_graph=True, steps=8, options=LOOSE
    )


def signed(folder: Path, inner: str) -> Bundle:
    """Make the digest of a changed artifact right, and open the bundle."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    entry = next(artifact for artifact in content["artifacts"] if artifact["path"] == inner)
    entry.update(digest(folder / inner).model_dump())
    path.write_text(json.dumps(content), encoding="utf-8")
    return Bundle.open(folder)


def decoders(bundle: Bundle) -> list[Subject]:
    found, _ = subjects(bundle, steps=8)
    return [subject for subject in found if subject.artifact.graph in {"generate", "caption"}]


def test_a_file_for_each_precision_beside_its_step(texts: Bundle, captions: Bundle) -> None:
    graphs = {
        artifact.path: (artifact.graph, artifact.narrowing.axes)
        for artifact in texts.manifest.artifacts
    }
    assert graphs == {
        "onnx/step.onnx": ("step", {}),
        "onnx/generate.onnx": ("generate", {"batch": 1}),
        "onnx/step-int4.onnx": ("step", {"time": 1}),
        "onnx/generate-int4.onnx": ("generate", {"batch": 1}),
    }
    assert [a.path for a in captions.manifest.artifacts] == [
        "onnx/encode.onnx",
        "onnx/step-int8.onnx",
        "onnx/caption-int8.onnx",
    ]


@pytest.mark.parametrize("kind", ["texts", "captions"])
def test_right_files_pass_with_every_check_that_is_made_of_them(
    kind: str, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(kind)
    report = verify_bundle(bundle, steps=8)
    assert report.passed
    own = {subject.artifact.path for subject in decoders(bundle)}
    found = {
        a.path: [(c.name, c.status) for c in a.checks] for a in report.artifacts if a.path in own
    }
    assert found == {
        path: [("contract", "passed"), ("structure", "passed"), ("decoding", "passed")]
        for path in found
    }
    assert len(found) == (2 if kind == "texts" else 1)


def test_checks_of_a_step_are_as_ever(texts: Bundle) -> None:
    step, generate = texts.manifest.artifacts[:2]
    assert checks_of(step) == (
        "contract",
        "structure",
        "rollout",
        "invariance",
        "text",
        "greedy",
        "golden",
    )
    assert checks_of(generate) == ("contract", "structure", "decoding")


def test_a_file_that_writes_something_else_is_named(
    checkpoint_folder: Path, tmp_path: Path
) -> None:
    bundle = export_bundle(checkpoint_folder, tmp_path / "b", to="onnx", in_graph=True, steps=8)
    path = bundle.path("onnx/generate.onnx")
    model = onnx.load(str(path))
    head = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("head.bias"))
    values = onnx.numpy_helper.to_array(head).copy()
    values[5] += 9
    head.CopyFrom(onnx.numpy_helper.from_array(values, head.name))
    onnx.save(model, str(path))
    (subject,) = decoders(signed(bundle.folder, "onnx/generate.onnx"))
    check = run_check(subject, "decoding")
    assert check.status == "failed"
    assert check.detail.startswith("greedy after prompt 1: token 0 is [5], the host writes [")
    assert check.detail.endswith("with onnx/step.onnx")


def _output_scaled(name: str, factor: float) -> Callable[[onnx.ModelProto], None]:
    """Multiply a float32 output of a graph."""

    def change(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            node.output[:] = [f"{name}_raw" if output == name else output for output in node.output]
        by = onnx.numpy_helper.from_array(np.float32(factor), f"{name}_by")
        model.graph.initializer.append(by)
        model.graph.node.append(onnx.helper.make_node("Mul", [f"{name}_raw", by.name], [name]))

    return change


def _input_replaced(name: str, value: np.ndarray) -> Callable[[onnx.ModelProto], None]:
    """Let a graph take a constant for one of its inputs, in its loops, too."""

    def replace_in(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            node.input[:] = [f"{name}_fixed" if source == name else source for source in node.input]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    replace_in(attribute.g)

    def change(model: onnx.ModelProto) -> None:
        replace_in(model.graph)
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, f"{name}_fixed"))

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_output_scaled("log_probabilities", 1.05), "log_probabilities is "),
        (_output_scaled("h_next", 1.01), "h_next is "),
        (_output_scaled("c_next", 1.01), "c_next is "),
        (_input_replaced("temperature", np.float64(0.8)), "token "),
        (_input_replaced("top_k", np.int64(0)), "token "),
        (_input_replaced("top_p", np.float64(1)), "token "),
        (_input_replaced("length", np.int64(12)), "token "),
        (_input_replaced("stop", np.zeros(0, np.int64)), "token "),
    ],
    ids=["log-probabilities", "h", "c", "temperature", "top-k", "top-p", "length", "stop"],
)
def test_every_output_and_input_is_judged(
    checkpoint_folder: Path, tmp_path: Path, change: Callable[[onnx.ModelProto], None], says: str
) -> None:
    bundle = export_bundle(checkpoint_folder, tmp_path / "b", to="onnx", in_graph=True, steps=4)
    path = bundle.path("onnx/generate.onnx")
    model = onnx.load(str(path))
    change(model)
    onnx.save(model, str(path))
    check = run_check(decoders(signed(bundle.folder, "onnx/generate.onnx"))[0], "decoding")
    assert check.status == "failed"
    assert says in check.detail


@pytest.mark.parametrize("name", ["score", "log_probability", "attention"])
def test_every_output_of_a_caption_is_judged(captions: Bundle, tmp_path: Path, name: str) -> None:
    shutil.copytree(captions.folder, tmp_path / "b")
    path = tmp_path / "b" / "onnx/caption-int8.onnx"
    model = onnx.load(str(path))
    assert name in {output.name for output in model.graph.output}
    _output_scaled(name, 1.05)(model)
    onnx.save(model, str(path))
    check = run_check(decoders(signed(tmp_path / "b", "onnx/caption-int8.onnx"))[0], "decoding")
    assert (check.status, f": {name} is " in check.detail) == ("failed", True)


def test_captions_are_judged_without_held_out_pictures(captions: Bundle) -> None:
    manifest = captions.manifest.model_copy(update={"evaluation": None})
    (subject,) = decoders(Bundle(captions.source, captions.folder, manifest))
    assert run_check(subject, "decoding").status == "passed"


def test_a_bundle_without_the_step_file_cannot_be_judged(texts: Bundle) -> None:
    subject = decoders(texts)[0]
    alone = texts.manifest.model_copy(update={"artifacts": (subject.artifact,)})
    bundle = Bundle(texts.source, texts.folder, alone)
    check = run_check(Subject(bundle, subject.artifact, subject.reference, 8), "decoding")
    assert (check.status, "no step file of onnx in float32" in check.detail) == ("failed", True)


def test_only_what_a_format_can_decode_is_written(checkpoint_folder: Path, tmp_path: Path) -> None:
    bundle = export_bundle(
        checkpoint_folder, tmp_path / "b", to="torchscript", in_graph=True, steps=8
    )
    assert [artifact.path for artifact in bundle.manifest.artifacts] == ["torchscript/step.pt"]


def test_a_captioner_has_no_generate_graph(
    make_captioner: Callable[..., object], tmp_path: Path
) -> None:
    with pytest.raises(
        ContractError, match="beside tokens; only a caption graph can be made of it"
    ):
        OnnxExporter().export(
            make_captioner(),  # type: ignore[arg-type]
            tmp_path / "g.onnx",
            precision="float32",
            decoding=Decoding(),
            graph="generate",
        )
