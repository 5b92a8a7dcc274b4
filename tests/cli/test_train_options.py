"""A command of a kind says its own options; the shared ones come with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from pydantic import BaseModel
from typer.testing import CliRunner

from edgernn.cli.train_options import trains
from edgernn.training import run_examples
from edgernn.training.kinds import TABLE


class Told(BaseModel):
    """What the command asked for."""

    letters: int


@trains("told", minutes=1.5, batch=7)
def told(
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    letters: Annotated[int, typer.Option(help="How many letters.")] = 3,
) -> tuple[BaseModel, BaseModel]:
    """Train on letters."""
    return Told(letters=letters), Told(letters=letters + 1)


app = typer.Typer()
app.command("told")(told)
app.command("other")(lambda: None)


def test_own_and_shared_options_reach_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: dict[str, Any] = {}

    def train(kind: Any, data: Any, out: Path, **given: Any) -> None:
        found.update(kind=kind, data=data, out=out, **given)
        raise typer.Exit(0)

    monkeypatch.setitem(TABLE, "told", "builtins:object")
    monkeypatch.setattr(run_examples, "train_examples", train)
    run = CliRunner().invoke(
        app, ["told", "--out", str(tmp_path / "run"), "--letters", "5", "--seed", "4"]
    )
    assert run.exit_code == 0, run.output
    assert found["data"].letters == 5
    assert found["setup"].letters == 6
    assert found["options"].batch == 7
    assert found["options"].seed == 4
    assert found["options"].budget.amount == 1.5
    assert "letters = 5" in found["settings"]
    assert "seed = 4" in found["settings"]


def test_the_help_names_both_and_a_resumed_run_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(TABLE, "told", "builtins:object")
    shown = CliRunner().invoke(app, ["told", "--help"], env={"COLUMNS": "200"}).output
    assert all(option in shown for option in ("--letters", "--out", "--minutes", "--resume"))
    run = CliRunner().invoke(app, ["told", "--out", str(tmp_path), "--resume", "--letters", "4"])
    assert "--letters cannot change when a run is resumed" in str(run.exception)
