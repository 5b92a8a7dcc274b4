"""``benchmarks/peers.py`` with the contenders that are installed, on tiny models."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("torch")
BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SLOW = "ort-dynamo"  # seconds of exporting, whatever the size


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("peers")


def rows_of(text: str) -> dict[str, list[str]]:
    lines = (
        line.strip("| ").split(" | ")
        for line in text.splitlines()
        if line.startswith("| ") and "`" in line
    )
    return {cells[1].strip("`"): cells for cells in lines}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_contender_has_a_row_and_computes_the_same_network(
    peers: ModuleType, cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [peer.name for peer in peers.PEERS if peer.name != SLOW]
    out = tmp_path / "peers.md"
    arguments = ["--hidden", "16", "--vocabulary", "12", "--cell", cell, "--rounds", "2"]
    monkeypatch.setattr(
        sys, "argv", ["peers.py", *arguments, "--only", ",".join(names), "--out", str(out)]
    )
    peers.main()
    rows = rows_of(out.read_text(encoding="utf-8"))
    assert list(rows) == names
    for peer in peers.PEERS:
        if peer.name == SLOW:
            continue
        _, _, step, *rest = rows[peer.name]
        if any(peers.version_of(package) is None for package in peer.packages):
            assert step.startswith("not installed: ")
            continue
        assert float(step) > 0, rows[peer.name]
        assert float(rest[-1]) < (1e-5 if peer.exact else 0.5), rows[peer.name]
    assert rows["ort"][3] == "1.00"
    assert rows["torch"][4] == "1.00"
    assert {"edgernn-float32", "ort-int8", "torchscript", "executorch"} <= rows.keys()


def test_a_contender_that_fails_or_is_missing_is_a_row_without_paths(peers: ModuleType) -> None:
    def fail(work: object) -> None:
        raise RuntimeError("cannot read /home/someone/model.onnx\nand more")

    base = peers.PEERS[0]
    broken = peers.Peer("broken", "broken", (), True, fail)
    missing = peers.Peer("missing", "missing", ("no-such-package",), True, fail)
    rows = peers.measure([base, broken, missing], cell="gru", hidden=8, vocabulary=5, rounds=1)
    assert [row.note for row in rows] == [
        "",
        "failed: RuntimeError: cannot read …/model.onnx",
        "not installed: no-such-package",
    ]
    assert rows[0].step_us > 0


def test_a_contender_of_another_network_shows_in_the_difference(
    peers: ModuleType, tmp_path: Path
) -> None:
    def forgetful(work: object) -> object:  # the state is never fed back
        stepper = plain.prepare(work)
        return peers.Stepper(
            lambda token, state: (stepper.step(token, stepper.first)[0], state), stepper.first, None
        )

    plain = next(peer for peer in peers.PEERS if peer.name == peers.REFERENCE)
    work = peers.Work.seeded(tmp_path, cell="lstm", hidden=16, vocabulary=12)
    tokens = np.random.default_rng(0).integers(0, 12, peers.MOST_STEPS).tolist()
    reference = peers.chain(plain.prepare(work), tokens)
    contender = peers.enter(
        peers.Peer("forgetful", "forgetful", (), True, forgetful), work, tokens, reference
    )
    assert contender.difference > 1e-2


def test_an_unknown_name_is_refused_with_the_known_ones(
    peers: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["peers.py", "--only", "tensorrt"])
    with pytest.raises(SystemExit):
        peers.main()
    assert "unknown tensorrt; expected some of torch, " in capsys.readouterr().err
