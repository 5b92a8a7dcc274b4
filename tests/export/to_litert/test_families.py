"""LiteRT: every family that is described by layers, and each kind of layer that none has. Its files
pass every check of verify; what it does not take is refused in a line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from family_networks import LAYERS, ROWS, export_tiny, exported_and_verified

from edgernn.errors import ContractError
from edgernn.export import environments

pytest.importorskip("ai_edge_litert")
MADE = pytest.mark.skipif(
    environments.find("litert") is None, reason="edgernn doctor --make litert was not run"
)
REFUSED: dict[str, str] = {}  # row → what is said


@MADE
@pytest.mark.parametrize("word", [word for word in (*ROWS, *LAYERS) if word not in REFUSED])
def test_every_file_passes_every_check(word: str, tmp_path: Path) -> None:
    written = exported_and_verified(word, tmp_path / "bundle", "litert", ["float32", "int8"])
    assert {("step", "float32"), ("step", "int8")} <= written


@MADE
@pytest.mark.parametrize("word", REFUSED)
def test_what_litert_does_not_take_is_refused(word: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=REFUSED[word]) as refused:
        export_tiny(word, tmp_path / "bundle", to="litert", precision="float32", steps=8)
    assert "\n" not in str(refused.value) and not (tmp_path / "bundle").exists()
