"""One artifact after the other: every precision packs and verifies, says what it stored and lost,
or is refused in words.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError, DataError, EdgernnError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.families import language
from edgernn.formats import by_name
from edgernn.formats.promise import NARROW
from edgernn.models.captioner import Captioner
from edgernn.models.cells.table import FUSED
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.parity.verify import verify_bundle

MakeModel = Callable[..., LanguageModel]
REDUCED = ["float16", "int8", "int4", "smallest"]
TEXT = "the quick brown fox jumps over the lazy dog.\nTHE END\n"
LOOSE = ReducedOptions(budget=Budget(perplexity=0.1))


def checkpoint_of(model: LanguageModel, tokenizer: Tokenizer, times: int = 3) -> Checkpoint:
    return Checkpoint(
        model, tokenizer, {}, {"tokens": tokenizer.encode(TEXT * times)} if times else {}
    )


def export(
    loaded: Checkpoint, out: Path, *precisions: str, steps: int = 8, **options: Any
) -> Bundle:
    chosen = ReducedOptions(**options) if options else LOOSE
    return export_bundle(
        loaded, out, to=["onnx"], precision=precisions, steps=steps, options=chosen
    )


@pytest.fixture(scope="module")
def packed(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A bundle in every precision. Read only."""
    folder = tmp_path_factory.mktemp("reduced") / "tiny"
    return export(
        checkpoint_of(make_model(hidden=32, embedding=16), tokenizer), folder, "float32", *REDUCED
    )


def test_a_bundle_in_every_precision_verifies(packed: Bundle) -> None:
    names = ["step", *(f"step-{precision}" for precision in REDUCED)]
    assert [artifact.path for artifact in packed.manifest.artifacts] == [
        f"onnx/{name}.onnx" for name in names
    ]
    report = verify_bundle(packed, steps=8)
    assert {check.status for artifact in report.artifacts for check in artifact.checks} == {
        "passed"
    }
    rollouts = {
        a.precision: c.detail
        for a in report.artifacts
        for c in a.checks
        if c.name in ("rollout", "golden")
    }
    forced = {
        precision
        for precision, detail in rollouts.items()
        if "each from the reference's state" in detail
    }
    assert forced == {"int8", "int4", "smallest"}


def test_the_manifest_says_what_is_stored_and_lost(packed: Bundle) -> None:
    exact, *reduced = packed.manifest.artifacts
    assert exact.loss is None
    assert {weight.dtype for weight in exact.weights} == {"float32"}
    for artifact in reduced:
        limit = by_name("onnx").promise(artifact.precision)
        assert artifact.loss is not None
        assert artifact.parity is not None
        assert (artifact.loss.allowed, artifact.loss.tokens) == (0.1, 3 * len(TEXT) - 1)
        assert artifact.loss.increase <= 0.1
        assert artifact.parity.worst <= artifact.parity.tolerance == limit.rollout
        assert sum(weight.bytes for weight in artifact.weights) < artifact.bytes
        assert artifact.narrowing.axes == ({} if artifact.precision == "float16" else {"time": 1})
    assert [artifact.weights[-1].name for artifact in reduced] == ["biases and constants"] * 4


def test_fewer_bits_are_fewer_bytes(packed: Bundle) -> None:
    sizes = {
        a.precision: sum(weight.bytes for weight in a.weights) for a in packed.manifest.artifacts
    }
    assert sizes["float16"] > sizes["int8"] > sizes["int4"]


@pytest.mark.parametrize(
    "shape", [{}, {"hidden": 33, "embedding": 33, "tied": True, "layers": 1}], ids=["8", "33"]
)
@pytest.mark.parametrize("cell", FUSED)
def test_every_cell_in_every_precision(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, cell: str, shape: dict[str, Any]
) -> None:
    model = make_model(cell=cell, learned_initial_state=True, **shape)
    if cell == "rnn_relu":
        with torch.no_grad():  # as it starts, its state grows without end
            for parameter in model.recurrent.parameters():
                parameter.mul_(0.5)
    bundle = export(checkpoint_of(model, tokenizer), tmp_path / "b", *REDUCED)
    report = verify_bundle(bundle, steps=8)
    failed = [
        (a.path, c.name, c.detail)
        for a in report.artifacts
        for c in a.checks
        if c.status != "passed"
    ]
    assert failed == []


def test_a_budget_that_is_not_kept_leaves_the_former_bundle(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    loaded, out = checkpoint_of(make_model(), tokenizer), tmp_path / "bundle"
    export(loaded, out, "int8")
    before = (out / "manifest.json").read_bytes()
    said = []
    for token in range(6):  # 4 bits make one token more probable, another less
        likely = Checkpoint(loaded.model, tokenizer, {}, {"tokens": np.full(60, token)})
        try:
            export(likely, out, "int4", budget=Budget(perplexity=0.0))
        except ContractError as error:
            said.append(str(error))
            break
        before = (out / "manifest.json").read_bytes()
    assert (out / "manifest.json").read_bytes() == before
    (says,) = said
    assert says.startswith("onnx int4 raises the perplexity of held-out text by 0.")
    assert (
        "and 0.00% is allowed; nothing was written. Allow more with --max-perplexity-increase"
        in says
    )
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (
            {"calibration": "ÄÖÜ" * 50},
            DataError,
            "the vocabulary has no 'Ä', 'Ö', 'Ü'; it knows 34 characters",
        ),
        (
            {"calibration": "the quick"},
            UsageError,
            "the calibration text has 9 tokens, expected 64 or more",
        ),
        ({"calibration": ""}, UsageError, "the calibration text has 0 tokens, expected 64 or more"),
        (
            {"block_size": 20},
            UsageError,
            "the block size is 20, expected one of 16, 32, 64, 128, 256",
        ),
        (
            {"budget": Budget(cider=0.1)},
            UsageError,
            "a model that writes no captions; give a perplexity increase",
        ),
    ],
    ids=["unknown characters", "short", "empty", "blocks of 20", "a score of captions"],
)
@pytest.mark.parametrize("precision", ["int4", "int8"])
def test_what_cannot_be_asked(
    make_model: MakeModel,
    tokenizer: Tokenizer,
    tmp_path: Path,
    precision: str,
    options: dict[str, Any],
    error: type[EdgernnError],
    says: str,
) -> None:
    with pytest.raises(error, match=says):
        export(checkpoint_of(make_model(), tokenizer), tmp_path / "b", precision, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_calibration_text_is_what_is_calibrated_on(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    feeds = language.text_feeds

    def listening(step: Any, tokens: np.ndarray) -> Any:
        heard.append(len(tokens))
        return feeds(step, tokens)

    monkeypatch.setattr("edgernn.families.language.text_feeds", listening)
    loaded = checkpoint_of(make_model(hidden=32), tokenizer)
    bundles = [
        export(
            loaded,
            tmp_path / str(text),
            "int4",
            budget=Budget(perplexity=0.5),
            calibration=text and text * 20,
        )
        for text in (None, "lazy dog\n")
    ]
    assert heard == [180]
    assert bundles[0].manifest.artifacts[0].sha256 != bundles[1].manifest.artifacts[0].sha256


def test_blocks_of_another_size(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    loaded = checkpoint_of(make_model(hidden=64, embedding=64), tokenizer)
    sizes = {
        size: export(loaded, tmp_path / str(size), "int8", block_size=size).manifest
        for size in (16, 64)
    }
    for size, manifest in sizes.items():
        assert {
            w.block_size
            for w in manifest.artifacts[0].weights
            if w.name != "embedding" and w.block_size
        } == {size}
    assert sizes[16].artifacts[0].bytes > sizes[64].artifacts[0].bytes


@pytest.mark.parametrize("times", [0, 1])
def test_no_held_out_data_and_no_limit(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, times: int
) -> None:
    loaded = checkpoint_of(make_model(), tokenizer, times)
    bundle = export(loaded, tmp_path / "b", "int8", budget=Budget())
    assert (bundle.manifest.artifacts[0].loss is None) == (times == 0)
    assert verify_bundle(bundle, steps=8).passed


@pytest.mark.parametrize(
    "where",
    ["embedding.weight", "recurrent.fused.weight_hh_l1", "recurrent.fused.bias_hh_l0", "head.bias"],
)
@pytest.mark.parametrize("precision", REDUCED)
def test_weights_that_are_not_numbers(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, precision: str, where: str
) -> None:
    model = make_model()
    with torch.no_grad():
        dict(model.named_parameters())[where].view(-1)[3] = float("nan")
    with pytest.raises(EdgernnError, match="not finite"):
        export(checkpoint_of(model, tokenizer, 6), tmp_path / "b", precision)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [0.0, 0.25, -2.0])
def test_weights_that_are_all_the_same(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, value: float
) -> None:
    model = make_model(cell="gru")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
        model.head.bias.copy_(
            torch.linspace(-1, 1, len(model.head.bias))
        )  # or every token were as probable
    assert verify_bundle(
        export(checkpoint_of(model, tokenizer), tmp_path / "b", *REDUCED), steps=8
    ).passed


@pytest.mark.parametrize("allowed", [False, True])
def test_a_matrix_that_stayed_float_is_told_or_refused(
    make_model: MakeModel,
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    allowed: bool,
) -> None:
    from edgernn.export.to_onnx import quantize

    found = quantize.constant_matrix
    monkeypatch.setattr(
        quantize,
        "constant_matrix",
        lambda node, constants: None if "layers.1" in node.name else found(node, constants),
    )
    loaded = checkpoint_of(make_model(), tokenizer)
    options: dict[str, Any] = {"budget": Budget(perplexity=0.1), "allow_float": allowed}
    if allowed:
        weights = {
            w.name: w
            for w in export(loaded, tmp_path / "b", "int8", **options).manifest.artifacts[0].weights
        }
        assert (weights["recurrent.layers.1.joined"].dtype, weights["head"].dtype) == (
            "float32",
            "int8",
        )
        return
    says = (
        r"onnx int8 was asked for, and these weights stayed float: recurrent.layers.1.joined "
        r"\(recurrent, float32\); nothing"
    )
    with pytest.raises(
        ContractError,
        match=says + r" was written. Allow it with --allow-float, or choose another precision",
    ):
        export(loaded, tmp_path / "b", "int8", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_captioners_pictures_stay_float32(
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    tmp_path: Path,
    precision: str,
) -> None:
    loaded = Checkpoint(
        make_captioner(), caption_tokenizer, {}, {"image": pictures, "captions": caption_ids}
    )
    bundle = export(loaded, tmp_path / "b", precision, steps=4, budget=Budget(perplexity=0.5))
    encode, step = bundle.manifest.artifacts
    assert (encode.precision, encode.path, step.precision) == (
        "float32",
        "onnx/encode.onnx",
        precision,
    )
    assert encode.loss is None
    assert {weight.dtype for weight in encode.weights} == {"float32"}
    assert step.loss is not None
    own = [w for w in step.weights if len(w.shape) > 1 and w.shape[0] > NARROW]
    assert {weight.dtype for weight in own} == {precision}
    assert verify_bundle(bundle, steps=4).passed
    with pytest.raises(
        UsageError, match="onnx does not write encode in int8; it writes encode, step in float32"
    ):
        OnnxExporter().export(
            loaded.model,
            tmp_path / "e.onnx",
            precision="int8",
            decoding=bundle.manifest.decoding,
            graph="encode",
        )
    if precision == "int4":
        with pytest.raises(
            UsageError,
            match="the image captioner is calibrated on its held-out sample; leave the",
        ):
            export(loaded, tmp_path / "c", precision, calibration="a red dot " * 50)
