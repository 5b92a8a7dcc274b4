"""Networks of layers in Core ML, its operators run one by one on any machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.layered.network import Network
from tests.export.test_networks import LARGE, passed, run_folder


@pytest.mark.parametrize("name", ["audio", *LARGE])
def test_coreml_with_its_state_outside_and_inside(name: str, tmp_path: Path) -> None:
    folder = run_folder(name, tmp_path / "run")
    bundle = export_bundle(folder, tmp_path / "net", to="coreml", steps=16)
    assert {"coreml/step.mlpackage", "coreml/step_mlstate.mlpackage"} <= passed(bundle, steps=16)


def test_a_language_network_with_a_tied_head(
    make_network: Callable[..., Network], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    save(Checkpoint(make_network(), tokenizer), tmp_path / "run")
    bundle = export_bundle(tmp_path / "run", tmp_path / "net", to="coreml", steps=16)
    assert len(passed(bundle, steps=16)) == 2
