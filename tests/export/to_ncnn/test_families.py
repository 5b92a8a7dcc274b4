"""ncnn: every family that is described by layers, and each kind of layer that none has.
Its files pass every check of verify; what it does not take is refused in a line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from family_networks import LAYERS, ROWS, export_tiny, exported_and_verified

from edgernn.errors import ContractError

pytest.importorskip("ncnn")

REFUSED = {  # row → precision, and what is said
    "translator": ("float32", "source_mask is int64, which is not carried as float32; leave ncnn"),
    "tagger": ("int8", "int8 was asked for, and these weights stayed float: convolution.conv"),
    "causal convolutions": ("float32", "ncnn cuts in steps of 1; leave ncnn out"),
    "convolutional LSTM": ("float32", "ncnn carries 3 axes beside those of size 1"),
}


@pytest.mark.parametrize("word", [word for word in (*ROWS, *LAYERS) if word not in REFUSED])
def test_every_file_passes_every_check(word: str, tmp_path: Path) -> None:
    written = exported_and_verified(word, tmp_path / "bundle", "ncnn")
    assert {("step", "float32"), ("step", "float16"), ("step", "int8")} <= written


@pytest.mark.parametrize("word", REFUSED)
def test_what_ncnn_does_not_take_is_refused(word: str, tmp_path: Path) -> None:
    precision, says = REFUSED[word]
    with pytest.raises(ContractError, match=says) as refused:
        export_tiny(word, tmp_path / "bundle", to="ncnn", precision=precision, steps=8)
    assert "\n" not in str(refused.value) and not (tmp_path / "bundle").exists()
