"""The session without a model: its recurrence in closed form, so that what is tested with it stands
on something.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgernn.contract import FileContract, file_problems
from edgernn.errors import ContractError
from edgernn.families.language import language_contract
from edgernn.sessions.fake import FakeSession

VOCABULARY = 5


def contract(states: tuple[str, ...] = ("h", "c")) -> FileContract:
    sizes = {"layers": 2, "hidden": 3, "vocabulary": VOCABULARY}
    return FileContract(contract=language_contract(states, **sizes))


@pytest.mark.parametrize("states", [("h", "c"), ("h",)], ids=str)
def test_its_states_follow_the_written_recurrence(states: tuple[str, ...]) -> None:
    fake = FakeSession(contract(states))
    state = {name: np.full((2, 1, 3), 0.5 + index, np.float32) for index, name in enumerate(states)}
    _, after = fake.step({"tokens": np.array([[3, 1]], np.int64)}, state)
    for index, name in enumerate(states):
        assert np.allclose(after[name], ((0.5 + index) / 2 + 3 / VOCABULARY) / 2 + 1 / VOCABULARY)


def test_it_prefers_the_next_token_of_each_row_and_step() -> None:
    fake = FakeSession(contract())
    given = np.array([[0, 4], [2, 3]], np.int64)
    outputs, _ = fake.step({"tokens": given}, fake.initial_state(2))
    assert outputs["logits"].argmax(-1).tolist() == [[1, 0], [3, 4]]


def test_its_logits_tell_states_apart() -> None:
    fake = FakeSession(contract())
    given = {"tokens": np.array([[0]], np.int64)}
    full = {name: array + 1 for name, array in fake.initial_state().items()}
    assert not np.allclose(
        fake.step(given, fake.initial_state())[0]["logits"], fake.step(given, full)[0]["logits"]
    )


def test_it_counts_its_calls() -> None:
    fake = FakeSession(contract())
    for _ in range(3):
        fake.step({"tokens": np.array([[0, 1]], np.int64)}, fake.initial_state())
    assert fake.calls == 3


def test_it_opens_a_contract_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "fake.json"
    path.write_text(contract(("h",)).model_dump_json(), encoding="utf-8")
    assert file_problems(FakeSession.describe(path), contract(("h",))) == []
    assert FakeSession.open(path, contract(("h",))).spec == contract(("h",)).spec


@pytest.mark.parametrize("content", ["", "{", "{}"])
def test_a_damaged_file_breaks_the_contract_like_any_other(tmp_path: Path, content: str) -> None:
    (tmp_path / "fake.json").write_text(content)
    with pytest.raises(ContractError, match=r"fake\.json"):
        FakeSession.describe(tmp_path / "fake.json")
