"""Every token and every rule of a tokenizer is vouched for, far beyond the recorded text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgernn.bundle import Bundle, digest
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.data.text.vocabulary_digest import rules_sha256, tokens_sha256
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.parity.checks import run_check
from edgernn.parity.report.data import Check
from edgernn.parity.subject import subjects

Document = dict[str, Any]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = [a + b + c for a in LETTERS[:5] for b in LETTERS[:12] for c in LETTERS[:12]]
TEXT = "\n".join(NAMES * 2)


@pytest.fixture(scope="module", params=["whole", "release"])
def words(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a model of 700 words and more, with and without its reference. Read only."""
    tokenizer = Tokenizer.build([TEXT], "word")
    torch.manual_seed(1)
    config = LanguageConfig(vocabulary=tokenizer.vocabulary_size, embedding=4, hidden=4, layers=1)
    out = tmp_path_factory.mktemp("words") / "bundle"
    checkpoint = Checkpoint(LanguageModel(config).eval(), tokenizer)
    export_bundle(checkpoint, out, to="onnx", steps=4, release=request.param == "release")
    return out


def contract_of(folder: Path) -> Check:
    (subject,) = subjects(Bundle.open(folder), steps=2)[0]
    return run_check(subject, "contract")


def edited(
    words: Path,
    folder: Path,
    change: Callable[[Document], None],
    *,
    manifest: Callable[[Document], None],
) -> Path:
    """Copy the bundle, change its tokenizer, and make the digests right again."""
    shutil.copytree(words, folder)
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    content["files"]["tokenizer.json"].update(digest(path).model_dump())
    manifest(content)
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def two_swapped(document: Document) -> None:
    vocabulary = document["model"]["vocab"]
    names = {index: token for token, index in vocabulary.items()}
    vocabulary[names[600]], vocabulary[names[601]] = 601, 600


def shifted_from_520(document: Document) -> None:
    vocabulary = document["model"]["vocab"]
    last = max(vocabulary.values())
    for token, index in vocabulary.items():
        vocabulary[token] = index if index <= 520 else 521 if index == last else index + 1


def lower_case(document: Document) -> None:
    document["normalizer"] = {"type": "Lowercase"}


def as_it_is(content: Document) -> None:
    """Leave the manifest alone."""


def as_an_older_one(content: Document) -> None:
    """Leave out what older bundles do not have."""
    del content["tokenizer"]["tokens_sha256"], content["tokenizer"]["rules_sha256"]


@pytest.mark.parametrize("change", [two_swapped, shifted_from_520, lower_case])
def test_what_the_recorded_text_does_not_show(
    words: Path, tmp_path: Path, change: Callable[[Document], None]
) -> None:
    found = contract_of(edited(words, tmp_path / "b", change, manifest=as_it_is))
    assert found.status == "failed"
    assert "the tokenizer's " in found.detail
    assert "recorded" in found.detail


def test_an_older_bundle_is_judged_by_its_reference_or_says_how_far_it_was_judged(
    words: Path, tmp_path: Path
) -> None:
    honest = contract_of(
        edited(words, tmp_path / "honest", lambda document: None, manifest=as_an_older_one)
    )
    assert honest.status == "passed"
    release = Bundle.open(words).manifest.reference is None
    size = Bundle.open(words).manifest.tokenizer.vocabulary_size
    assert (f"of {size} tokens vouched for (the manifest has no digest" in honest.detail) == release
    assert (f"all {size} tokens vouched for" in honest.detail) == (not release)
    swapped = contract_of(
        edited(words, tmp_path / "swapped", two_swapped, manifest=as_an_older_one)
    )
    assert (swapped.status == "passed") == release
    assert release or "token 600 of the tokenizer is" in swapped.detail


def test_a_whole_bundle_says_that_every_token_is_vouched_for(words: Path) -> None:
    found = contract_of(words)
    assert found.status == "passed"
    assert found.detail.endswith("tokens vouched for")
    assert "; all " in found.detail


def test_the_documented_form_of_the_digests(words: Path) -> None:
    import hashlib

    tokenizer = Tokenizer.load(words / "tokenizer.json")
    tokens = [tokenizer.token(index).encode() for index in range(tokenizer.vocabulary_size)]
    listed = b"".join(str(len(token)).encode() + b":" + token + b"," for token in tokens)
    assert tokens_sha256(tokenizer) == hashlib.sha256(listed).hexdigest()
    document = json.loads((words / "tokenizer.json").read_text(encoding="utf-8"))
    del document["model"]["vocab"]
    written = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert rules_sha256(tokenizer) == hashlib.sha256(written.encode()).hexdigest()
    entry = Bundle.open(words).manifest.tokenizer
    assert (entry.tokens_sha256, entry.rules_sha256) == (
        tokens_sha256(tokenizer),
        rules_sha256(tokenizer),
    )
