"""What the training commands share: the budget, what a resumed run may be told, and how a run's end
is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from edgernn.cli.config import from_command_line, given_budget
from edgernn.cli.output import say, say_json, tell
from edgernn.errors import UsageError
from edgernn.training.signals import StoppedError, name_of
from edgernn.training.waiting import let_waiting_threads_sleep
from edgernn.wording import argument, counted

if TYPE_CHECKING:
    from edgernn.training.options import TrainOptions
    from edgernn.training.run import Run
    from edgernn.training.schedule import Budget

_ALLOWED_WITH_RESUME = {
    "out",
    "resume",
    "minutes",
    "steps",
    "epochs",
    "threads",
    "device",
    "as_json",
}


@contextmanager
def training() -> Iterator[None]:
    """Set up what has to be before torch is loaded, and leave with 128 + n where the signal n found
    nothing to save.

    Decorates a command that trains.
    """
    let_waiting_threads_sleep()
    try:
        yield
    except StoppedError as stop:
        tell(
            f"stopped by {name_of(stop.number)} before there was anything to save; give the "
            "same command again"
        )
        raise typer.Exit(128 + stop.number) from None


def budget_of(*, minutes: float | None, steps: int | None, epochs: float | None) -> Budget | None:
    """Return the budget that was given, if any; raise UsageError for more than one, or one that is
    not above 0.
    """
    from edgernn.training.schedule import Budget

    given = {
        unit: n
        for unit, n in (("minutes", minutes), ("steps", steps), ("epochs", epochs))
        if n is not None
    }
    if len(given) > 1:
        raise UsageError(f"give one budget, not {' and '.join('--' + unit for unit in given)}")
    for unit, amount in given.items():
        if not amount > 0:  # nan is not
            raise UsageError(f"--{unit} is {amount:g}, expected above 0")
        return Budget.model_validate({"unit": unit, "amount": amount})
    return None


def options_of(context: typer.Context, *, default_minutes: float) -> TrainOptions:
    """Build the loop's options from the parameters that a command was called with, which bear the
    options' names.

    Raises:
        UsageError: a value is out of range, or more than one budget was given.
    """
    from edgernn.contract import validated
    from edgernn.training.options import TrainOptions

    given = context.params
    budget = budget_of(**given_budget(context)) or budget_of(
        minutes=default_minutes, steps=None, epochs=None
    )
    named = {name: given[name] for name in TrainOptions.model_fields if name in given}
    return validated(
        TrainOptions,
        {"peak_rate": "learning_rate"},
        budget=budget,
        peak_rate=given["learning_rate"],
        **named,
    )


def refuse_changes(context: typer.Context) -> None:
    """A resumed run keeps its options; only its budget and device may be given anew."""
    given = [
        name
        for name in context.params
        if from_command_line(context, name) and name not in _ALLOWED_WITH_RESUME
    ]
    if given:
        shown = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(
            f"{shown} cannot change when a run is resumed; leave it out, or start a new run in "
            "another --out"
        )


def finish(run: Run, command: str, *, as_json: bool) -> None:
    """Print what ``train COMMAND`` reached, once for all processes; leave with 128 + n if the
    signal n ended the run.
    """
    try:
        if run.leads:
            _print(run, command, as_json=as_json)
    except OSError:
        if not run.interrupted:  # a terminal that was closed sends a signal, and hears no more
            raise
    if run.interrupted:
        raise typer.Exit(128 + run.signal)


def _print(run: Run, command: str, *, as_json: bool) -> None:
    result = {
        "run": str(run.folder),
        "validation_loss": run.validation_loss,
        "split": run.split,
        "steps": run.steps,
        "epochs": run.epochs,
        "seconds": run.seconds,
        "parameters": run.parameters,
        "unigram_entropy": run.unigram_entropy,
        "interrupted": run.interrupted,
        **run.measured,
    }
    if as_json:
        say_json(result)
    else:
        loss = (
            "not measured yet"
            if run.validation_loss is None
            else f"{run.validation_loss:.4f} nats/{run.unit} ({run.split})"
        )
        steps = counted(run.steps, "step")
        say(
            f"{run.folder}: {run.parameters:,} parameters, {steps}, {run.epochs:.1f} epochs in "
            f"{run.seconds:.0f} s; "
            f"{'validation loss of the best weights' if run.measured else 'best validation loss'} "
            f"{loss}"
        )
        if run.measured:
            say("measured there: " + ", ".join(f"{n} {v:.4f}" for n, v in run.measured.items()))
    if run.interrupted:
        tell(
            f"interrupted and saved; go on with: edgernn train {command} --out "
            f"{argument(run.folder)} --resume"
        )
    elif not run.learned:
        tell(not_learned(run))


def not_learned(run: Run) -> str:
    """Return the sentence for a run that was too short to learn more than how often each token,
    or of examples each answer, occurs.
    """
    guessed = "answer" if run.measured else run.unit
    better = (run.validation_loss or 0) < (run.unigram_entropy or 0)
    return (
        f"too short to have learned: {run.validation_loss:.2f} nats/{run.unit} is "
        f"{'hardly' if better else 'no'} better "
        f"than guessing each {guessed} "
        f"as often as it occurs ({run.unigram_entropy:.2f}); train longer"
    )
