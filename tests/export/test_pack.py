"""A bundle is whole, says where it comes from, needs no checkpoint, and replaces nothing but an
older bundle.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import Tensor, nn

import edgernn
from edgernn import formats
from edgernn.bundle import Bundle, pack
from edgernn.bundle.manifest import Manifest
from edgernn.contract.build import build_contract
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import CheckpointError, ContractError, UnavailableError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.export.to_torchscript import TorchScriptExporter
from edgernn.models import checkpoint
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.models.module import ModuleModel
from edgernn.models.weights import named_tensors
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.opening import open_session
from edgernn.writing.text import write_text

MakeModel = Callable[..., LanguageModel]
WRITTEN = formats.default_rows()
ARTIFACTS = [row.path(row.precisions[0]) for row in WRITTEN]
COREML, KEPT = "coreml/step.mlpackage", "coreml/step_mlstate.mlpackage"
ALWAYS = {"manifest.json", "tokenizer.json", "golden.safetensors", "sampler.json"}
REFERENCE = {"reference/config.json", "reference/weights.safetensors", "reference/tokenizer.json"}
EVALUATION = {"evaluation/held_out.safetensors"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def export_onnx(source: Path | Checkpoint, out: Path, **options: Any) -> Bundle:
    return export_bundle(source, out, to=["onnx"], steps=8, **options)


def sha256(path: Path) -> str:
    """As the format says: of a folder, the SHA-256 of what ``sha256sum`` prints of its sorted
    files.
    """
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    listing = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(contents(path).items())
    )
    return hashlib.sha256(listing.encode()).hexdigest()


def test_a_bundle_holds_every_format_and_what_drives_it(bundle: Bundle) -> None:
    assert [artifact.path for artifact in bundle.manifest.artifacts] == ARTIFACTS
    assert [(artifact.format, artifact.precision) for artifact in bundle.manifest.artifacts] == [
        (row.name, row.precisions[0]) for row in WRITTEN
    ]
    names = contents(bundle.folder).keys()
    assert {
        name for name in names if not name.startswith(tuple(ARTIFACTS))
    } == ALWAYS | REFERENCE | EVALUATION
    manifest = bundle.manifest
    assert (manifest.golden, manifest.reference) == ("golden.safetensors", "reference")
    assert (manifest.evaluation, manifest.initial_state) == (
        "evaluation/held_out.safetensors",
        None,
    )


def test_every_file_is_in_the_manifest_with_its_digest(bundle: Bundle) -> None:
    listed = {
        **bundle.manifest.files,
        **{artifact.path: artifact for artifact in bundle.manifest.artifacts},
    }
    names = {name for name in contents(bundle.folder) if name != "manifest.json"}
    assert all(name in listed or name.startswith(tuple(ARTIFACTS)) for name in names)
    for name, entry in listed.items():
        path = bundle.folder / name
        size = sum(map(len, contents(path).values())) if path.is_dir() else len(path.read_bytes())
        assert (entry.bytes, entry.sha256) == (size, sha256(path)), name


def test_provenance(bundle: Bundle, checkpoint_folder: Path, make_model: MakeModel) -> None:
    provenance = bundle.manifest.provenance
    assert provenance.edgernn == edgernn.__version__
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(
        provenance.created
    )
    assert datetime.timedelta(0) <= age < datetime.timedelta(hours=1)
    model = make_model()
    assert provenance.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert provenance.model == model.config.model_dump()
    assert (
        provenance.training == checkpoint.load(checkpoint_folder).training == {"corpus": "a test"}
    )


def test_artifacts_say_who_wrote_them_for_what_and_how_close_they_came(bundle: Bundle) -> None:
    found = {artifact.format: artifact for artifact in bundle.manifest.artifacts}
    known = {"onnx": "opset 17, IR 9", "torchscript": "torch.jit", "coreml": "iOS17"}
    for name, target in {**known, "coreml-mlstate": "iOS18"}.items():
        assert found[name].target == target
    for artifact in found.values():
        assert f"torch {torch.__version__}" in artifact.exporter
        if formats.by_name(artifact.format).needs_platform():
            assert artifact.parity is None
        else:
            assert artifact.parity is not None
            assert artifact.parity.steps >= 8
            assert 0 <= artifact.parity.worst <= artifact.parity.tolerance


def test_decoding_defaults_start_at_a_line(bundle: Bundle, tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(bundle.manifest.decoding.start) == "\n"
    assert (bundle.manifest.tokenizer.kind, bundle.manifest.tokenizer.vocabulary_size) == (
        "char",
        tokenizer.vocabulary_size,
    )


def test_a_release_leaves_the_weights_and_the_sample_out(
    checkpoint_folder: Path, tmp_path: Path
) -> None:
    bundle = export_onnx(checkpoint_folder, tmp_path / "release", release=True)
    assert contents(tmp_path / "release").keys() == ALWAYS | {"onnx/step.onnx"}
    assert (bundle.manifest.reference, bundle.manifest.evaluation) == (None, None)
    assert write_text(tmp_path / "release", "the ", length=4)["tokens"]


def test_a_single_file_is_the_same_bundle(checkpoint_folder: Path, tmp_path: Path) -> None:
    single = tmp_path / "tiny.edgernn"
    packed = export_onnx(checkpoint_folder, single)
    assert packed.source == single
    folder = export_onnx(checkpoint_folder, tmp_path / "tiny")
    with zipfile.ZipFile(single) as archive:
        assert set(archive.namelist()) == contents(tmp_path / "tiny").keys()
    assert packed.manifest.files == folder.manifest.files
    assert {path.name for path in tmp_path.iterdir()} == {"tiny", "tiny.edgernn"}
    assert write_text(single, "the ", length=5) == write_text(tmp_path / "tiny", "the ", length=5)


def test_it_needs_no_checkpoint_any_more(checkpoint_folder: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "run", tmp_path / "bundle"
    shutil.copytree(checkpoint_folder, copy)
    export_onnx(copy, out)
    before = write_text(out, "the ", length=8, seed=3)
    shutil.rmtree(copy)
    assert verify_bundle(out, steps=8).passed
    assert verify_bundle(out, steps=8).reference == "eager torch from the bundle"
    assert write_text(out, "the ", length=8, seed=3) == before


def test_the_reference_inside_is_the_checkpoint(bundle: Bundle, checkpoint_folder: Path) -> None:
    inner, outer = checkpoint.load(bundle.path("reference")), checkpoint.load(checkpoint_folder)
    assert inner.model.config == outer.model.config
    wanted = dict(outer.model.named_parameters())
    assert all(
        torch.equal(parameter, wanted[name]) for name, parameter in inner.model.named_parameters()
    )
    sample = checkpoint.read_evaluation(bundle.path("evaluation/held_out.safetensors"))
    assert sample.keys() == outer.evaluation.keys() == {"tokens"}
    assert sample["tokens"].tolist() == outer.evaluation["tokens"].tolist()


def test_a_learned_first_state_is_in_the_bundle(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(learned_initial_state=True)
    bundle = export_onnx(Checkpoint(model, tokenizer), tmp_path / "bundle", release=True)
    assert bundle.manifest.initial_state == "initial_state.safetensors"
    stored = safetensors.numpy.load_file(bundle.path("initial_state.safetensors"))
    assert stored.keys() == {"h", "c"}
    session = open_session(bundle)
    for name, values in stored.items():
        assert values.shape == (2, 1, 8)
        assert np.array_equal(values, model.first_state[name].detach().numpy())
        assert np.array_equal(session.initial_state(3)[name], np.repeat(values, 3, axis=1))


@pytest.mark.parametrize(
    ("to", "precision", "paths"),
    [
        (["onnx", "torchscript"], ["float32"], ["onnx/step.onnx", "torchscript/step.pt"]),
        (
            ["coreml"],
            ["float16", "float32"],
            [COREML, "coreml/step-float32.mlpackage", KEPT],
        ),
        (["coreml-mlstate"], None, [KEPT]),
    ],
    ids=str,
)
def test_formats_and_precisions(
    checkpoint_folder: Path,
    tmp_path: Path,
    to: list[str],
    precision: list[str] | None,
    paths: list[str],
) -> None:
    bundle = export_bundle(
        checkpoint_folder, tmp_path / "bundle", to=to, precision=precision, steps=8
    )
    assert [artifact.path for artifact in bundle.manifest.artifacts] == paths
    assert all((tmp_path / "bundle" / path).exists() for path in paths)


@pytest.mark.parametrize(
    ("to", "precision", "complaint"),
    [
        (
            None,
            ["int3"],
            "cannot export int3 as asked: onnx offers float32, .*smallest; .*; coreml offers "
            "float16, float32",
        ),
        (
            ["onnx"],
            ["float32", "int3"],
            "cannot export int3 as asked: onnx offers float32, float16, int8, int4, smallest; "
            "did you mean int8",
        ),
        (
            ["torchscript"],
            ["float16"],
            "cannot export float16, torchscript as asked: torchscript offers float32",
        ),
        (["torchscript", "coreml"], ["float16"], "cannot export torchscript as asked"),
        (
            ["coreml-mlstate"],
            ["float32"],
            "cannot export float32, coreml-mlstate as asked: coreml-mlstate offers float16",
        ),
        (None, [], "cannot export nothing as asked"),
        (["onxx"], None, "unknown format 'onxx'; expected one of .*onnx.*torchscript"),
        ([], None, "no format given; expected one or more of"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_never_left_out(
    checkpoint_folder: Path,
    tmp_path: Path,
    to: list[str] | None,
    precision: list[str] | None,
    complaint: str,
) -> None:
    with pytest.raises(UsageError, match=complaint):
        export_bundle(checkpoint_folder, tmp_path / "bundle", to=to, precision=precision)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "years of work"},
        {"manifest.json": '{"name": "a web app", "start_url": "/"}', "index.html": "<p>"},
    ],
    ids=["other files", "the manifest of something else"],
)
def test_a_folder_that_is_no_bundle_is_left_alone(
    checkpoint_folder: Path, tmp_path: Path, files: dict[str, str]
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    for name, text in files.items():
        (out / name).write_text(text)
    before = contents(out)
    with pytest.raises(UsageError, match="is there and is no bundle; it was left as it is"):
        export_onnx(checkpoint_folder, out)
    assert contents(out) == before
    assert list(tmp_path.iterdir()) == [out]


def test_what_systems_left_in_an_older_bundle_goes_with_it(
    checkpoint_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / ".DS_Store").write_text("left by a system")  # in an empty folder
    export_onnx(checkpoint_folder, out)
    for name in (".DS_Store", "onnx/._step.onnx", "Thumbs.db"):
        (out / name).write_text("left by a system")
    export_onnx(checkpoint_folder, out)
    assert not (out / ".DS_Store").exists()
    (out / "onnx" / "notes").write_text("mine")
    with pytest.raises(UsageError, match="onnx/notes"):
        export_onnx(checkpoint_folder, out)


def test_a_file_or_a_folder_in_the_way(checkpoint_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "folder.edgernn").mkdir()
    with pytest.raises(UsageError, match=r"notes is there and is no bundle; it was left as it is"):
        export_onnx(checkpoint_folder, tmp_path / "notes")
    with pytest.raises(
        UsageError, match=r"folder.edgernn is a folder, expected a .edgernn file to write"
    ):
        export_onnx(checkpoint_folder, tmp_path / "folder.edgernn")
    assert (tmp_path / "notes").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "content",
    [b"my notes\n", {"a.npy": "1"}, {"manifest.json": '{"name": "a web app"}'}],
    ids=["text", "a zip", "a zip with another manifest"],
)
def test_a_users_file_is_kept_whatever_its_ending(
    checkpoint_folder: Path, tmp_path: Path, content: bytes | dict[str, str]
) -> None:
    out = tmp_path / "notes.edgernn"
    if isinstance(content, bytes):
        out.write_bytes(content)
    else:
        with zipfile.ZipFile(out, "w") as archive:
            for name, text in content.items():
                archive.writestr(name, text)
    before = out.read_bytes()
    with pytest.raises(UsageError, match=r"notes.edgernn is there and is no bundle .*left as it"):
        export_onnx(checkpoint_folder, out)
    with pytest.raises(UsageError, match="is no bundle"):
        pack(checkpoint_folder, out)
    assert out.read_bytes() == before
    out.write_bytes(b"")  # holds nothing
    export_onnx(checkpoint_folder, out)
    with Bundle.open(out) as bundle:
        assert bundle.manifest.artifacts


@pytest.mark.parametrize("name", ["net.onnx", "net.pt", "net.mlpackage", "net.zip", "n.EDGERNN"])
def test_no_folder_gets_a_model_files_name(
    checkpoint_folder: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        UsageError, match=r"a folder or a .edgernn file; write --out .*\.edgernn, or"
    ):
        export_onnx(checkpoint_folder, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["bundle", "bundle.edgernn"])
def test_an_older_bundle_is_replaced_whole(
    checkpoint_folder: Path, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    export_onnx(checkpoint_folder, out)
    newer = export_onnx(Checkpoint(make_model(cell="gru"), tokenizer), out, release=True)
    assert [state.name for state in newer.manifest.contract.step.states] == ["h"]
    assert newer.manifest.reference is None
    assert not (newer.folder / "reference").exists()
    assert list(tmp_path.iterdir()) == [out]


def test_an_empty_folder_may_be_filled(checkpoint_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    assert export_onnx(checkpoint_folder, tmp_path / "bundle").source == tmp_path / "bundle"


@pytest.mark.parametrize("name", ["bundle", "bundle.edgernn"])
def test_a_failure_in_the_middle_leaves_the_older_bundle(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = tmp_path / name
    export_onnx(checkpoint_folder, out)
    before = contents(out) if out.is_dir() else out.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise ContractError("the second exporter failed")

    monkeypatch.setattr(TorchScriptExporter, "_write", fail)
    with pytest.raises(ContractError, match="the second exporter failed"):
        export_bundle(checkpoint_folder, out, to=["onnx", "torchscript"], steps=8)
    assert (contents(out) if out.is_dir() else out.read_bytes()) == before
    assert list(tmp_path.iterdir()) == [out]
    Bundle.open(out)


def test_an_artifact_out_of_tolerance_is_not_packed(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = OnnxExporter._write

    def write_another(
        self: OnnxExporter, model: LanguageModel, path: Path, **options: Any
    ) -> object:
        model.recurrent.fused.weight_hh_l1[3, 2] += 0.05  # type: ignore[union-attr, operator]
        return write(self, model, path, **options)

    monkeypatch.setattr(OnnxExporter, "_write", write_another)
    with pytest.raises(
        ContractError,
        match=r"onnx float32 is \d.\de-\d+ from the reference in \w+ over \d+ steps, tolerance",
    ):
        export_onnx(checkpoint_folder, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_model_whose_state_overflows_is_not_packed(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(cell="rnn_relu")
    with torch.no_grad():
        model.recurrent.fused.weight_hh_l0.mul_(1000)  # type: ignore[union-attr, operator]
    with pytest.raises(ContractError, match="reference"):
        export_bundle(Checkpoint(model, tokenizer), tmp_path / "bundle", to=["onnx"], steps=64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["head.weight", "recurrent.fused.weight_hh_l1", "first_state.c"])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_weight_that_is_not_finite_is_refused_by_name(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, place: str, value: float
) -> None:
    model = make_model(learned_initial_state=True)
    with torch.no_grad():
        named_tensors(model)[place].view(-1)[5] = value
    says = (
        rf"weights that are not finite: {place} \(1 of \d+ values, the first {value}\); nothing "
        r"was written"
    )
    for chosen in (
        {"to": "onnx", "precision": ["float32", "float16", "int8", "int4"]},
        {"to": ["torchscript", "coreml"]},
    ):
        with pytest.raises(CheckpointError, match=says):
            export_bundle(Checkpoint(model, tokenizer), tmp_path / "bundle", **chosen)
    assert list(tmp_path.iterdir()) == []


def test_a_model_beyond_every_perplexity_is_exported_and_verified(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model()
    with torch.no_grad():
        model.head.bias[0] = 5000
    loaded = Checkpoint(model, tokenizer, {}, {"tokens": np.arange(1, 130) % 33 + 1})
    bundle = export_bundle(
        loaded,
        tmp_path / "bundle",
        to=["onnx", "torchscript"],
        precision=["float32", "float16", "int8", "int4"],
        steps=16,
    )
    loss = bundle.artifact("onnx/step-int8.onnx").loss
    assert loss is not None
    assert loss.reference_nats == pytest.approx(5000, abs=10)
    assert loss.increase == pytest.approx(0, abs=0.1)
    assert np.isfinite([loss.perplexity, loss.reference_perplexity, loss.mean_kl]).all()
    report = verify_bundle(bundle, steps=16)
    assert report.passed, [
        check
        for artifact in report.artifacts
        for check in artifact.checks
        if check.status == "failed"
    ]
    assert "null" not in bundle.manifest.to_json() + report.to_json()
    assert "inf" not in bundle.manifest.to_json() + report.to_json()


@pytest.mark.parametrize("name", ["bundle", "bundle.edgernn"])
def test_what_its_own_reader_would_refuse_is_not_left_behind(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = Manifest.to_json
    monkeypatch.setattr(
        Manifest, "to_json", lambda self: whole(self).replace('"parameters": ', '"parameters": -')
    )
    with pytest.raises(
        ContractError, match=r"made cannot be read again .*parameters.*; nothing was written"
    ):
        export_onnx(checkpoint_folder, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        export_onnx(tmp_path / "nowhere", tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)
    monkeypatch.delitem(sys.modules, "edgernn.export.to_coreml.exporter", raising=False)
    with pytest.raises(
        UnavailableError, match=r"exporting coreml needs the package 'coremltools'.*\[export\]'"
    ):
        export_bundle(checkpoint_folder, tmp_path / "bundle", to=["coreml"], steps=8)
    assert list(tmp_path.iterdir()) == []


def test_a_loaded_checkpoint_is_not_changed(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(dropout=0.3).train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    export_onnx(Checkpoint(model, tokenizer), tmp_path / "bundle")
    assert all(module.training for module in model.modules())
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert verify_bundle(tmp_path / "bundle", steps=8).passed


def test_it_tells_what_it_does(checkpoint_folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    export_bundle(
        checkpoint_folder,
        tmp_path / "bundle",
        to=["onnx", "torchscript"],
        steps=8,
        tell=lines.append,
    )
    assert lines == ["exporting onnx float32", "exporting torchscript float32"]


def test_the_manifest_has_the_newest_schema(bundle: Bundle) -> None:
    manifest = json.loads((bundle.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["schema_version"] == 2


class Halved(nn.Module):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x + h, h * 0.5


def test_a_model_that_writes_nothing_has_no_file_that_decodes(tmp_path: Path) -> None:
    tensors = {"x": "float32[batch, w=3]"}
    own = build_contract(
        inputs=tensors, states={"h": "float32[batch, w]"}, outputs={"y": "float32[batch, w]"}
    )
    loaded = Checkpoint(ModuleModel(Halved(), own), None)
    with pytest.raises(UsageError, match="writes neither texts nor captions"):
        export_bundle(loaded, tmp_path / "b", to="onnx", in_graph=True)
    assert not (tmp_path / "b").exists()
