"""Saved states come back bit by bit, to the model they belong to and to no other."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from edgernn.contract import Contract
from edgernn.decoding.generate import Snapshot
from edgernn.decoding.saved_state import PENDING, load_snapshot, save_snapshot
from edgernn.errors import DataError
from edgernn.families.language import language_contract
from edgernn.storage import tensor_files

CONTRACT = language_contract(("h", "c"), layers=2, hidden=3, vocabulary=7)
STATE = arrays.arrays(np.float32, (2, 1, 3), elements=st.floats(width=32, allow_nan=False))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A saved state."""
    state = {
        name: np.full((2, 1, 3), value, np.float32) for name, value in (("h", 1.0), ("c", 2.0))
    }
    save_snapshot(
        tmp_path / "state", Snapshot(state, np.array([4, 5], np.int64), 6), contract=CONTRACT
    )
    return tmp_path / "state"


def refusal(path: Path, contract: Contract = CONTRACT) -> str:
    with pytest.raises(DataError) as caught:
        load_snapshot(path, contract=contract)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@settings(max_examples=30, deadline=None)
@given(
    h=STATE,
    c=STATE,
    pending=st.lists(st.integers(0, 6), max_size=5),
    position=st.integers(0, 2**40),
)
def test_round_trip(h: np.ndarray, c: np.ndarray, pending: list[int], position: int) -> None:
    before = Snapshot({"h": h, "c": c}, np.array(pending, np.int64), position)
    with tempfile.TemporaryDirectory() as folder:
        save_snapshot(Path(folder) / "state", before, contract=CONTRACT)
        after = load_snapshot(Path(folder) / "state", contract=CONTRACT)
    assert after.state.keys() == before.state.keys()
    for name, array in before.state.items():
        assert after.state[name].dtype == np.float32
        assert after.state[name].tobytes() == array.tobytes()
    assert after.pending.dtype == np.int64
    assert after.pending.tolist() == pending
    assert after.position == position


def test_states_in_any_memory_order_are_saved_as_they_read(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    turned = np.asfortranarray(array)
    save_snapshot(
        tmp_path / "state",
        Snapshot({"h": turned, "c": array[:, :, ::-1]}, np.zeros(0, np.int64)),
        contract=CONTRACT,
    )
    loaded = load_snapshot(tmp_path / "state", contract=CONTRACT)
    assert np.array_equal(loaded.state["h"], array)
    assert np.array_equal(loaded.state["c"], array[:, :, ::-1])


def test_any_host_can_read_the_file(path: Path) -> None:
    tensors = load_file(path)
    assert sorted(tensors) == ["c", "h", PENDING]
    assert tensors[PENDING].tolist() == [4, 5]
    with safe_open(path, framework="numpy") as file:
        assert file.metadata()["edgernn.position"] == "6"


def test_a_saved_state_replaces_an_older_one(path: Path) -> None:
    state = load_snapshot(path, contract=CONTRACT).state
    save_snapshot(path, Snapshot(state, np.array([1], np.int64), 7), contract=CONTRACT)
    assert load_snapshot(path, contract=CONTRACT).position == 7
    assert [file.name for file in path.parent.iterdir()] == ["state"]


def test_nothing_there_says_how_to_write_one(tmp_path: Path) -> None:
    assert "no saved state at" in refusal(tmp_path / "missing")
    assert "--save-state" in refusal(tmp_path / "missing")
    assert "cannot read the saved state" in refusal(tmp_path)  # a folder


@pytest.mark.parametrize(
    "other",
    [
        language_contract(("h", "c"), layers=2, hidden=4, vocabulary=7),
        language_contract(("h", "c"), layers=1, hidden=3, vocabulary=7),
        language_contract(("h", "c"), layers=2, hidden=3, vocabulary=8),
        language_contract(("h",), layers=2, hidden=3, vocabulary=7),
        language_contract(("h", "c"), layers=2, hidden=3, vocabulary=7, initial_state="learned"),
    ],
    ids=["hidden", "layers", "vocabulary", "cell", "first state"],
)
def test_the_state_of_another_model_is_refused(path: Path, other: Contract) -> None:
    assert "another contract; continue with the bundle that wrote it" in refusal(path, other)


@pytest.mark.parametrize("keep", [0, 7, 100, -1], ids=str)
def test_a_cut_off_file_is_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    assert "is not a saved state" in refusal(path)


def test_a_foreign_file_is_refused(path: Path) -> None:
    path.write_bytes(b"this is no state, and long enough to look like one")
    assert "is not a saved state" in refusal(path)
    path.write_text(json.dumps({"h": 1}))
    assert "is not a saved state" in refusal(path)


def rewrite(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    with safe_open(path, framework="numpy") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        metadata = {**file.metadata(), **metadata}
        metadata.pop(tensor_files.DIGEST)  # as another program would write it
    save_file(
        {name: array for name, array in (kept | tensors).items() if array is not None},
        path,
        metadata,
    )


def test_a_tensor_too_many_is_refused(path: Path) -> None:
    rewrite(path, {"extra": np.zeros(1, np.float32)}, {})
    assert "another contract" in refusal(path)


def test_tensors_without_our_metadata_are_refused(path: Path) -> None:
    save_file(load_file(path), path)
    assert "another contract" in refusal(path)


@pytest.mark.parametrize("position", ["", "x", "1.5", "-1"])
def test_a_damaged_position_is_refused(path: Path, position: str) -> None:
    rewrite(path, {}, {"edgernn.position": position})
    refusal(path)


DAMAGED_TENSORS = {
    "pending of floats": {PENDING: np.zeros(1, np.float32)},
    "pending of two axes": {PENDING: np.zeros((1, 1), np.int64)},
    "another dtype": {"h": np.zeros((2, 1, 3), np.float64)},
    "another shape": {"c": np.zeros((2, 1, 4), np.float32)},
}


@pytest.mark.parametrize("tensors", DAMAGED_TENSORS.values(), ids=DAMAGED_TENSORS)
def test_a_tensor_that_the_contract_does_not_know_is_refused(
    path: Path, tensors: dict[str, np.ndarray]
) -> None:
    rewrite(path, tensors, {})
    refusal(path)


def test_a_changed_value_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "does not have the SHA-256 that it says" in refusal(path)


def test_ids_beyond_the_vocabulary_are_refused(path: Path) -> None:
    rewrite(path, {"pending_tokens": np.array([7], np.int64)}, {})
    assert "pending_tokens has ids beyond the vocabulary" in refusal(path)


def test_a_position_of_a_thousand_digits_is_refused(path: Path) -> None:
    rewrite(path, {}, {"edgernn.position": "9" * 5000})
    assert "its position is wrong" in refusal(path)
