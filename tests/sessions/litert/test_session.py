"""LiteRT's interpreter under the protocol: what the fast way through a call takes, and that any
other call is run or refused as everywhere. The files are of tests/fixtures/litert/make.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.litert.model_file import read
from edgernn.sessions.opening import open_session

pytest.importorskip("ai_edge_litert")

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "litert"
FILE = FIXTURES / "gru-float32.tflite"


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_a_step_is_the_equations_of_the_cell() -> None:
    """In numpy, with the weights and biases that lie in the file."""
    model, random = read(FILE), np.random.default_rng(0)
    held = {t.name: t for t in model.tensors if t.data is not None and t.dtype == "float32"}
    arrays = {name: t.data.view("<f4").reshape(t.shape) for name, t in held.items()}
    products = [o for o in model.operators if o.kind == "FULLY_CONNECTED"]
    biases = {
        model.tensors[o.inputs[1]].name: model.tensors[o.inputs[2]].data.view("<f4")
        for o in products
    }
    session, token = open_session(FILE), 3
    h = random.normal(size=(1, 1, 4)).astype("f4")
    outputs, after = session.step({"tokens": np.array([[token]])}, {"h": h})
    given, own = "recurrent.layers.0.from_input", "recurrent.layers.0.from_hidden"
    x = arrays[given] @ arrays["embedding"][token] + biases[given]
    y = arrays[own] @ h[0, 0] + biases[own]
    r, z = np.split(sigmoid(x[:8] + y[:8]), 2)
    n = np.tanh(x[8:] + r * y[8:])
    expected = (1 - z) * n + z * h[0, 0]
    assert np.abs(after["h"][0, 0] - expected).max() < 1e-6
    logits = arrays["head"] @ expected + biases["head"]
    assert np.abs(outputs["logits"][0, 0] - logits).max() < 1e-5


def test_a_folder_is_no_file_of_litert(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (np.array([[5]]), "tokens has the value 5, expected 0 to 4"),
        (np.array([[-1]]), "tokens has the value -1, expected 0 to 4"),
        (np.array([[1]], np.int32), "tokens is int32, expected int64"),
        (np.array([[1, 2]]), "tokens has time = 2"),
    ],
)
def test_a_wrong_call_is_refused(tokens: np.ndarray, said: str) -> None:
    session = open_session(FILE)
    state = session.initial_state()
    session.step({"tokens": np.array([[1]])}, state)
    with pytest.raises(ContractError, match=said):
        session.step({"tokens": tokens}, state)
    with pytest.raises(ContractError, match="state 'h' is missing"):
        session.step({"tokens": np.array([[1]])}, {})


def test_arrays_of_any_layout_are_right() -> None:
    session, random = open_session(FILE), np.random.default_rng(1)
    wide = random.normal(size=(1, 1, 8)).astype("f4")
    token = {"tokens": np.array([[2]])}
    _, strided = session.step(token, {"h": wide[:, :, ::2]})
    _, plain = session.step(token, {"h": wide[:, :, ::2].copy()})
    assert np.array_equal(strided["h"], plain["h"])


def test_threads_are_counted() -> None:
    with pytest.raises(UsageError, match="threads is 0"):
        open_session(FILE, threads=0)
    assert open_session(FILE, threads=2).initial_state()["h"].shape == (1, 1, 4)


def test_a_file_without_what_its_contract_names_is_refused(tmp_path: Path) -> None:
    from edgernn.sessions.litert.session import LiteRTSession

    data = FILE.read_bytes()
    assert data.count(b"h_next\0") >= 1
    changed = tmp_path / "step.tflite"
    changed.write_bytes(data.replace(b"h_next\0", b"g_next\0"))
    own = FileContract.from_metadata(read(FILE).metadata, source="it")
    with pytest.raises(ContractError, match="has no 'h_next', which its contract names"):
        LiteRTSession.open(changed, own)
