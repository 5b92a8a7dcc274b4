"""The head of a card, as the hub's own library reads it, of every family."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from family_networks import ROWS, export_tiny
from huggingface_hub import ModelCard

from edgernn.bundle import Bundle
from edgernn.cli.card_head import _number, scalar, task_of
from edgernn.cli.card_text import model_card
from edgernn.families.table import families

Run = Callable[..., tuple[int, str, str]]
# of the tasks that the hub has pages for, those that a family may be of
TASKS = {
    "text-generation",
    "image-to-text",
    "translation",
    "text-classification",
    "token-classification",
    "visual-question-answering",
    "image-classification",
    "unconditional-image-generation",
    "other",
}
MEASURED = {
    "validation_loss": 1.5,
    "accuracy": 0.75,
    "exact": 0.5,
    "CIDEr-D": 1.25,
    "corpus": "My corpus/lines: all",
    "split": "last 10 % of it",
}


def measured(bundle: Path, training: dict[str, Any]) -> Bundle:
    content = json.loads((bundle / "manifest.json").read_text())
    content["provenance"]["training"] |= training
    (bundle / "manifest.json").write_text(json.dumps(content))
    return Bundle.open(bundle)


def read(bundle: Bundle, name: str = "b", **options: Any) -> ModelCard:
    return ModelCard(model_card(bundle.manifest, name, **options))


@pytest.mark.parametrize("word", ROWS)
def test_the_hub_reads_the_card_of_every_family(word: str, tmp_path: Path) -> None:
    bundle = measured(export_tiny(word, tmp_path / "b", to="onnx", steps=4), MEASURED)
    card = read(bundle, license_id="apache-2.0")
    assert card.data.library_name == "edgernn"
    assert card.data.license == "apache-2.0"
    assert card.data.pipeline_tag == task_of(bundle.manifest)
    assert {"edgernn", "rnn", "onnx", "on-device"} <= set(card.data.tags)
    assert card.data.model_name == "b"
    (first, *_) = card.data.eval_results
    assert first.dataset_name == "My corpus/lines: all"
    assert first.dataset_type == "lines-all"
    assert first.dataset_split == "last 10 % of it"
    assert "perplexity" not in {result.metric_type for result in card.data.eval_results}
    values = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert values["accuracy"] == 0.75
    assert "Run it" in card.content


def test_every_family_has_a_task_that_the_hub_knows() -> None:
    assert {family.task for family in families()} == TASKS


def test_frames_are_no_text(tmp_path: Path) -> None:
    tagger = Bundle.open(export_tiny("tagger", tmp_path / "b", to="onnx", steps=4))
    assert read(tagger).data.pipeline_tag == "other"  # it labels pictures


def test_a_language_model_tells_its_perplexity(bundle_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle_folder, tmp_path / "b"))
    card = read(measured(copy, {"validation_loss": 2.0}), "on")
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("perplexity", 7.3891)
    assert card.data.model_name == "on"


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"validation_loss": float("nan")},
        {"validation_loss": True, "accuracy": "high"},
        {"corpus": 7, "validation_loss": 1.0},
        {"corpus": "", "accuracy": 1.0},
    ],
)
def test_what_was_not_measured_is_not_claimed(
    training: dict[str, Any], bundle_folder: Path
) -> None:
    manifest = Bundle.open(bundle_folder).manifest
    noted = manifest.provenance.model_copy(
        update={"training": {**manifest.provenance.training, **training}}
    )
    card = ModelCard(model_card(manifest.model_copy(update={"provenance": noted}), "b"))
    assert not card.data.eval_results


@pytest.mark.parametrize("value", [0, 1, 0.5, 1e-5, 1e300, 123456.0])
def test_a_number_stays_a_number(value: float) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(_number(value)) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("text", ["yes", "on", "1.5", "null", "a: b", "- x", "é\n\u2028#"])
def test_a_text_stays_a_text(text: str, bundle_folder: Path) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(f"name: {scalar(text)}") == {"name": text}
