"""``edgernn classify`` of a model that looks at pictures: its label and its path are those of the
step's equations, run by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from family_networks import ROWS, export_tiny
from PIL import Image

from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network

Run = Callable[..., tuple[int, str, str]]
PICTURE = np.random.default_rng(8).integers(0, 256, (12, 16)).astype(np.uint8)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny("glimpses", tmp_path_factory.mktemp("looks") / "b", to=["onnx"], steps=8)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "seen.png"
    Image.fromarray(PICTURE).save(path)
    return path


def _expected(looks: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the label after each look, its probability, and the places in pixels."""
    torch.manual_seed(5)
    network = Network(NetworkConfig.model_validate(ROWS["glimpses"]().config)).eval()
    shares, places = [], []
    with torch.no_grad():
        (context,) = network.graph("encode", torch.from_numpy(PICTURE[None, ..., None]))
        state = network.initial_state(1)
        for _ in range(looks):
            logits, looked, *state = network.graph("step", torch.zeros(1, 1, 2), context, *state)
            shares.append(torch.softmax(logits[0, 0].double(), 0).numpy())
            places.append((looked[0, 0].double().numpy() + 1) / 2 * [11, 15])
    names = ("circle", "cross", "star")
    return [names[row.argmax()] for row in shares], np.array(shares), np.array(places)


def test_a_picture_gets_its_label_its_probability_and_the_path(
    bundle: Path, picture: Path, tmp_path: Path, run: Run
) -> None:
    labels, shares, places = _expected(4)  # as many as in its held-out sample
    code, out, err = run("classify", bundle, picture, "--map", tmp_path / "map.png")
    assert (code, err) == (0, "")
    path = " ".join(f"({y:.1f}, {x:.1f})" for y, x in places)
    assert out == f"{labels[-1]}\t{shares[-1].max():.1%}\t{path}\n"
    with Image.open(tmp_path / "map.png") as drawn:
        assert min(drawn.size) > 300
    code, out, _ = run("classify", bundle, picture, "--looks", 7, "--json", "--running")
    assert code == 0
    record = json.loads(out)
    labels, shares, places = _expected(7)
    assert record["label"] == labels[-1]
    assert np.allclose(list(record["probabilities"].values()), shares[-1], atol=1e-5)
    assert np.allclose(record["looks"], places, atol=1e-2)


def test_what_is_no_picture_and_options_of_others_are_told(
    bundle: Path, picture: Path, tmp_path: Path, run: Run
) -> None:
    code, _, err = run("classify", bundle, "a text")
    assert code == 2
    assert "cannot read the picture 'a text'" in err
    code, _, err = run("classify", bundle, picture, "--looks", 0)
    assert (code, "the number of looks is 0, expected 1 to 1000" in err) == (2, True)
    code, _, err = run("classify", bundle, picture, picture, "--map", tmp_path / "m.png")
    assert (code, "--map draws one picture, got 2" in err) == (2, True)
    other = export_tiny("classifier", tmp_path / "text", to=["onnx"], steps=8)
    code, _, err = run("classify", other, "abc", "--looks", 3)
    assert (code, "looks at no pictures; leave --looks and --map out" in err) == (2, True)
    code, _, err = run("paint", bundle, "--label", 7, "--out", tmp_path / "p.png")
    assert (code, "use: edgernn classify " in err) == (2, True)
