"""C in integers as a product: what is recorded of a file is what its compiled C does, and what
loses more than is allowed is not written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.bundle import Bundle
from edgernn.bundle.stored_weights import OTHERS
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.export.to_c import exporter
from edgernn.export.to_c.generator import Sources, generate
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.compiled import CompiledSession
from tests.export.to_onnx.test_smallest import sure_of_itself

MakeModel = Callable[..., LanguageModel]
ACTIVATIONS = {"int8": 16, "int4": 16, "w8a8": 8, "w8a7": 7, "w4a8": 8}


@pytest.fixture(scope="module")
def loaded(make_model: MakeModel, tokenizer: Tokenizer) -> Checkpoint:
    return sure_of_itself(make_model, tokenizer)


def export(loaded: Checkpoint, out: Path, *precisions: str, **options: object) -> Bundle:
    reduced = ReducedOptions(**{"budget": Budget(perplexity="200%"), **options})  # type: ignore[arg-type]
    return export_bundle(loaded, out, to="c", precision=precisions, steps=8, options=reduced)


def test_every_precision_is_recorded_as_verify_finds_it(loaded: Checkpoint, tmp_path: Path) -> None:
    bundle = export(loaded, tmp_path / "b", "float32", *ACTIVATIONS)
    report = verify_bundle(bundle, steps=8)
    assert report.passed
    plain, *rounded = bundle.manifest.artifacts
    assert plain.loss is None
    for artifact, found in zip(rounded, report.artifacts[1:], strict=True):
        options = json.loads((bundle.path(artifact.path) / "options.json").read_text())
        assert options["activations"] == ACTIVATIONS[artifact.precision]
        bits = "int4" if "4" in artifact.precision.split("a")[0] else "int8"
        kinds = {weight.dtype for weight in artifact.weights if weight.block_size}
        assert bits in kinds, artifact.precision
        text = {check.name: check for check in found.checks}["text"]
        assert artifact.loss is not None
        assert text.measured["perplexity_change"] == pytest.approx(artifact.loss.increase)
        structure = {check.name: check for check in found.checks}["structure"]
        assert f" in {bits}" in structure.detail


def test_the_loss_is_that_of_the_compiled_file(
    loaded: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = export(loaded, tmp_path / "as-it-is", "int8").manifest.artifacts
    steps: list[int] = []
    own = CompiledSession.step

    def counted(self: CompiledSession, *given: object) -> object:
        steps.append(1)
        return own(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(CompiledSession, "step", counted)
    (again,) = export(loaded, tmp_path / "counted", "int8").manifest.artifacts
    assert again.loss == found.loss
    assert found.loss is not None
    assert len(steps) > found.loss.tokens, "every token of the text went through the C"


@pytest.mark.parametrize("precision", ["w8a8", "w8a7", "w4a8"])
def test_what_loses_more_than_is_allowed_is_refused_with_the_figures(
    loaded: Checkpoint, tmp_path: Path, precision: str
) -> None:
    says = rf"^c {precision} raises the perplexity of held-out text by \S+% .*0.00% is allowed"
    with pytest.raises(ContractError, match=says) as caught:
        export(loaded, tmp_path / "b", precision, budget=Budget(perplexity=0.0))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", ["int8", "int4", "w8a7"])
def test_the_size_of_blocks_acts(loaded: Checkpoint, tmp_path: Path, precision: str) -> None:
    sizes = {}
    for size in (16, 32):
        bundle = export(loaded, tmp_path / str(size), precision, block_size=size)
        weights = bundle.manifest.artifacts[0].weights
        sizes[size] = {w.block_size for w in weights if w.name not in (OTHERS, "embedding")}
    assert sizes[16] == {16}
    assert max(sizes[32]) == 32


def test_a_size_of_blocks_that_there_is_not(loaded: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^the block size is 24, expected one of 16, 32, 64"):
        export(loaded, tmp_path / "b", "int8", block_size=24)
    assert list(tmp_path.iterdir()) == []


def test_the_smallest_is_searched_for_through_c(loaded: Checkpoint, tmp_path: Path) -> None:
    bundle = export(loaded, tmp_path / "b", "int8", "smallest", budget=Budget(perplexity=0.006))
    eight, smallest = bundle.manifest.artifacts
    assert sum(w.bytes for w in smallest.weights) < sum(w.bytes for w in eight.weights)
    assert {weight.dtype for weight in smallest.weights if weight.block_size} == {"int4", "int8"}
    assert smallest.loss is not None
    assert smallest.loss.increase <= 0.006
    assert verify_bundle(bundle, steps=8).passed


def test_the_smallest_is_not_searched_for_where_nothing_compiles(
    loaded: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    says = r"^the smallest c file is searched for by running every one, which this machine cannot"
    with pytest.raises(UnavailableError, match=says):
        export(loaded, tmp_path / "b", "smallest")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("precision", "right", "wrong"),
    [
        ("float32", b"return x * p / q;", b"return (float)(int)(x * p / q * 64.0f) / 64.0f;"),
        ("int8", b"32767.0f", b"3.0f"),
        ("w8a8", b"= net_unit(peak, 127.0f)", b"= 2.0f * net_unit(peak, 127.0f)"),
    ],
)
def test_what_a_faulty_generator_writes_is_not_packed(
    loaded: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    right: bytes,
    wrong: bytes,
) -> None:
    def faulty(*given: object) -> Sources:
        made = generate(*given)  # type: ignore[arg-type]
        text = made.files["step.c"]
        assert right in text
        return Sources({**made.files, "step.c": text.replace(right, wrong)}, made.scratch_bytes)

    monkeypatch.setattr(exporter, "generate", faulty)
    with pytest.raises(ContractError, match=r"^c \S+ (is|diverges|raises) .*; nothing was"):
        export(loaded, tmp_path / "b", precision, budget=Budget())
    assert list(tmp_path.iterdir()) == []
