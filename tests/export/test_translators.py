"""A translator in every format that is tested here, its open axis narrowed where files take fixed
sizes: what each writes is what the reference writes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.bundle import Bundle
from edgernn.data.pairs.pair_ids import END_ID, START_ID, padded, pair_decoding, pair_tokenizer
from edgernn.errors import UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.source import ReducedOptions, sizes_of
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.layered.network import Network
from edgernn.models.translator import TranslatorShape, translator_config
from edgernn.parity.verify import verify_bundle

TOKENIZER = pair_tokenizer([("abcdefgh 12", "xyz")])
ROOM = 9


def checkpoint(**shape: object) -> Checkpoint:
    """Return a translator that was not trained, and drawn pairs of 2 to 8 characters."""
    torch.manual_seed(0)
    vocabulary = TOKENIZER.vocabulary_size
    own = TranslatorShape.model_validate({"hidden": 12, "encoder": 6, "embedding": 5, **shape})
    network = Network(translator_config(own, vocabulary, writes=pair_decoding(6)))
    random = np.random.default_rng(0)
    rows = [random.integers(3, vocabulary, size) for size in random.integers(2, 9, 20)]
    texts = [np.array([START_ID, *row[::-1], END_ID]) for row in rows]
    sample = {"source": padded(rows), "translations": padded(texts)[:, None]}
    return Checkpoint(network, TOKENIZER, {}, sample)


def exported(tmp_path: Path, to: str, axis: str | None = None, **shape: object) -> Bundle:
    options = ReducedOptions(axes=sizes_of(axis))
    return export_bundle(checkpoint(**shape), tmp_path / "bundle", to=to, options=options, steps=8)


@pytest.mark.parametrize("shared", [False, True])
def test_open_files_are_verified(tmp_path: Path, shared: bool) -> None:
    bundle = exported(tmp_path, "onnx", shared=shared)
    assert all("source" not in artifact.narrowing.axes for artifact in bundle.manifest.artifacts)
    report = verify_bundle(bundle, steps=16)
    greedy = [check for check in report.artifacts[0].checks if check.name == "greedy"]
    assert report.passed and "translations of 20 held-out texts identical" in greedy[0].detail


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs the C compiler cc")
def test_files_of_fixed_sizes_are_narrowed(tmp_path: Path) -> None:
    bundle = exported(tmp_path, "c", f"source={ROOM}")
    assert {artifact.narrowing.axes["source"] for artifact in bundle.manifest.artifacts} == {ROOM}
    report = verify_bundle(bundle, steps=16)
    assert report.passed and report.complete
    header = bundle.path("c/text/captions.h").read_text()
    assert f"int64_t out_source_mask[{ROOM}];" in header


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs the C compiler cc")
def test_a_bundle_is_measured_on_the_rows_that_its_files_take(tmp_path: Path) -> None:
    """Of held-out texts of 2 to 8 characters, those of up to 5."""
    told, own = list[str](), checkpoint()
    lengths = np.count_nonzero(own.evaluation["source"], axis=1)
    options = ReducedOptions(axes={"source": 5})
    out = tmp_path / "bundle"
    bundle = export_bundle(own, out, to="c", options=options, steps=8, tell=told.append)
    left = int((lengths <= 5).sum())
    assert 0 < left < 20 and any(f"source=5 takes {left} of the 20" in line for line in told)
    report = verify_bundle(bundle, steps=16)
    greedy = [check for check in report.artifacts[-1].checks if check.name == "greedy"]
    assert report.passed and f"translations of {left} held-out texts" in greedy[0].detail
    with pytest.raises(UsageError, match="takes none of the 20 held-out rows, the shortest"):
        export_bundle(own, out, to="c", options=ReducedOptions(axes={"source": 1}), steps=8)


@pytest.mark.parametrize(
    ("to", "axis", "message"),
    [
        ("c", None, "source has the open axis source; say its size with --axis source=20"),
        ("c", "sauce=9", "--axis sauce=9 names no axis that the contract leaves open; open are: "),
        ("onnx", "source=9", "none of them is written; leave it out"),
        ("c", "source=", "--axis is 'source=', expected an axis and its size, 1 to 1,048,576, as"),
        ("c", "source=99999999", "expected an axis and its size, 1 to 1,048,576, as source=24"),
        ("c", "source=" + "9" * 5000, "--axis is .source=999"),
        ("c", "source=8,source=9", "which gives source two sizes; give it one"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, to: str, axis: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        exported(tmp_path, to, axis)
