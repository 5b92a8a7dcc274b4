"""Checkpoints written by the upstream classes, with the runs that the upstream code gave: left out
but where ``EDGERNN_CASES`` names the folder that they lie in.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgernn.errors import EdgernnError
from edgernn.importers.base import Wishes
from edgernn.importers.importing import import_checkpoint
from edgernn.models import checkpoint

FOLDER = os.environ.get("EDGERNN_CASES")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="EDGERNN_CASES names no folder of cases")
CASES = Path(FOLDER or ".") / "foreign"
# checkpoint, recorded run, what is beside it, --family
TAKEN: dict[str, tuple[str, str, dict[str, str], str]] = {
    "pyex_wordlm_lstm_tied": ("pyex_wordlm_lstm_tied.pt", "pyex_wordlm_lstm_tied.npz", {}, "auto"),
    "pyex_lstm": ("pyex_lstm.pt", "pyex_trained.npz:lstm_", {"vocabulary": "corpus"}, "auto"),
    "pyex_gru": ("pyex_gru.pt", "pyex_trained.npz:gru_", {"vocabulary": "corpus"}, "auto"),
    "spro_charrnn_gru": ("spro_charrnn_gru.pt", "spro_charrnn_gru.npz", {}, "auto"),
    "awd_lstm": ("awd_lstm_list.pt", "awd_lstm_wdrop_tied.npz", {}, "auto"),
    "nam_lstm": ("nam_lstm.nam", "nam_lstm.npz:_of_the_file", {}, "auto"),
    "keras3_lstm_lm": ("keras3_lstm_lm.keras", "keras3_lstm_lm.npz", {}, "auto"),
    "yunjey": ("yunjey_decoder.ckpt", "yunjey_captioner.npz", {}, "yunjey"),
    "sgrvinod": ("sgrvinod.pth.tar", "sgrvinod_captioner.npz", {}, "auto"),
    "showtell": (
        "ruotianluo_showtell.pth",
        "ruotianluo_showtell.npz",
        {"with": "ruotianluo_infos_showtell.pkl"},
        "auto",
    ),
    "updown": (
        "ruotianluo_updown.pth",
        "ruotianluo_updown.npz",
        {"with": "ruotianluo_infos_updown.pkl"},
        "auto",
    ),
    "keras3_gru": ("keras3_gru_reset_after.keras", "keras3_gru_reset_after.npz", {}, "auto"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_the_recorded_run_comes_out(name: str, tmp_path: Path) -> None:
    file, run, beside, family = TAKEN[name]
    if file.endswith(".keras"):
        pytest.importorskip("h5py")
    place = CASES / "checkpoints"
    companion = (place / beside["with"],) if "with" in beside else ()
    vocabulary = place / beside["vocabulary"] if "vocabulary" in beside else None
    taken = import_checkpoint(
        place / file,
        tmp_path / "run",
        family=family,
        wishes=Wishes(vocabulary=vocabulary, companions=companion),
        check=f"{CASES / 'data' / run}",
        tolerance=1e-5,
    )
    assert any(each.name.startswith(("out/", "whole/")) for each in taken.compared)
    checkpoint.load(taken.folder)


def test_a_network_that_looks_ahead_is_refused_with_the_reason(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    with pytest.raises(EdgernnError, match=r"[Bb]idirectional"):
        import_checkpoint(CASES / "checkpoints/keras3_bidirectional.keras", tmp_path / "run")
    assert not (tmp_path / "run").exists()
