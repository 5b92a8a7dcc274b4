"""Files that Keras itself wrote (2.15 with TensorFlow, 3.15 with torch), and what it predicted with
them: ``runs.npz``, NAME/x and NAME/y. Those of CuDNN were run by the plain layers that Keras loaded
them into.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("h5py")

from edgernn.containers.reading import read
from edgernn.errors import UsageError
from edgernn.importers.base import Imported, Opened, Wishes
from edgernn.importers.importing import import_checkpoint
from edgernn.importers.keras.importer import KerasImporter
from edgernn.models.layered.network import Network

FOLDER = Path(__file__).parent.parent.parent / "fixtures" / "keras"
RUNS = np.load(FOLDER / "runs.npz")
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in {".h5", ".keras"})


def _imported(name: str, **wishes: Path) -> Imported:
    beside = (read(FOLDER / "k3_gru.json"),) if "weights" in name else ()
    return KerasImporter().read(Opened(read(FOLDER / name), beside, Wishes(**wishes)))


def _stepped(made: Imported, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Run the network one frame a call; return each output ``[B, T, ·]``."""
    model = Network(made.config).eval()
    tensors = {name: torch.tensor(value) for name, value in made.tensors.items()}
    model.load_state_dict(tensors)
    state, count = model.initial_state(len(inputs[0])), len(made.config.outputs)
    frames = []
    for t in range(inputs[0].shape[1]):
        with torch.no_grad():
            given = [torch.tensor(array[:, t : t + 1]) for array in inputs]
            results = model.graph("step", *given, *state)
        state = results[count:]
        frames.append(results[:count])
    return [torch.cat(parts, 1).numpy() for parts in zip(*frames, strict=True)]


@pytest.mark.parametrize("name", FILES)
def test_what_keras_predicted_comes_out_step_by_step(name: str) -> None:
    case = name.partition(".")[0].removesuffix("_tf")
    inputs = [RUNS[f"{case}/{key}"] for key in ("x", "j") if f"{case}/{key}" in RUNS]
    wanted = [RUNS[f"{case}/{key}"] for key in ("y", "y2") if f"{case}/{key}" in RUNS]
    found = _stepped(_imported(name), inputs)
    assert len(found) == len(wanted)
    for y, expected in zip(found, wanted, strict=True):
        last = y if expected.ndim == 3 else y[:, -1]  # one that gives its last frame alone
        assert np.abs(last - expected).max() < 2e-6


def test_what_keras_did_otherwise_is_told() -> None:
    told = " ".join(_imported("k2_last.h5").told)
    assert "gave its last frame alone" in told
    assert "reset the state every 9 frames" in told


def test_a_language_model_writes_text(tmp_path: Path) -> None:
    words = tmp_path / "words.json"
    words.write_text('["a","b","c","d","e","f","g","h","i","j","k"]', encoding="utf-8")
    made = _imported("k2_lm_tf.keras", vocabulary=words)
    assert made.config.family == "language"
    assert made.tokenizer is not None
    assert made.tokenizer.encode("cab").tolist() == [2, 0, 1]
    (logits,) = _stepped(made, [RUNS["k2_lm/x"]])
    assert np.abs(torch.softmax(torch.tensor(logits), -1).numpy() - RUNS["k2_lm/y"]).max() < 2e-6


def test_an_architecture_in_a_file_of_its_own_goes_with_the_weights(tmp_path: Path) -> None:
    architecture = FOLDER / "k3_gru.json"
    wishes = Wishes(companions=(architecture,))
    taken = import_checkpoint(FOLDER / "k3_gru.weights.h5", tmp_path / "run", wishes=wishes)
    assert taken.family == "keras"
    with pytest.raises(UsageError, match=r"architecture of a Keras model.*--with .*k3_gru.json"):
        import_checkpoint(architecture, tmp_path / "other")
