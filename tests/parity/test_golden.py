"""A golden run is written as documented, replays to the bit on what recorded it, and catches what differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from edgernn.bundle import Bundle
from edgernn.contract import CELL_STATES, FileContract
from edgernn.errors import BundleError
from edgernn.models.language import LanguageModel
from edgernn.models.recurrent import CELLS
from edgernn.parity import golden
from edgernn.sessions.eager import EagerSession
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.opening import open_session

MakeModel = Callable[..., LanguageModel]
Tensors = dict[str, np.ndarray]

STEPS = 34  # every token of the vocabulary once


@pytest.fixture
def path(make_model: MakeModel, tmp_path: Path) -> Path:
    """A golden run of the tiny LSTM, 6 steps."""
    golden.record(EagerSession(make_model()), tmp_path / "golden.safetensors", steps=6)
    return tmp_path / "golden.safetensors"


def edit(path: Path, change: Callable[[Tensors], Tensors]) -> None:
    tensors = change(safetensors.numpy.load_file(path))
    safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path)


@pytest.mark.parametrize("cell", CELLS)
def test_it_replays_to_the_bit(make_model: MakeModel, tmp_path: Path, cell: str) -> None:
    path = tmp_path / "golden.safetensors"
    golden.record(EagerSession(make_model(cell=cell, learned_initial_state=True)), path)
    drifts = golden.replay(EagerSession(make_model(cell=cell, learned_initial_state=True)), path)
    assert [drift.tensor for drift in drifts] == ["logits", *(f"{name}_next" for name in CELL_STATES[cell])]
    for drift in drifts:
        assert drift.curve.tolist() == [0.0] * STEPS
        assert drift.scale > 0


@pytest.mark.parametrize("cell", CELLS)
def test_names_and_shapes_are_as_documented(make_model: MakeModel, tmp_path: Path, cell: str) -> None:
    path, model = tmp_path / "golden.safetensors", make_model(cell=cell)
    golden.record(EagerSession(model), path, steps=5)
    tensors = safetensors.numpy.load_file(path)
    shapes = {"tokens": (5, 1, 1), "logits": (5, 1, 1, model.config.vocabulary)}
    for name in CELL_STATES[cell]:
        shapes |= {name: (2, 1, 8), f"{name}_next": (5, 2, 1, 8)}
    assert {name: array.shape for name, array in tensors.items()} == shapes
    assert {name: str(array.dtype) for name, array in tensors.items()} == {
        name: "int64" if name == "tokens" else "float32" for name in shapes
    }


def test_a_host_can_replay_it_with_a_reader_and_a_loop(bundle: Bundle) -> None:
    tensors = safetensors.numpy.load_file(bundle.path("golden.safetensors"))
    session = open_session(bundle, "onnx")
    state = {"h": tensors["h"], "c": tensors["c"]}
    assert all(array.any() for array in state.values())
    assert not np.array_equal(state["h"], state["c"])
    for n, tokens in enumerate(tensors["tokens"]):
        outputs, state = session.step({"tokens": tokens}, state)
        np.testing.assert_allclose(outputs["logits"], tensors["logits"][n], atol=1e-5)
        np.testing.assert_allclose(state["h"], tensors["h_next"][n], atol=1e-5)
        np.testing.assert_allclose(state["c"], tensors["c_next"][n], atol=1e-5)
    assert n == STEPS - 1


def test_the_same_session_writes_the_same_bytes(make_model: MakeModel, path: Path, tmp_path: Path) -> None:
    golden.record(EagerSession(make_model()), tmp_path / "again", steps=6)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_it_needs_no_model_code(tmp_path: Path, make_model: MakeModel) -> None:
    file_contract = FileContract(contract=make_model().config.contract())
    golden.record(FakeSession(file_contract), tmp_path / "golden", steps=4)
    assert max(drift.worst for drift in golden.replay(FakeSession(file_contract), tmp_path / "golden")) == 0


@pytest.mark.parametrize(("cell", "swap"), [("lstm", (0, 1)), ("lstm", (2, 3)), ("gru", (0, 1)), ("gru", (1, 2))])
def test_another_gate_order_is_caught(make_model: MakeModel, tmp_path: Path, cell: str, swap: tuple[int, int]) -> None:
    path = tmp_path / "golden.safetensors"
    golden.record(EagerSession(make_model(cell=cell)), path)
    model = make_model(cell=cell)
    with torch.no_grad():
        for weight in model.recurrent.parameters():
            rows = list(weight.split(8))
            rows[swap[0]], rows[swap[1]] = rows[swap[1]], rows[swap[0]]
            weight.copy_(torch.cat(rows))
    assert max(drift.scaled for drift in golden.replay(EagerSession(model), path)) > 1e-2


def test_a_changed_value_is_found_where_it_stands(make_model: MakeModel, path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        tensors["c_next"][3, 1, 0, 2] += 0.25
        return tensors

    edit(path, change)
    found = {drift.tensor: drift for drift in golden.replay(EagerSession(make_model()), path)}
    assert found["c_next"].curve.tolist() == pytest.approx([0, 0, 0, 0.25, 0, 0], abs=1e-6)
    assert (found["logits"].worst, found["h_next"].worst) == (0, 0)


def test_a_forced_replay_starts_every_step_from_the_recorded_state(make_model: MakeModel, path: Path) -> None:
    """An error of one step stays in that step and the one after it, and is told relative to the tensor's size."""
    recorded = safetensors.numpy.load_file(path)["c_next"][:, 1]
    size = float(np.sqrt(np.square(recorded).mean()))

    def change(tensors: Tensors) -> Tensors:
        tensors["c_next"][3] *= 1.5
        return tensors

    edit(path, change)
    found = {drift.tensor: drift for drift in golden.replay(EagerSession(make_model()), path, forced=True)}
    assert all(drift.relative for drift in found.values())
    assert np.flatnonzero(found["c_next[1]"].curve > 1e-6).tolist() == [3, 4]
    assert np.flatnonzero(found["logits"].curve > 1e-6).tolist() == [4]
    assert 0.1 * size < found["c_next[1]"].worst < size
    free = {drift.tensor: drift for drift in golden.replay(EagerSession(make_model()), path)}
    assert np.flatnonzero(free["c_next"].curve > 1e-6).tolist() == [3]


def test_a_forced_replay_of_what_recorded_it_is_exact(make_model: MakeModel, path: Path) -> None:
    assert max(drift.worst for drift in golden.replay(EagerSession(make_model()), path, forced=True)) == 0


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_damaged_file(make_model: MakeModel, path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BundleError, match=r"golden.safetensors is no golden run \(.*\); export the bundle again"):
        golden.replay(EagerSession(make_model()), path)


def test_a_missing_file(make_model: MakeModel, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is no golden run"):
        golden.replay(EagerSession(make_model()), tmp_path / "nothing")


def test_a_golden_run_of_another_cell(make_model: MakeModel, path: Path) -> None:
    with pytest.raises(BundleError, match="does not fit the contract in c, c_next; export the bundle again"):
        golden.replay(EagerSession(make_model(cell="gru")), path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: {**tensors, "h": tensors["h"][:, :, :4], "c": tensors["c"][:, :, :4]},
        lambda tensors: {**tensors, "h_next": tensors["h_next"][:-1]},
        lambda tensors: {**tensors, "tokens": tensors["tokens"][:-1]},
        lambda tensors: {**tensors, "tokens": tensors["tokens"].astype(np.float32)},
        lambda tensors: {**tensors, "logits": tensors["logits"][..., :-1]},
    ],
    ids=["another hidden size", "a state too few", "an input too few", "another dtype", "another vocabulary"],
)
def test_a_golden_run_of_other_shapes(make_model: MakeModel, path: Path, change: Callable[[Tensors], Tensors]) -> None:
    edit(path, change)
    with pytest.raises(BundleError, match="export the bundle again"):
        golden.replay(EagerSession(make_model()), path)
