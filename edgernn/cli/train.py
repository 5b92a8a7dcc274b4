"""``edgernn train``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgernn.cli import (
    train_ask,
    train_captions,
    train_classify,
    train_glimpse,
    train_paint,
    train_tag,
    train_translate,
)
from edgernn.cli.choices import completing, one_of, read_share, text_names, token_names
from edgernn.cli.stack_options import stacked
from edgernn.cli.train_options import Asked, Runs, trains

if TYPE_CHECKING:
    from edgernn.training.run import Run

app = typer.Typer(
    help="Train a model on your own data, or on what is built in.", no_args_is_help=True
)

_DEFAULT_MINUTES = 3.0
_data, _model, _loss = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("The text", "The model", "The loss")
)


@app.callback()
def group() -> None:
    """Train a model on your own data, or on what is built in."""


app.command("captions")(train_captions.captions)
app.command("ask")(train_ask.ask)
app.command("classify")(train_classify.classify)
app.command("translate")(train_translate.translate)
app.command("tag")(train_tag.tag)
app.command("glimpse")(train_glimpse.glimpse)
app.command("paint")(train_paint.paint)


def _of_text(command: str) -> Runs:
    """Return how a run on a text begins and goes on."""
    from edgernn.training.run_text import resume_text, train_text

    def train(source: dict[str, Any], out: Path, *, tell: object, **told: Any) -> Run:
        return train_text(out=out, **source, **told)  # which tells nothing of its text

    return Runs(train, resume_text)


@app.command("text")
@trains("text", minutes=_DEFAULT_MINUTES, runs=_of_text, batch=32, learning_rate=4e-3, patience=5)
@stacked(hidden=256, layers=2)
def text(
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str,
        _data(
            help=f"A text file, a folder, - for standard input; built in: {one_of(text_names())}",
            **completing(text_names),
        ),
    ] = "python-docs",
    glob: Annotated[str, _data(help="Which files of a folder.")] = "**/*.txt",
    validation: Annotated[str | None, _data(help="A text of its own for validation.")] = None,
    validation_fraction: Annotated[
        float, _data(parser=read_share, help="Else: the last share of the text.")
    ] = 0.1,
    tokens: Annotated[
        str, _data(help="char, byte, word or bpe.", **completing(token_names))
    ] = "char",
    vocabulary: Annotated[int | None, _data(help="Most tokens of word and bpe.")] = None,
    minimum_count: Annotated[int, _data(help="Fewest occurrences of a word.")] = 2,
    embedding: Annotated[
        int | None, _model(help="Width of a token vector; default 64, tied: hidden.")
    ] = None,
    tied: Annotated[bool, _model("--tied", help="One matrix for embedding and head.")] = False,
    learned_state: Annotated[
        bool, _model("--learned-state", help="Learn the first state.")
    ] = False,
    chunk: Annotated[int, _loss(help="Steps through which gradients flow.")] = 64,
    state_penalty: Annotated[
        float, _loss(help="Weight of what keeps states within ±3; 0: they may count.")
    ] = 0.01,
    **stack: Any,
) -> Asked:
    """Train a recurrent language model. Ctrl-C ends the run cleanly; --resume goes on as if it had
    not stopped.
    """
    from edgernn.contract import validated
    from edgernn.training.run_text import TextSetup

    setup = validated(
        TextSetup,
        tokens=tokens,
        vocabulary=vocabulary,
        minimum_count=minimum_count,
        validation_fraction=validation_fraction,
        state_penalty=state_penalty,
        model=stack
        | {
            "tied": tied,
            "embedding": (stack["hidden"] if tied else 64) if embedding is None else embedding,
            "learned_initial_state": learned_state,
        },
    )
    return {"data": data, "glob": glob, "validation": validation}, setup
