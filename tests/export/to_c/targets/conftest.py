"""A bundle with a tiny LSTM as C, built for every target of the table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import FileContract
from edgernn.export.to_c.targets.table import TARGETS
from edgernn.sessions.compiled import CompiledSession
from edgernn.sessions.compiler import lacking, zig

if lacking() is not None or zig() is None:
    pytest.skip("this machine has no C compiler, or no ziglang", allow_module_level=True)
os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(Path.home() / ".cache" / "zig"))  # not made anew


@pytest.fixture(scope="session")
def built_folder(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle. Read only; copy it to change it."""
    from edgernn.export.pack import export_bundle

    out = tmp_path_factory.mktemp("targets") / "bundle"
    export_bundle(checkpoint_folder, out, to="c", target=list(TARGETS), steps=4)
    return out


@pytest.fixture(scope="session")
def integer_folder(
    checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, FileContract]:
    """A step of 8-bit weights and 7-bit activations, which has the most kernels. Read only."""
    from edgernn.export.pack import export_bundle

    out = tmp_path_factory.mktemp("integers") / "bundle"
    export_bundle(checkpoint_folder, out, to="c", precision="w8a7", target="wasm", steps=4)
    with Bundle.open(out) as opened:
        return out, opened.file_contract(opened.artifact("c"))


@pytest.fixture(scope="session")
def own_contract(built_folder: Path) -> FileContract:
    """The contract of the bundle's step."""
    with Bundle.open(built_folder) as opened:
        return opened.file_contract(opened.artifact("c"))


@pytest.fixture(scope="session")
def ids() -> list[int]:
    """Tokens to step over."""
    return [3, 1, 4, 1, 5, 9, 2, 6]


def stepped(path: Path, own: FileContract, ids: list[int]) -> np.ndarray:
    """Return the logits of ``ids``, [steps, vocabulary], as this machine's compiler gives them."""
    session = CompiledSession.open(path, own)
    state, rows = session.initial_state(1), []
    for number in ids:
        outputs, state = session.step({"tokens": np.array([[number]])}, state)
        rows.append(outputs["logits"].ravel())
    return np.stack(rows)


@pytest.fixture(scope="session")
def wanted(built_folder: Path, own_contract: FileContract, ids: list[int]) -> np.ndarray:
    """The logits of ``ids``."""
    return stepped(built_folder / "c" / "step", own_contract, ids)


@pytest.fixture(scope="session")
def wanted_integers(integer_folder: tuple[Path, FileContract], ids: list[int]) -> np.ndarray:
    """The logits of ``ids`` of the step in integers."""
    folder, own = integer_folder
    return stepped(folder / "c" / "step-w8a7", own, ids)
