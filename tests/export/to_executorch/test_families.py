"""ExecuTorch: every family that is described by layers, and each kind of layer that none has.
Its files pass every check of verify.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from family_networks import LAYERS, ROWS, exported_and_verified

pytest.importorskip("executorch")


@pytest.mark.parametrize("word", [*ROWS, *LAYERS])
def test_every_file_passes_every_check(word: str, tmp_path: Path) -> None:
    written = exported_and_verified(word, tmp_path / "bundle", "executorch")
    assert {("step", "float32"), ("step", "int8")} <= written
