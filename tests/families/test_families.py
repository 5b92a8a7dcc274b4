"""Every family that is described by layers: each format's file passes every check of verify, and
integers state what they lose.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from family_networks import ROWS, export_tiny

from edgernn.bundle import Bundle
from edgernn.families.table import family_of
from edgernn.parity.verify import verify_bundle

FORMATS = ["onnx", "torchscript", "coreml", "coreml-mlstate", "c"]


@pytest.mark.parametrize("word", ROWS)
def test_every_format_passes_every_check(word: str, tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    precision = ["float32", "int8", "int4"]
    folder = export_tiny(word, tmp_path / "bundle", to=FORMATS, precision=precision, steps=40)
    bundle = Bundle.open(folder)
    assert family_of(bundle.manifest.family).word == ROWS[word]().config["family"]
    written = {(a.format, a.precision) for a in bundle.manifest.artifacts if a.graph == "step"}
    assert {("onnx", "int4"), ("coreml-mlstate", "int8"), ("c", "int4")} <= written
    for artifact in bundle.manifest.artifacts:
        if artifact.graph == "step" and artifact.precision in {"int8", "int4"}:
            lost = artifact.loss or artifact.output_loss
            assert lost is not None or artifact.format.startswith("coreml")
    report = verify_bundle(bundle, steps=40)
    failed = [
        f"{artifact.path}: {check.name}: {check.detail}"
        for artifact in report.artifacts
        for check in artifact.checks
        if check.status == "failed"
    ]
    assert report.passed, failed
