"""``edgernn demo captions`` goes the whole way, here with everything made small."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgernn.data.pictures import scene_words, scenes
from edgernn.export import pack
from edgernn.parity import verify
from edgernn.training import run_captions
from edgernn.training.run import Run as Training
from edgernn.training.run_captions import CaptionSetup

Run = Callable[..., tuple[int, str, str]]


def test_the_demo_goes_the_whole_way(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All of its parts, made small: few pictures, a narrow model, one runtime, short rollouts."""
    monkeypatch.setitem(scenes.SPLITS, "train", 64)
    monkeypatch.setitem(scenes.SPLITS, "validation", 6)
    narrow = CaptionSetup(
        model={"hidden": 8, "embedding": 6, "keys": 4, "image_size": 32, "length": 5}
    )
    monkeypatch.setattr(
        run_captions, "train_captions", partial(run_captions.train_captions, setup=narrow)
    )
    monkeypatch.setattr(pack, "export_bundle", partial(pack.export_bundle, to=["onnx"], steps=4))
    monkeypatch.setattr(verify, "verify_bundle", partial(verify.verify_bundle, steps=4))
    code, out, err = run("demo", "captions", "--out", "d", "--minutes", 0.002)
    assert code == 0
    for step in (
        "1/4 training for 0.002 minutes on scenes",
        "drawing 70 scenes",
        "2/4 exporting",
        "3/4 verifying",
        "4/4 running",
    ):
        assert step in err
    assert "verified: 2 of 2 artifacts passed" in out
    captions = [line for line in out.splitlines() if line.startswith("d/pictures/unseen-")]
    assert len(captions) == 6
    for index, line in enumerate(captions):
        known = scene_words.captions(scenes.make_scene(scenes.UNSEEN, index))
        caption, mark = line.removeprefix(f"d/pictures/unseen-{index}.png  ").split("  ")
        assert mark == (
            "(one of its references)" if caption in known else f"(its first reference: {known[0]})"
        )
    for line in (
        "verified   yes",
        "captions   cider_d",
        "edgernn caption d/bundle d/pictures/unseen-0.png",
    ):
        assert line in out
    drawings = sorted(path.name for path in (tmp_path / "d" / "pictures").glob("attention-*.png"))
    assert drawings == [f"attention-{index}.png" for index in range(6)]
    drawing = np.asarray(Image.open(tmp_path / "d" / "pictures" / drawings[0]).convert("RGB"))
    assert (drawing < 250).all(2).mean() > 0.3  # pictures, not an empty sheet

    code, out, _ = run("caption", "d/bundle", "d/pictures/unseen-0.png")  # as the demo says
    assert code == 0
    assert out.strip() == captions[0].split("  ")[1]


def test_the_demo_stops_where_training_is_interrupted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Training(Path("d/run"), None, "no pictures", 3, 0.5, 1.0, 100, interrupted=True)
    monkeypatch.setattr(run_captions, "train_captions", lambda *_, **__: stopped)
    assert run("demo", "captions", "--out", "d")[0] == 130
