"""Verify passes what is right, fails each thing that is wrong, says what it could not check, and
changes nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import platform
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from edgernn import formats
from edgernn.bundle import Bundle, digest, pack
from edgernn.contract import METADATA_KEY, FileContract, Narrowing
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import BundleError, CheckpointError, EdgernnError, UnavailableError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.formats import by_name, select
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.language import LanguageModel
from edgernn.parity.report.data import ArtifactReport, VerifyReport
from edgernn.parity.report.html import to_html
from edgernn.parity.report.wording import headline
from edgernn.parity.verify import measure, verify_bundle
from edgernn.sessions.fake import FakeSession

MakeModel = Callable[..., LanguageModel]
ONNX = "onnx/step.onnx"
CHECKS = ["contract", "structure", "rollout", "invariance", "text", "greedy", "golden"]
ALL_PASSED = dict.fromkeys(CHECKS, "passed")
ALONE = {
    **ALL_PASSED,
    **dict.fromkeys(["rollout", "text", "greedy"], "not run"),
}  # what needs no reference


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle, to be spoiled."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def sign(folder: Path, inner: str) -> None:
    """Write the digest of a changed file into the manifest, so that the bundle opens."""
    found = digest(folder / inner).model_dump()

    def change(manifest: dict[str, Any]) -> None:
        entries = {artifact["path"]: artifact for artifact in manifest["artifacts"]} | manifest[
            "files"
        ]
        entries[inner].update(found)

    edit_manifest(folder, change)


def edit_onnx(folder: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(folder / ONNX)
    change(model)
    onnx.save(model, folder / ONNX)
    sign(folder, ONNX)


def replace_onnx(folder: Path, model: LanguageModel) -> None:
    decoding = Bundle.open(folder).manifest.decoding
    OnnxExporter().export(model, folder / ONNX, precision="float32", decoding=decoding)
    sign(folder, ONNX)


def statuses(artifact: ArtifactReport) -> dict[str, str]:
    return {check.name: check.status for check in artifact.checks}


def details(artifact: ArtifactReport) -> dict[str, str]:
    return {check.name: check.detail for check in artifact.checks}


def verify_onnx(folder: Path, **options: Any) -> tuple[VerifyReport, ArtifactReport]:
    report = verify_bundle(folder, to=["onnx"], **{"steps": 16, **options})
    (artifact,) = report.artifacts
    return report, artifact


def test_a_right_bundle_passes(bundle: Bundle) -> None:
    report = verify_bundle(bundle, steps=16)
    assert report.passed
    assert (report.bundle, report.steps) == (str(bundle.source), 16)
    assert report.reference == "eager torch from the bundle"
    assert [artifact.path for artifact in report.artifacts] == [
        artifact.path for artifact in bundle.manifest.artifacts
    ]
    found = {artifact.format: artifact for artifact in report.artifacts}
    assert statuses(found["onnx"]) == statuses(found["torchscript"]) == ALL_PASSED
    for artifact in report.artifacts:
        assert [check.name for check in artifact.checks] == CHECKS
        assert statuses(artifact)["contract"] == "passed"


@pytest.mark.skipif(platform.system() == "Darwin", reason="Core ML runs here")
def test_core_ml_is_interpreted_where_it_does_not_run_and_the_report_says_so(
    bundle_folder: Path,
) -> None:
    for artifact in verify_bundle(bundle_folder, to=["coreml"], steps=16).artifacts:
        assert statuses(artifact) == ALL_PASSED
        assert artifact.runtime == "the MIL interpreter, not Core ML itself"


def without(monkeypatch: pytest.MonkeyPatch, package: str, *parts: str) -> None:
    """Take ``package`` away from what is imported by a name with one of ``parts``."""
    resolve = formats.resolve

    def lacking(target: str, *, needed_for: str, extra: str | None) -> Any:
        if any(part in target for part in parts):
            raise UnavailableError(f"{needed_for} needs the package {package!r}")
        return resolve(target, needed_for=needed_for, extra=extra)

    monkeypatch.setattr(formats, "resolve", lacking)


def test_what_this_machine_cannot_check_is_not_run(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "coremltools", "coreml", "mil")
    for artifact in verify_bundle(bundle_folder, to=["coreml"], steps=4).artifacts:
        assert statuses(artifact) == dict.fromkeys(CHECKS, "not run")
        assert artifact.runtime == "nothing"
        assert "coremltools" in details(artifact)["rollout"]


def test_the_numbers_behind_the_verdict(bundle_folder: Path) -> None:
    _, artifact = verify_onnx(bundle_folder)
    checks = {check.name: check for check in artifact.checks}
    measured = checks["rollout"].measured
    assert (
        0
        <= measured["worst_scaled"]
        <= measured["tolerance"]
        == by_name("onnx").promise("float32").rollout
    )
    assert measured["tensor"] in {"logits", "h_next", "c_next"}
    assert "4 runs of 16, " in checks["rollout"].detail
    assert checks["greedy"].measured == {"identical": 16, "prompts": 1}
    assert "34 recorded steps" in checks["golden"].detail
    assert (
        checks["contract"].detail
        == "3 inputs, 3 outputs, 0 kept states, metadata; all 34 tokens vouched for"
    )


def test_one_perturbed_weight_fails(folder: Path, make_model: MakeModel) -> None:
    model = make_model()
    with torch.no_grad():
        model.recurrent.fused.weight_hh_l1[5, 3] += 0.02  # type: ignore[union-attr, operator]
    replace_onnx(folder, model)
    report, artifact = verify_onnx(folder)
    assert not report.passed
    assert not artifact.passed
    found = statuses(artifact)
    assert (found["contract"], found["rollout"], found["golden"]) == ("passed", "failed", "failed")
    rest = verify_bundle(folder, steps=8)
    assert not rest.passed
    assert [entry.format for entry in rest.artifacts if not entry.passed] == ["onnx"]


def test_another_text_fails(folder: Path, make_model: MakeModel) -> None:
    model = make_model()
    with torch.no_grad():
        model.head.bias[7] += 100
    replace_onnx(folder, model)
    _, artifact = verify_onnx(folder)
    good = dict.fromkeys(("contract", "structure", "invariance"), "passed")
    assert statuses(artifact) == {**dict.fromkeys(CHECKS, "failed"), **good}
    assert "token 0 after prompt 1 is 7, the reference writes" in details(artifact)["greedy"]


def test_what_is_not_a_number_fails_and_can_be_written(folder: Path, make_model: MakeModel) -> None:
    model = make_model()
    with torch.no_grad():
        model.head.bias[2] = float("nan")
    replace_onnx(folder, model)
    report, artifact = verify_onnx(folder)
    found = statuses(artifact)
    assert (found["rollout"], found["golden"]) == ("failed", "failed")
    json.loads(report.to_json(), parse_constant=pytest.fail)  # Infinity and NaN are not JSON


def test_a_model_of_other_sizes_breaks_the_contract(folder: Path, make_model: MakeModel) -> None:
    replace_onnx(folder, make_model(hidden=12))
    report, artifact = verify_onnx(folder)
    assert not report.passed
    assert set(statuses(artifact).values()) == {"failed"}
    assert "h has shape [2, batch, 12], expected [2, batch, 8]" in details(artifact)["contract"]


def test_changed_metadata_break_the_contract(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        own = json.loads(model.metadata_props[0].value)
        own["decoding"]["temperature"] = 2.0
        onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(own)})

    edit_onnx(folder, change)
    report, artifact = verify_onnx(folder)
    assert not report.passed
    assert statuses(artifact) == {**ALL_PASSED, "contract": "failed"}
    assert details(artifact)["contract"] == "the contract in its metadata is another one"


def test_a_renamed_output_fails_and_does_not_break_off(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.output[2].name = "cell_out"
        for node in model.graph.node:
            node.output[:] = ["cell_out" if name == "c_next" else name for name in node.output]

    edit_onnx(folder, change)
    report, artifact = verify_onnx(folder)
    assert not report.passed
    assert "outputs are ['logits', 'h_next', 'cell_out']" in details(artifact)["contract"]
    assert set(statuses(artifact).values()) == {"failed"}


def test_a_renamed_input_fails_and_does_not_break_off(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[1].name = "hidden_in"
        for node in model.graph.node:
            node.input[:] = ["hidden_in" if name == "h" else name for name in node.input]

    edit_onnx(folder, change)
    _, artifact = verify_onnx(folder)
    assert set(statuses(artifact).values()) == {"failed"}


def test_too_few_results_fail_and_do_not_break_off(folder: Path, make_model: MakeModel) -> None:
    """A TorchScript file does not record how many tensors it returns: only running it can tell."""

    class Forgetful(torch.nn.Module):
        def __init__(self, model: LanguageModel) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, tokens: torch.Tensor, h: torch.Tensor, c: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            logits, (h_next, _) = self.model(tokens, (h, c))
            return logits, h_next

    bundle = Bundle.open(folder)
    metadata = bundle.file_contract(bundle.artifact("torchscript")).to_metadata()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        examples = (torch.zeros(2, 3, dtype=torch.int64), torch.rand(2, 2, 8), torch.rand(2, 2, 8))
        traced = torch.jit.trace(Forgetful(make_model()), examples)
        torch.jit.save(traced, str(folder / "torchscript/step.pt"), _extra_files=metadata)
    sign(folder, "torchscript/step.pt")
    (artifact,) = verify_bundle(folder, to=["torchscript"], steps=4).artifacts
    found = statuses(artifact)
    assert (found["rollout"], found["golden"]) == ("failed", "failed")


def test_a_file_that_does_not_open_fails_every_check(folder: Path) -> None:
    (folder / ONNX).write_bytes(b"scribble")
    sign(folder, ONNX)
    _, artifact = verify_onnx(folder)
    assert statuses(artifact) == dict.fromkeys(CHECKS, "failed")
    assert "is not a model that onnxruntime can open" in details(artifact)["rollout"]


def test_a_changed_file_is_no_bundle_any_more(folder: Path) -> None:
    content = bytearray((folder / ONNX).read_bytes())
    content[-1] ^= 1
    (folder / ONNX).write_bytes(content)
    with pytest.raises(BundleError, match=r"onnx/step.onnx does not have the SHA-256"):
        verify_bundle(folder)


def test_a_damaged_golden_run(folder: Path) -> None:
    (folder / "golden.safetensors").write_bytes(b"scribble")
    sign(folder, "golden.safetensors")
    with pytest.raises(BundleError, match="is no golden run"):
        verify_onnx(folder)


def test_a_sampler_vector_that_is_wrong_fails_the_contract(folder: Path) -> None:
    content = json.loads((folder / "sampler.json").read_text(encoding="utf-8"))
    content["tokens"][8]["token"] += 1
    (folder / "sampler.json").write_text(json.dumps(content), encoding="utf-8")
    sign(folder, "sampler.json")
    _, artifact = verify_onnx(folder)
    assert statuses(artifact)["contract"] == "failed"
    assert "choice 8 of the sampler is recorded as token" in details(artifact)["contract"]


def test_a_bundle_without_a_golden_run_says_so(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(golden=None))
    report, artifact = verify_onnx(folder)
    assert report.passed
    assert statuses(artifact) == {**ALL_PASSED, "golden": "not run"}
    assert details(artifact)["golden"] == "the bundle carries no golden run"
    assert (
        "NOT checked: golden (the bundle carries no golden run); the bundle lacks a golden run"
        in headline(report)
    )


def test_a_release_replays_the_golden_run_alone(
    checkpoint_folder: Path, make_model: MakeModel, tmp_path: Path
) -> None:
    out = tmp_path / "release"
    export_bundle(checkpoint_folder, out, to=["onnx"], release=True, steps=8)
    report, artifact = verify_onnx(out)
    assert report.passed
    assert report.lacks == ("the reference's weights", "a held-out sample")
    assert report.reference == "the recorded golden run alone (the bundle carries no reference)"
    assert statuses(artifact) == ALONE
    model = make_model()
    with torch.no_grad():
        model.head.bias[3] += 0.01
    replace_onnx(out, model)
    report, artifact = verify_onnx(out)
    assert not report.passed
    assert statuses(artifact)["golden"] == "failed"


def test_without_torch_it_replays_the_golden_run_alone(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "torch", "eager", "torchscript")
    report = verify_bundle(bundle_folder, to=["onnx", "torchscript"], steps=8)
    assert report.reference == "the recorded golden run alone (torch is not installed)"
    onnx_report, torchscript_report = report.artifacts
    assert onnx_report.passed
    assert statuses(onnx_report) == ALONE
    assert statuses(torchscript_report) == dict.fromkeys(CHECKS, "not run")
    assert not torchscript_report.passed
    with pytest.raises(UnavailableError, match="the reference needs the package 'torch'"):
        verify_bundle(bundle_folder, to=["onnx"], reference=bundle_folder / "reference")


def test_a_reference_of_ones_own(bundle_folder: Path, checkpoint_folder: Path) -> None:
    report, artifact = verify_onnx(bundle_folder, reference=checkpoint_folder)
    assert report.reference == f"eager torch from {checkpoint_folder}"
    assert statuses(artifact) == ALL_PASSED


def test_a_reference_of_other_weights(
    bundle_folder: Path, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model()
    with torch.no_grad():
        model.head.weight.mul_(1.5)
    save(Checkpoint(model, tokenizer), tmp_path / "other")
    report, artifact = verify_onnx(bundle_folder, reference=tmp_path / "other")
    assert not report.passed
    assert statuses(artifact)["rollout"] == "failed"
    assert statuses(artifact)["golden"] == "passed"  # recorded from the right weights


@pytest.mark.parametrize(
    "options",
    [{"hidden": 12}, {"layers": 1}, {"learned_initial_state": True}, {"cell": "gru"}],
    ids=str,
)
def test_a_reference_of_another_contract(
    bundle_folder: Path,
    make_model: MakeModel,
    tokenizer: Tokenizer,
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    save(Checkpoint(make_model(**options), tokenizer), tmp_path / "other")
    with pytest.raises(
        UsageError,
        match=r"the reference .*other has another contract than .*tiny; give the checkpoint",
    ):
        verify_bundle(bundle_folder, reference=tmp_path / "other")


def test_a_reference_that_is_missing(bundle_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        verify_bundle(bundle_folder, reference=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("to", "found"),
    [
        (["onnx"], ["onnx"]),
        (["torchscript", "onnx"], ["onnx", "torchscript"]),
        (["coreml"], [row.name for row in select("coreml")]),
        (["coreml-mlstate"], ["coreml-mlstate"]),
    ],
    ids=str,
)
def test_only_the_formats_asked_for(bundle_folder: Path, to: list[str], found: list[str]) -> None:
    told: list[str] = []
    report = verify_bundle(bundle_folder, to=to, steps=2, tell=told.append)
    assert [artifact.format for artifact in report.artifacts] == found
    assert told == [f"verifying {artifact.path}" for artifact in report.artifacts]


def test_formats_that_are_not_there(bundle_folder: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown format 'tflite'"):
        verify_bundle(bundle_folder, to=["tflite"])
    edit_manifest(folder, lambda manifest: manifest["artifacts"].pop(1))
    with pytest.raises(UsageError, match=r"has no artifact in torchscript; it has: coreml, .*onnx"):
        verify_bundle(folder, to=["torchscript"])


@pytest.mark.parametrize("steps", [0, -3])
def test_steps_out_of_range(bundle_folder: Path, steps: int) -> None:
    with pytest.raises(UsageError, match=f"steps is {steps}, expected 1 or more"):
        verify_bundle(bundle_folder, steps=steps)


def test_a_single_step_is_enough_to_run(bundle_folder: Path) -> None:
    assert verify_bundle(bundle_folder, to=["onnx"], steps=1).passed


def test_a_precision_of_another_edgernn(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["artifacts"][0].update(precision="float8"))
    try:
        report, artifact = verify_onnx(folder)
    except EdgernnError as error:
        assert "float8" in str(error)
    else:
        assert not report.passed
        assert "float8" in "".join(details(artifact).values())


def test_a_report_of_a_real_bundle_comes_back_from_its_json(bundle_folder: Path) -> None:
    report, _ = verify_onnx(bundle_folder, steps=4)
    assert VerifyReport.model_validate_json(report.to_json()) == report


def test_a_report_is_written_beside_and_changes_nothing_else(folder: Path) -> None:
    def digests() -> dict[str, str]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    before = digests()
    at_one_time = {"made": "2026-01-01T00:00:00+00:00"}
    report = verify_bundle(folder, to=["onnx", "torchscript"], steps=4, seed=3)
    assert digests() == before
    again = verify_bundle(folder, to=["onnx", "torchscript"], steps=4, seed=3, write_report=True)
    assert again.model_copy(update=at_one_time) == report.model_copy(update=at_one_time)
    report = again
    after = digests()
    assert after.keys() - before.keys() == {"report.json", "report.html"}
    assert {name: after[name] for name in before} == before
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == json.loads(
        report.to_json()
    )
    assert (folder / "report.html").read_text(encoding="utf-8") == to_html(report)
    assert verify_bundle(
        folder, to=["onnx"], steps=4, write_report=True
    ).passed  # and again over the older report


def test_a_single_file_is_verified_and_never_written_to(
    bundle_folder: Path, tmp_path: Path
) -> None:
    single = tmp_path / "tiny.edgernn"
    pack(bundle_folder, single)
    before = single.read_bytes()
    assert verify_bundle(str(single), to=["onnx"], steps=4, write_report=True).passed
    assert single.read_bytes() == before
    assert list(tmp_path.iterdir()) == [single]


def test_a_seed_repeats_the_shapes_and_none_does_not(bundle_folder: Path) -> None:
    details_of = [
        details(verify_onnx(bundle_folder, seed=seed)[1])["rollout"] for seed in (5, 5, 6)
    ]
    assert details_of[0] == details_of[1] != details_of[2]
    assert verify_onnx(bundle_folder)[0].seed != verify_onnx(bundle_folder)[0].seed
    with pytest.raises(UsageError, match="seed is -1, expected 0 or more"):
        verify_onnx(bundle_folder, seed=-1)


def test_measure_takes_the_worst_of_every_plan(make_model: MakeModel) -> None:
    contract = make_model().config.contract()
    wide, narrow = (
        FakeSession(FileContract(contract=contract, narrowing=narrowing))
        for narrowing in (Narrowing(), Narrowing(axes={"batch": 1, "time": 1}))
    )
    limit = by_name("onnx").promise("float32")
    record = measure(wide, narrow, limit=limit, steps=5, seed=1)
    assert (record.steps, record.worst, record.tolerance) == (5, 0, limit.rollout)
    assert narrow.calls == 5  # one plan: single steps of one row

    class SlipsAtPrefill(FakeSession):
        def _run(self, feeds: dict[str, Any]) -> dict[str, Any]:
            results = super()._run(feeds)
            return {
                **results,
                "c_next": results["c_next"] + (0.5 if feeds["tokens"].shape[1] > 128 else 0),
            }

    record = measure(wide, SlipsAtPrefill(wide.file_contract), limit=limit, steps=8, seed=1)
    assert record.tensor == "c_next"
    assert 0.1 < record.worst <= 0.5  # divided by the largest value of the run


def test_a_folder_that_may_not_be_written_is_judged_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(target: Path, *rest: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    heard: list[str] = []
    assert verify_bundle(folder, to=["onnx"], steps=4, write_report=True, tell=heard.append).passed
    assert "the report was not kept: could not write" in heard[-1]
    assert "Permission denied" in heard[-1]
    assert "--json FILE" in heard[-1]
