"""The reference: it is the model itself, on torch's own kernels, and leaves torch as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.contract import FileContract, file_problems
from edgernn.errors import CheckpointError
from edgernn.models.cells.table import FUSED, cell_class
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.sessions.base import State

MakeModel = Callable[..., LanguageModel]


@pytest.fixture(params=[True, False], ids=["oneDNN on", "oneDNN off"])
def switch(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Set torch's switch for oneDNN, and put it back after the test."""
    mkldnn = torch.backends.mkldnn
    before = mkldnn.enabled
    mkldnn.enabled = request.param
    yield request.param
    mkldnn.enabled = before


def random_state(session: EagerSession, batch: int) -> State:
    random = np.random.default_rng(batch)
    return {
        name: random.normal(size=a.shape).astype(np.float32)
        for name, a in session.initial_state(batch).items()
    }


@pytest.mark.parametrize("cell", FUSED)
def test_it_is_the_model(make_model: MakeModel, cell: str) -> None:
    model = make_model(cell=cell)
    session = EagerSession(model)
    given, state = np.array([[1, 2, 3], [4, 5, 6]], np.int64), random_state(session, 2)
    outputs, after = session.step({"tokens": given}, state)
    with torch.no_grad():
        logits, states = model(
            torch.from_numpy(given), tuple(map(torch.from_numpy, state.values()))
        )
    assert np.abs(outputs["logits"] - logits.numpy()).max() < 1e-5
    for name, tensor in zip(cell_class(cell).states, states, strict=True):
        assert np.abs(after[name] - tensor.numpy()).max() < 1e-5


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_prefill_equals_steps(make_model: MakeModel, cell: str) -> None:
    session = EagerSession(make_model(cell=cell))
    ids, stepped = np.arange(9, dtype=np.int64)[None], random_state(session, 1)
    outputs, after = session.step({"tokens": ids}, stepped)
    for t in range(9):
        one, stepped = session.step({"tokens": ids[:, t : t + 1]}, stepped)
        assert np.abs(one["logits"][:, 0] - outputs["logits"][:, t]).max() < 1e-6
    assert all(np.abs(stepped[name] - after[name]).max() < 1e-6 for name in after)


def test_a_checkpoint_folder_is_described_by_its_contract(
    checkpoint_folder: Path, make_model: MakeModel
) -> None:
    contract = FileContract(contract=make_model().config.contract())
    description = EagerSession.describe(checkpoint_folder)
    assert description.interface == contract.interface()
    assert file_problems(description, contract) == []


def test_a_checkpoint_folder_opens_as_the_model_that_was_saved(
    checkpoint_folder: Path, make_model: MakeModel
) -> None:
    ours, saved = (
        EagerSession(make_model()),
        EagerSession.open(checkpoint_folder, EagerSession(make_model()).file_contract),
    )
    given, state = {"tokens": np.array([[7, 8]], np.int64)}, random_state(ours, 1)
    assert np.array_equal(
        ours.step(given, state)[0]["logits"], saved.step(given, state)[0]["logits"]
    )


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path, make_model: MakeModel) -> None:
    with pytest.raises(
        CheckpointError,
        match="an empty folder; give what edgernn train, edgernn import or edgernn export wrote",
    ):
        EagerSession.open(tmp_path, FileContract(contract=make_model().config.contract()))


def test_a_learned_first_state_is_the_models(make_model: MakeModel) -> None:
    model = make_model(learned_initial_state=True)
    state = EagerSession(model).initial_state(2)
    for name, array in state.items():
        learned = model.first_state[name].detach().numpy()  # [L, 1, H]
        assert np.abs(learned).max() > 0
        assert np.array_equal(array, np.repeat(learned, 2, axis=1))


def test_onednn_is_off_inside_and_as_it_was_outside(make_model: MakeModel, switch: bool) -> None:
    model, seen = make_model(), []
    model.embedding.register_forward_hook(lambda *_: seen.append(torch.backends.mkldnn.enabled))
    session = EagerSession(model)
    assert torch.backends.mkldnn.enabled is switch
    session.step({"tokens": np.array([[1]], np.int64)}, session.initial_state())
    assert seen == [False]
    assert torch.backends.mkldnn.enabled is switch
    assert not torch.is_inference_mode_enabled()


def test_an_error_leaves_torch_as_it_was_too(make_model: MakeModel, switch: bool) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    model = make_model()
    session = EagerSession(model)
    model.embedding.register_forward_hook(fail)
    with pytest.raises(ZeroDivisionError):
        session.step({"tokens": np.array([[1]], np.int64)}, session.initial_state())
    assert torch.backends.mkldnn.enabled is switch
    assert not torch.is_inference_mode_enabled()


def test_stepping_changes_neither_the_model_nor_what_it_is_given(make_model: MakeModel) -> None:
    model = make_model()
    weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    session = EagerSession(model)
    given, state = {"tokens": np.array([[1, 2]], np.int64)}, random_state(session, 1)
    before = {name: array.copy() for name, array in (given | state).items()}
    for array in (given | state).values():
        array.flags.writeable = False  # torch warns about such arrays unless they are copied
    session.step(given, state)
    assert all(np.array_equal(array, before[name]) for name, array in (given | state).items())
    assert all(
        torch.equal(parameter, weights[name]) for name, parameter in model.named_parameters()
    )
    assert all(
        parameter.requires_grad and parameter.grad is None for parameter in model.parameters()
    )
