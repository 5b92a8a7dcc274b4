"""The check ``structure``: honest exports of every format pass, and what no sample shows is
proved.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edgernn.bundle import Bundle, digest
from edgernn.bundle.records import Artifact
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.export import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.export.to_coreml.weights import weight_table as table_of_package
from edgernn.parity.checks import run_check
from edgernn.parity.report.data import Check
from edgernn.parity.structure.mil import MilStructure
from edgernn.parity.structure.onnx import OnnxStructure
from edgernn.parity.structure.stored import bytes_problems, stored_problems, value_problems
from edgernn.parity.subject import Subject

ONNX, SCRIPT, MLSTATE = "onnx/step.onnx", "torchscript/step.pt", "coreml/step_mlstate.mlpackage"
node = helper.make_node
LOOSE = ReducedOptions(budget=Budget(perplexity=1.0))


@pytest.fixture(scope="module")
def reduced(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny LSTM in 8 and 4 bits, in ONNX and Core ML, and decoding in the graph. Read only."""
    precisions = ["float16", "int8", "int4", "palettized4"]
    folder = tmp_path_factory.mktemp("reduced") / "b"
    return export_bundle(
        checkpoint_folder,
        folder,
        to=["onnx", "coreml"],
        precision=precisions,
        in_graph=True,
        options=LOOSE,
        steps=4,
    )


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(bundle_folder, tmp_path / "b")
    return tmp_path / "b"


def structure(bundle: Bundle, artifact: Artifact) -> Check:
    return run_check(Subject(bundle, artifact, {}, 4), "structure")


def of_changed(
    folder: Path, inner: str, change: Callable[[dict[str, object]], None] = lambda entry: None
) -> Check:
    """Make the digest of a changed file right, change its entry of the manifest, and make the
    check.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = next(artifact for artifact in manifest["artifacts"] if artifact["path"] == inner)
    entry.update(digest(folder / inner).model_dump())
    change(entry)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    bundle = Bundle.open(folder)
    return structure(bundle, bundle.artifact(inner))


def after_logits(folder: Path, *chain: onnx.NodeProto, **constants: np.ndarray) -> Check:
    """Put operators between the logits, then ``raw``, and the output."""
    model = onnx.load(folder / ONNX)
    for made in model.graph.node:
        made.output[:] = ["raw" if name == "logits" else name for name in made.output]
    model.graph.node.extend(chain)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    onnx.save(model, folder / ONNX)
    return of_changed(folder, ONNX)


def test_honest_exports_of_every_format_pass(
    bundle: Bundle, captioner_bundle: Bundle, reduced: Bundle
) -> None:
    for opened in (bundle, captioner_bundle, reduced):
        for artifact in opened.manifest.artifacts:
            check = structure(opened, artifact)
            assert check.status == "passed", f"{artifact.path}: {check.detail}"


def test_it_says_what_is_proved_and_what_is_stored(bundle: Bundle, reduced: Bundle) -> None:
    details = {
        artifact.path: structure(bundle, artifact).detail for artifact in bundle.manifest.artifacts
    }
    assert details[ONNX].endswith(
        "the same at every size: none branches, draws or keeps anything; matrices: 6 in float32"
    )
    assert "none branches or draws; reads and writes c, h once; matrices:" in details[MLSTATE]
    detail = structure(reduced, reduced.artifact("onnx/step-int4.onnx")).detail
    assert "in int4" in detail


@pytest.mark.parametrize(
    ("chain", "named"),
    [
        (
            [node("Shape", ["tokens"], ["s"]), node("Cast", ["s"], ["f"], to=TensorProto.FLOAT)],
            r"Cast \(f\) makes a number of the size of an axis to compute with",
        ),
        (
            [node("Shape", ["raw"], ["s"]), node("Greater", ["s", "ninety"], ["g"])],
            "compares batch with 90",
        ),
        (
            [node("ReduceMax", ["raw"], ["m"], axes=[0])],
            r"ReduceMax \(m\) along the axis batch mixes",
        ),
        (
            [node("RandomUniformLike", ["raw"], ["r"])],
            r"RandomUniformLike \(r\) draws random numbers",
        ),
        (
            [node("NonZero", ["raw"], ["n"])],
            r"NonZero \(n\) has a result whose size depends on data",
        ),
        (
            [node("LSTM", ["raw", "w", "r"], ["y"], hidden_size=1)],
            "one row's result depends on the rows before it",
        ),
    ],
)
def test_what_depends_on_a_size_or_on_chance_fails(
    folder: Path, chain: list[onnx.NodeProto], named: str
) -> None:
    weights = {"w": np.zeros((1, 4, 34), np.float32), "r": np.zeros((1, 4, 1), np.float32)}
    check = after_logits(
        folder, *chain, node("Identity", ["raw"], ["logits"]), ninety=np.array(90), **weights
    )
    assert check.status == "failed"
    assert check.detail.startswith("the graph is not the same at every size and call: ")
    assert re.search(named, check.detail), check.detail


def test_an_output_of_another_shape_fails(folder: Path) -> None:
    check = after_logits(folder, node("Transpose", ["raw"], ["logits"], perm=[1, 0, 2]))
    assert check.status == "failed"
    assert "logits has shape [time, batch, 34], expected [batch, time, 34]" in check.detail


def test_what_is_not_known_is_not_proved(folder: Path) -> None:
    check = after_logits(folder, node("Hardmax", ["raw"], ["logits"]))
    assert check.status == "not run"
    assert check.detail.startswith(
        "the reader of structures does not know Hardmax (logits), so nothing is proved of this file"
    )


def test_what_decides_by_data_is_not_proved(folder: Path) -> None:
    chain = [
        node("Greater", ["raw", "nine"], ["g"]),
        node("Where", ["g", "nine", "raw"], ["logits"]),
    ]
    check = after_logits(folder, *chain, nine=np.array(9, np.float32))
    assert check.status == "not run"
    assert (
        "Greater (g) decides by ids or states, so nothing is proved of those that no run meets"
        in check.detail
    )


class LongCalls(nn.Module):
    """Other logits in calls of more than 90 steps."""

    def __init__(self, inner: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, h_next, c_next = self.inner(tokens, h, c)
        if tokens.size(1) > 90:
            logits = logits * 2
        return logits, h_next, c_next


class MeanOverRows(LongCalls):
    """The mean of all rows in every row."""

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, h_next, c_next = self.inner(tokens, h, c)
        return logits, h_next + h_next.mean(1, keepdim=True), c_next


class TimeInNumbers(LongCalls):
    """The number of steps in the logits."""

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, h_next, c_next = self.inner(tokens, h, c)
        return logits + tokens.size(1), h_next, c_next


class LargeLogits(LongCalls):
    """Other logits where they are large."""

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, h_next, c_next = self.inner(tokens, h, c)
        return torch.where(logits > 90, 2 * logits, logits), h_next, c_next


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (LongCalls, "prim::If branches"),
        (MeanOverRows, "aten::mean along the axis batch mixes"),
        (TimeInNumbers, "aten::add computes with the size of an axis"),
    ],
)
def test_a_script_that_depends_on_a_size_fails(
    folder: Path, module: type[LongCalls], named: str
) -> None:
    check = of_scripted(folder, module)
    assert check.status == "failed"
    assert named in check.detail


def test_a_script_that_decides_by_data_is_not_proved(folder: Path) -> None:
    check = of_scripted(folder, LargeLogits)
    assert check.status == "not run"
    assert "aten::gt decides by ids or states" in check.detail


def of_scripted(folder: Path, module: type[LongCalls]) -> Check:
    """Put a script around the bundle's own and check what its structure is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(module(torch.jit.load(str(folder / SCRIPT))))
        torch.jit.save(script, str(folder / SCRIPT))
    return of_changed(folder, SCRIPT)


def test_a_label_that_loosens_the_tolerance_fails(folder: Path) -> None:
    check = of_changed(folder, ONNX, lambda entry: entry.update(precision="int8", weights=[]))
    assert check.status == "failed"
    assert (
        check.detail == "no matrix is stored as int8, the precision is int8; there are 6 in float32"
    )


def test_a_list_of_weights_that_is_not_the_files_fails(folder: Path) -> None:
    def change(entry: dict[str, object]) -> None:
        for weight in entry["weights"]:  # type: ignore[attr-defined]
            weight.update(dtype="int8", block_size=32)

    check = of_changed(folder, ONNX, change)
    assert check.status == "failed"
    assert (
        "the manifest lists int8 [34, 6] in blocks of 32, the file does not have it" in check.detail
    )


def weight(dtype: str, block: int = 0, *, table: bool = False) -> StoredWeight:
    return StoredWeight("head", (8, 8), dtype, 256, 64, 8 if table else 64, block_size=block)


def narrow(rows: int) -> StoredWeight:
    return StoredWeight("next", (rows, 8), "int8", 32 * rows, 8 * rows, 8 * rows, block_size=8)


def entry(precision: str, *weights: StoredWeight, graph: str = "step") -> Artifact:
    return Artifact.model_validate(
        {
            **{
                "path": "onnx/x.onnx",
                "format": "onnx",
                "precision": precision,
                "graph": graph,
                "bytes": 1,
            },
            **{"sha256": "0" * 64, "target": "t", "exporter": "e", "weights": weights},
        }
    )


@pytest.mark.parametrize(
    ("artifact", "found", "named"),
    [
        (entry("int8"), [weight("int8", 32)], []),
        (entry("int4"), [weight("int4", 32), weight("int8", 32, table=True)], []),
        (
            entry("int4"),
            [weight("int4", 32), weight("int8", 32)],
            ["stored as int8, the precision is int4"],
        ),
        (
            entry("int8"),
            [weight("int4", 32)],
            ["no matrix is stored as int8, the precision is int8; there are 1 in int4"],
        ),
        (
            entry("float16"),
            [StoredWeight("head", (2, 7), "float32", 56, 14, 14)],
            [],
        ),  # all are too small for a cast
        (
            entry("float16"),
            [weight("float16"), weight("float32")],
            ["stored as float32, the precision is float16"],
        ),
        (entry("smallest"), [weight("int4", 32), weight("int8", 32)], []),
        (
            entry("int8", weight("int8", 32)),
            [weight("int8", 64)],
            ["lists int8 [8, 8] in blocks of 32", "lists no int8"],
        ),
        (
            entry("int8", weight("int8", 32), weight("float32")),
            [weight("int8", 32), weight("float32")],
            [],
        ),  # --allow-float
        (
            entry("int8"),
            [weight("int8", 32), weight("float32")],
            ["stored as float32, the precision is int8"],
        ),
        (
            entry("int4", weight("int4"), narrow(4)),
            [weight("int4"), narrow(4)],
            [],
        ),
        (entry("int4", narrow(4)), [narrow(4)], []),
        (
            entry("int4", weight("int4"), narrow(5)),
            [weight("int4"), narrow(5)],
            ["[5, 8] is stored as int8, the precision is int4"],
        ),
        (entry("float32"), [weight("float16")], ["no matrix is stored as float32"]),
        (entry("palettized4"), [weight("float16")], ["no matrix is stored as palettized4"]),
        (entry("tomorrow"), [weight("float32")], ["no matrix is stored as tomorrow"]),
    ],
)
def test_what_is_stored_against_what_is_said(
    artifact: Artifact, found: list[StoredWeight], named: list[str]
) -> None:
    problems = stored_problems(artifact, found)
    assert len(problems) == len(named)
    for problem, part in zip(problems, named, strict=True):
        assert part in problem


def test_a_decoder_must_have_the_values_of_its_step_file() -> None:
    own, step = {"a": "1", "mask": "9"}, {"weight": "1"}
    assert value_problems(own, step, "onnx/step.onnx") == []
    assert value_problems(own, {**step, "head": "2"}, "x.onnx") == [
        "head of x.onnx has other values in this file"
    ]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda weights: [], "the manifest lists no weights, the file has "),
        (lambda weights: [{**weights[0], "bytes": 1}, *weights[1:]], "that it takes 1 bytes"),
        (
            lambda weights: [{**weights[0], "recurrent": True}, *weights[1:]],
            "and multiplies the state",
        ),
    ],
)
def test_what_weights_take_is_held_against_the_file(
    reduced: Bundle,
    change: Callable[[list[dict[str, object]]], list[dict[str, object]]],
    named: str,
) -> None:
    artifact = reduced.artifact("onnx/step-int4.onnx")
    found = OnnxStructure(reduced.path(artifact.path)).stored()
    assert bytes_problems(artifact, found) == []
    listed = [
        StoredWeight(**weight) for weight in change([asdict(weight) for weight in artifact.weights])
    ]
    (problem,) = bytes_problems(artifact.model_copy(update={"weights": tuple(listed)}), found)
    assert named in problem


def test_a_decoder_must_have_the_weights_of_its_step_file() -> None:
    step, decoder = entry("int8", weight("int8", 32)), entry("int8", graph="generate")
    assert stored_problems(decoder, [weight("int8", 32), weight("float32")], step) == []
    assert "onnx/x.onnx has int8 [8, 8] in blocks of 32, this file does not" in stored_problems(
        decoder, [weight("int8", 16)], step
    )


def test_the_text_of_a_package_tells_what_its_reader_tells(reduced: Bundle) -> None:
    for artifact in reduced.manifest.artifacts:
        if artifact.format == "coreml":
            path = reduced.path(artifact.path)
            found, expected = MilStructure(path).stored(), table_of_package(path)
            assert [(w.shape, w.dtype, w.block_size) for w in found] == [
                (w.shape, w.dtype, w.block_size) for w in expected if w.shape
            ]
