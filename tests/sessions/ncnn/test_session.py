"""ncnn beside the protocol that test_protocol.py holds every row to: memory, threads, options."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ncnn", reason="ncnn is not installed: the extra ncnn brings it")
pytest.importorskip("torch")

from edgernn.contract import STEP, FileContract
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_ncnn.exporter import NcnnExporter
from edgernn.sessions.ncnn.session import NcnnSession
from edgernn.sessions.opening import describe_file, open_session
from edgernn.storage.identify import identify

Case = tuple[Path, FileContract]


@pytest.fixture(scope="module")
def case(make_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A GRU of two layers."""
    path = tmp_path_factory.mktemp("ncnn") / "step"
    model = make_model(cell="gru")
    written = NcnnExporter().export(model, path, precision="float32", decoding=None)
    own = FileContract(contract=model.config.contract(), graph=STEP, narrowing=written.narrowing)
    return path, own


def call(seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    state = {"h": random.normal(size=(2, 1, 8)).astype(np.float32)}
    return {"tokens": np.array([[seed % 5]])}, state


def test_a_lone_folder_is_known_and_opens(case: Case) -> None:
    assert identify(case[0]).key == "ncnn-folder"
    assert describe_file(case[0])[0].name == "ncnn"
    session = open_session(case[0])
    outputs, after = session.step(*call(1))
    again, same = NcnnSession.open(*case, threads=1).step(*call(1))
    assert np.array_equal(outputs["logits"], again["logits"])
    assert np.array_equal(after["h"], same["h"])


def test_two_threads_share_a_session(case: Case) -> None:
    session = NcnnSession.open(*case)
    wanted = [session.step(*call(seed)) for seed in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: session.step(*call(seed % 20)), range(200)))
    for seed, (outputs, after) in enumerate(found):
        assert np.array_equal(outputs["logits"], wanted[seed % 20][0]["logits"])
        assert np.array_equal(after["h"], wanted[seed % 20][1]["h"])


def test_threads_are_numbers(case: Case) -> None:
    with pytest.raises(UsageError, match="threads is 0"):
        NcnnSession.open(*case, threads=0)


def test_another_contract_is_refused(case: Case, make_model: Callable[..., Any]) -> None:
    other = make_model(cell="gru", hidden=16).config.contract()
    own = case[1].model_copy(update={"contract": other})
    with pytest.raises(ContractError, match=r"takes .*'h': \(2, 8\).*, expected .*'h': \(2, 16\)"):
        NcnnSession.open(case[0], own)
