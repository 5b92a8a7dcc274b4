"""Labels that are not the reference's fail the contract: every number is right, the answers are
not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgernn import verify_bundle
from edgernn.bundle import Bundle
from tests.families.shared.family_networks import export_tiny


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels") / "bundle"
    return export_tiny("classifier", folder, to=["onnx"], steps=8)


def contract_check(folder: Path) -> tuple[str, str]:
    report = verify_bundle(Bundle.open(folder), steps=8)
    (check,) = [c for c in report.artifacts[0].checks if c.name == "contract"]
    return check.status, check.detail


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda m: m["labels"].update(classes=["cold", "hot", "mild"]),
            "the labels of classes are not the reference's: at 1 'hot', expected 'mild'",
        ),
        (
            lambda m: m.pop("labels"),
            "the labels of classes are not the reference's: at 0 none, expected 'cold'",
        ),
    ],
)
def test_changed_labels_fail_the_contract(
    bundle: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    path = bundle / "manifest.json"
    before = path.read_text(encoding="utf-8")
    assert contract_check(bundle)[0] == "passed"
    manifest = json.loads(before)
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    status, detail = contract_check(bundle)
    path.write_text(before, encoding="utf-8")
    assert status == "failed"
    assert told in detail
