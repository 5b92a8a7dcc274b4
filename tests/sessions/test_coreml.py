"""Core ML packages: read on every machine, driven with the right names and dtypes, run where Core
ML is.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import FileContract, file_problems
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError
from edgernn.sessions.coreml import CoreMLSession, CoreMLStateSession

FORMATS = {"coreml": CoreMLSession, "coreml-mlstate": CoreMLStateSession}
MODEL = Path("Data", "com.apple.CoreML", "model.mlmodel")
VOCABULARY = 34


def contract_of(folder: Path, name: str) -> tuple[Path, FileContract]:
    bundle = Bundle.open(folder, verify_digests=False)
    artifact = bundle.artifact(name)
    return folder / artifact.path, bundle.file_contract(artifact)


@pytest.mark.parametrize(("name", "session"), FORMATS.items(), ids=FORMATS)
def test_the_package_says_what_the_contract_says(
    bundle_folder: Path, name: str, session: type[CoreMLSession]
) -> None:
    path, contract = contract_of(bundle_folder, name)
    description = session.describe(path)
    assert description.interface == contract.interface()
    assert FileContract.from_metadata(description.metadata, source="x") == contract
    assert file_problems(description, contract) == []


def test_the_two_packages_keep_their_state_in_different_places(bundle_folder: Path) -> None:
    explicit, kept = (
        CoreMLSession.describe(contract_of(bundle_folder, name)[0]).interface for name in FORMATS
    )
    assert [tensor.name for tensor in explicit.inputs] == ["tokens", "h", "c"]
    assert [tensor.name for tensor in explicit.outputs] == ["logits", "h_next", "c_next"]
    assert explicit.states == ()
    assert kept.inputs == (FileTensor("tokens", "int32", (1, 1)),)
    assert [tensor.name for tensor in kept.outputs] == ["logits"]
    assert kept.states == (
        FileTensor("h", "float16", (2, 1, 8)),
        FileTensor("c", "float16", (2, 1, 8)),
    )


def cut(package: Path) -> None:
    (package / MODEL).write_bytes((package / MODEL).read_bytes()[:3000])


def scramble(package: Path) -> None:
    (package / MODEL).write_bytes(b"\xff" * 100)


def remove_program(package: Path) -> None:
    (package / MODEL).unlink()


def remove_listing(package: Path) -> None:
    (package / "Manifest.json").unlink()


def break_listing(package: Path) -> None:
    (package / "Manifest.json").write_text("{")


@pytest.mark.parametrize("damage", [cut, scramble, remove_program, remove_listing, break_listing])
def test_a_damaged_package_is_refused(bundle_folder: Path, tmp_path: Path, damage: Any) -> None:
    package = tmp_path / "damaged.mlpackage"
    shutil.copytree(bundle_folder / "coreml" / "step.mlpackage", package)
    damage(package)
    with pytest.raises(
        ContractError, match=r"damaged\.mlpackage is not a Core ML package"
    ) as caught:
        CoreMLSession.describe(package)
    assert "\n" not in str(caught.value)


def test_a_file_and_nothing_at_all_are_no_packages(tmp_path: Path) -> None:
    (tmp_path / "file.mlpackage").write_bytes(b"no model")
    for name in ("file.mlpackage", "missing.mlpackage"):
        with pytest.raises(ContractError, match=rf"{name} is not a Core ML package"):
            CoreMLSession.describe(tmp_path / name)


class StubState:
    """What Core ML's MLState does, on a dict."""

    def __init__(self) -> None:
        self.held: dict[str, np.ndarray] = {}

    def write_state(self, name: str, value: np.ndarray) -> None:
        self.held[name] = value.copy()

    def read_state(self, name: str) -> np.ndarray:
        return self.held[name]


class StubModel:
    """What a loaded package does, on numpy: every state is doubled, and the logits are the token
    everywhere.
    """

    def __init__(self) -> None:
        self.fed: dict[str, np.ndarray] = {}

    def make_state(self) -> StubState:
        return StubState()

    def predict(
        self, feeds: dict[str, np.ndarray], state: StubState | None = None
    ) -> dict[str, np.ndarray]:
        self.fed = {**feeds, **({} if state is None else state.held)}
        logits = np.full((1, 1, VOCABULARY), feeds["tokens"][0, 0], np.float32)
        if state is None:
            return {"logits": logits, "h_next": feeds["h"] * 2, "c_next": feeds["c"] * 2}
        assert list(feeds) == ["tokens"]
        state.held = {name: value * 2 for name, value in state.held.items()}
        return {"logits": logits}


@pytest.mark.parametrize(("name", "session"), FORMATS.items(), ids=FORMATS)
def test_the_runtime_is_driven_in_the_files_own_dtypes(
    bundle_folder: Path, name: str, session: type[CoreMLSession]
) -> None:
    _, contract = contract_of(bundle_folder, name)
    model = StubModel()
    driven = session(model, contract)
    state = {
        name: np.full((2, 1, 8), value, np.float32) for name, value in (("h", 0.1), ("c", 3.0))
    }
    outputs, after = driven.step({"tokens": np.array([[5]], np.int64)}, state)
    kept = "float16" if name == "coreml-mlstate" else "float32"
    assert {name: array.dtype.name for name, array in model.fed.items()} == {
        "tokens": "int32",
        "h": kept,
        "c": kept,
    }
    assert (outputs["logits"] == 5).all()
    assert list(after) == ["h", "c"]
    for given, array in ((np.array(0.1, kept), after["h"]), (np.array(3, kept), after["c"])):
        assert array.dtype == np.float32
        assert (array == given * 2).all()


def test_a_state_that_the_runtime_keeps_leaks_into_no_other_stream(bundle_folder: Path) -> None:
    _, contract = contract_of(bundle_folder, "coreml-mlstate")
    driven = CoreMLStateSession(StubModel(), contract)
    given = {"tokens": np.array([[0]], np.int64)}
    ones = {name: array + 1 for name, array in driven.initial_state().items()}
    _, left = driven.step(given, ones)
    _, right = driven.step(given, driven.initial_state())
    _, left = driven.step(given, left)
    assert (left["h"] == 4).all()
    assert (right["h"] == 0).all()


@pytest.mark.parametrize(("batch", "time"), [(2, 1), (1, 2)])
def test_more_than_one_row_or_step_a_call_is_refused(
    bundle_folder: Path, batch: int, time: int
) -> None:
    _, contract = contract_of(bundle_folder, "coreml")
    driven = CoreMLSession(StubModel(), contract)
    with pytest.raises(ContractError, match="expected 1 as in this file"):
        driven.step({"tokens": np.zeros((batch, time), np.int64)}, driven.initial_state(batch))
