"""``edgernn demo counting`` goes the whole way, here with everything made small."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgernn import export
from edgernn.cli import demo_counting
from edgernn.parity import verify

Run = Callable[..., tuple[int, str, str]]


def test_the_demo_goes_the_whole_way(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        export, "export_bundle", partial(export.export_bundle, to=["onnx"], steps=4)
    )
    monkeypatch.setattr(demo_counting, "_NETWORKS", [("counting-ab", "lstm")])
    monkeypatch.setattr(verify, "verify_bundle", partial(verify.verify_bundle, steps=4))
    code, out, err = run("demo", "counting", "--out", "d", "--steps", 2, "--tries", 1)
    assert code == 0, err
    assert "1/1 lstm on counting-ab" in err
    (line,) = (line for line in out.splitlines() if line.startswith("lstm on counting-ab"))
    assert "n to 20:" in line
    assert "(best of 1 seed by n to 40)" in line
    assert "1 of 1 artifact passed" in out
    assert "verified   yes" in out
    drawing = np.asarray(Image.open(tmp_path / "d" / "cells.png").convert("RGB"))
    assert (drawing < 200).any(2).mean() > 0.01  # lines, not an empty sheet
    code, _, err = run("demo", "counting", "--out", "d")
    assert code == 2
    assert "holds an older demo" in err
