"""Files that the upstream code of captioners wrote, and what it computed with them; where
``EDGERNN_CASES`` names the folder of recorded cases.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from captioner_runs import rolled, run_of

from edgernn.decoding.captions import greedy_captions
from edgernn.importers.base import Wishes
from edgernn.importers.importing import import_checkpoint
from edgernn.importers.invariances import session_model

CASES = Path(os.environ.get("EDGERNN_CASES", "")) / "foreign"
pytestmark = pytest.mark.skipif(
    "EDGERNN_CASES" not in os.environ, reason="EDGERNN_CASES names no folder of recorded cases"
)
FILES = {
    "yunjey_captioner": ("yunjey", "yunjey_decoder.ckpt", None),
    "sgrvinod_captioner": ("sgrvinod", "sgrvinod.pth.tar", None),
    "ruotianluo_updown": ("ruotianluo", "ruotianluo_updown.pth", "ruotianluo_infos_updown.pkl"),
    "ruotianluo_showtell": (
        "ruotianluo", "ruotianluo_showtell.pth", "ruotianluo_infos_showtell.pkl",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_recorded_run_comes_out(name: str, tmp_path: Path) -> None:
    family, file, beside = FILES[name]
    folder = CASES / "checkpoints"
    wishes = Wishes(companions=(folder / beside,) if beside else ())
    run = CASES / f"data/{name}.npz"
    taken = import_checkpoint(
        folder / file, tmp_path / "run", family=family, wishes=wishes, check=run, tolerance=1e-5
    )
    found = {each.name for each in taken.compared}
    assert found >= {key for key in np.load(run).files if key.startswith(("state/", "out/"))}
    assert found


def test_greedy_ids_of_twenty_steps(tmp_path: Path) -> None:
    run = np.load(CASES / "data/yunjey_captioner.npz")
    model = run_of(CASES / "checkpoints/yunjey_decoder.ckpt", tmp_path / "run", "yunjey")
    shown = {"features": run["ctx/features"]}
    found = greedy_captions(session_model(model), shown, model.config.decoding(None))
    assert found == run["whole/greedy"].tolist()


def test_the_states_of_two_cells(tmp_path: Path) -> None:
    run = np.load(CASES / "data/ruotianluo_updown.npz")
    path = CASES / "checkpoints/ruotianluo_updown.pth"
    model = run_of(path, tmp_path / "run", "ruotianluo")
    shown = {name: torch.from_numpy(run[f"ctx/{name}"]) for name in ("fc", "att")}
    made = rolled(model, shown, torch.from_numpy(run["in/tokens"].T.copy()))
    for state in ("h", "c"):
        both = np.concatenate([made[f"att_lstm_{state}"], made[f"lang_lstm_{state}"]], 1)
        np.testing.assert_allclose(both, run[f"state/{state}"], atol=1e-5)
    expected = run["out/log_probs"].swapaxes(0, 1)
    np.testing.assert_allclose(made["logits"], expected, atol=1e-5)
