"""The options that every ``edgernn train`` on examples takes, and the run that they lead to: a
command of a kind says only what is its own.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgernn.cli.choices import completing, device_names
from edgernn.cli.config import Config, settings_of
from edgernn.cli.output import progress_console, tell
from edgernn.cli.stack_options import parameters_of
from edgernn.cli.training import budget_of, finish, options_of, refuse_changes, training

if TYPE_CHECKING:
    from edgernn.training.run import Run

Asked = tuple[Any, Any]  # records: where the examples come from; network and loss
_budget, _course = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("The budget", "Optimisation")
)


def _shared(
    minutes: Annotated[float | None, _budget(help="Minutes of training.")] = None,
    steps: Annotated[int | None, _budget(help="Optimiser steps.")] = None,
    epochs: Annotated[float | None, _budget(help="Passes over all there is to train on.")] = None,
    evaluations: Annotated[int, _budget(help="Validation measurements in a run.")] = 8,
    patience: Annotated[int, _budget(help="Stop after so many without a better one; 0 never.")] = 0,
    batch: Annotated[int, _course(help="Rows of a batch, over all processes.")] = 64,
    learning_rate: Annotated[float, _course(help="The largest learning rate.")] = 2e-3,
    weight_decay: Annotated[float, _course(help="Weight decay of matrices.")] = 0.01,
    clip: Annotated[float, _course(help="Largest norm of the gradient.")] = 1.0,
    vanishing_penalty: Annotated[
        float, _course(help="Weight of what keeps gradients from vanishing; slow.")
    ] = 0.0,
    gradients: Annotated[
        bool, _course("--gradients", help="Draw how far gradients reach: gradients.png.")
    ] = False,
    mixed: Annotated[str, _course(help="bfloat16 products: auto, on or off.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of weights, order, dropout and samples.")] = 0,
    device: Annotated[
        str, typer.Option(help="auto, cuda, mps or cpu.", **completing(device_names))
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; by default some are tried, the fastest kept.")
    ] = None,
    config: Config = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Hold the options that are shared; never called."""


@dataclass(frozen=True)
class Runs:
    """How the run of a command begins, ``train(data, out, *, setup, …)``, and goes on,
    ``resume(out, …)``; see ``training.run_examples``.
    """

    train: Callable[..., Run]
    resume: Callable[..., Run]


def of_examples(command: str) -> Runs:
    """Return how a run on examples begins and goes on."""
    from edgernn.training import run_examples
    from edgernn.training.kinds import kind_of

    kind = kind_of(command)
    return Runs(
        partial(run_examples.train_examples, kind), partial(run_examples.resume_examples, kind)
    )


def trains(
    command: str,
    *,
    minutes: float,
    without: Collection[str] = (),
    runs: Callable[[str], Runs] = of_examples,
    **defaults: Any,
) -> Callable[[Callable[..., Asked]], Callable[..., None]]:
    """Make a function of a kind's own options a command that trains.

    The function has the parameter ``out``, returns where the examples come from and what network
    and loss are made of, and is called for a new run alone.

    Args:
        command: of ``edgernn train``.
        minutes: of a run that is given no budget.
        without: names of shared options that it does not have.
        runs: tells, given the command, how its run begins and goes on; the default is that of a
            row of ``training/kinds.py``.
        defaults: of shared options, by their names, where they are others: ``batch=32``.
    """

    def decorate(asked: Callable[..., Asked]) -> Callable[..., None]:
        own = parameters_of(asked)

        @training()
        def run(context: typer.Context, out: Path, **given: Any) -> None:
            began = time.perf_counter()  # before torch is loaded, which the minutes count, too
            made = _run(
                context,
                out,
                partial(asked, **{name: given[name] for name in own if name in given}),
                runs(command),
                minutes=minutes,
                began=began,
            )
            finish(made, command, as_json=given["as_json"])

        shared = {
            name: p.replace(default=defaults.get(name, p.default))
            for name, p in parameters_of(_shared).items()
            if name not in without
        }
        told = _budget(help=f"Minutes of training; default {minutes:g}.")
        shared["minutes"] = shared["minutes"].replace(annotation=Annotated[float | None, told])
        here = inspect.Parameter(
            "context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
        )
        parameters = {"context": here, **own, **shared}
        signature = inspect.Signature(
            [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters.values()]
        )
        made: Any = run
        made.__signature__ = signature
        made.__annotations__ = {name: p.annotation for name, p in parameters.items()}
        made.__name__, made.__doc__ = asked.__name__, asked.__doc__
        if hasattr(made, "__wrapped__"):
            del made.__wrapped__
        command_of: Callable[..., None] = made
        return command_of

    return decorate


def _run(
    context: typer.Context,
    out: Path,
    asked: Callable[..., Asked],
    runs: Runs,
    *,
    minutes: float,
    began: float,
) -> Run:
    from edgernn.training.terminal import Terminal

    given = context.params
    told = {"device": given["device"], "reporter": Terminal(progress_console())}
    if given["resume"]:
        refuse_changes(context)
        budget = budget_of(**{name: given[name] for name in ("minutes", "steps", "epochs")})
        return runs.resume(out, budget=budget, threads=given["threads"], **told)
    options = options_of(context, default_minutes=minutes)
    data, setup = asked(out=out)
    settings = settings_of(context)
    return runs.train(
        data, out, options=options, setup=setup, tell=tell, settings=settings, began=began, **told
    )
