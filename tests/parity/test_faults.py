"""The verifier is verified: every fault of the suite in benchmarks/ is caught, and honest exports
raise no alarm.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("coremltools")  # the suite makes files of every format
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
HONEST = [
    "lstm 1x8 char",
    "gru 1x48 bpe",
    "rnn 1x48 byte",
    "rnn_relu 3x32 word",
    "lstm coreml",
    "tied",
    "learned",
    "release",
]
HONEST += [
    "rnn 1 odd",
    "one token",
    "many words",
    "decoding",
    "captioner hard-attention lstm",
    "captioner every-step gru",
]


def load_suite() -> ModuleType:
    """Load benchmarks/faults.py by path; its neighbours are importable only meanwhile."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("faults", BENCHMARKS / "faults.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


SUITE = load_suite()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The honest bundles, each made once."""
    yield SUITE.Workshop(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("name", SUITE.FAULTS)
def test_fault_is_caught(name: str, workshop: Any) -> None:
    fault = SUITE.FAULTS[name]
    verdict = workshop.judge(fault)
    if verdict.outcome == "not judged":
        pytest.skip(verdict.message)
    if fault.awaits:
        assert verdict.outcome != "caught", (
            f"it is caught now: take its 'awaits' away ({verdict.message})"
        )
        pytest.xfail(fault.awaits)
    assert verdict.outcome == "caught", (
        f"{verdict.outcome}; failed checks {verdict.caught_by}: {verdict.message}"
    )


@pytest.mark.parametrize("name", HONEST)
def test_honest_export_raises_no_alarm(name: str, tmp_path: Path) -> None:
    files, alarms = SUITE.false_alarms(
        dict(SUITE.honest_matrix())[name], tmp_path / "honest", steps=48
    )
    assert files >= 1
    assert alarms == []


def test_the_suite_is_large_enough() -> None:
    assert len(SUITE.FAULTS) >= 170
    assert len(list(SUITE.honest_matrix())) >= 30
    assert not [fault.name for fault in SUITE.FAULTS.values() if fault.honest not in SUITE.RECIPES]


def test_a_fault_that_changes_nothing_is_not_caught(workshop: Any) -> None:
    """The suite itself can fail: what is honest must not count as caught, and a wrong message must
    not either.
    """
    harmless = SUITE.Fault("nothing", "nothing", lambda folder: None, ("rollout",), "")
    assert workshop.judge(harmless).outcome == "missed"
    stale = SUITE.FAULTS["stale digest"]
    assert (
        workshop.judge(
            SUITE.Fault("other words", "", stale.apply, stale.caught_by, "no such message")
        ).outcome
        == "mute"
    )
    unknown = SUITE.Fault("no such check", "", stale.apply, ("no such check",), "")
    assert workshop.judge(unknown).outcome == "not judged"
