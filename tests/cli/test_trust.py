"""Whose C commands ran, with and without ``--trust``, and where there is no compiler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgernn.bench import run as bench
from edgernn.bench.alone import Alone
from edgernn.export.pack import export_bundle
from edgernn.sessions import compiler
from tests.sessions.test_trust import LATER, WRONG, changed

if compiler.lacking() is not None:
    pytest.skip("this machine has no C compiler", allow_module_level=True)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def other(checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle whose C is of a later generator, and adds 1 to the score of the first token."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    export_bundle(checkpoint_folder, tmp_path / "honest", to="c", steps=4)
    return changed(tmp_path / "honest", tmp_path / "other", WRONG, LATER)


@pytest.mark.parametrize(
    ("command", "more"),
    [("generate", ["--length", 3]), ("verify", ["--steps", 4]), ("bench", ["--steps", 10])],
)
def test_commands_say_what_they_ran(
    run: Run, other: Path, monkeypatch: pytest.MonkeyPatch, command: str, more: list[object]
) -> None:
    monkeypatch.setattr(bench, "reading_buffer", lambda: np.ones(1 << 12, np.int64))
    monkeypatch.setattr(bench, "measure_alone", lambda *given, **options: Alone())
    monkeypatch.setattr(bench, "measure_import", lambda format_name: 1)
    code, out, err = run(command, other, *more)
    assert code == 0
    notes = [line for line in err.splitlines() if line.startswith("edgernn: note: ")]
    assert len(notes) == (0 if command == "verify" else 1)
    assert "step.c is not what this edgernn" in out + err
    assert "--trust" in out + err
    code, out, err = run(command, other, *more, "--trust")
    assert code == (1 if command == "verify" else 0)
    assert "edgernn: note" not in err
    if command == "verify":
        assert run(command, other, *more, "--strict")[0] == 1


def test_a_bundle_that_nothing_ran_is_not_verified(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    export_bundle(checkpoint_folder, tmp_path / "c", to="c", steps=4)
    export_bundle(checkpoint_folder, tmp_path / "both", to=["onnx", "c"], steps=4)
    monkeypatch.setenv("CC", "no-such-compiler")
    code, out, _ = run("verify", tmp_path / "c", "--steps", 4)
    assert code == 1
    (first, *_, last) = out.splitlines()
    assert first == last
    assert first.startswith("NOT verified: 0 of 1 artifact passed over 4 steps only")
    assert "1 read and NOT run; NOT checked: rollout, invariance, text, greedy, golden (" in first
    assert "running c needs a C compiler" in first
    code, out, _ = run("verify", tmp_path / "both", "--steps", 4)
    assert code == 0
    assert out.startswith("verified: 1 of 2 artifacts passed over 4 steps only")
    assert ", 1 read and NOT run; NOT checked: " in out
    assert run("verify", tmp_path / "both", "--steps", 4, "--strict")[0] == 1
    code, _, err = run("generate", tmp_path / "c", "--length", 1)
    assert code == 2
    assert err.startswith("edgernn: error: running c needs a C compiler, found the variable CC")
