"""``edgernn generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgernn.cli.choices import TrustOption
from edgernn.cli.output import say_json, stream
from edgernn.cli.streams import reader_gone
from edgernn.errors import StorageError


def generate(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a folder or a .edgernn file.")],
    prompt: Annotated[str, typer.Option(help="The text to go on from.")] = "",
    length: Annotated[int, typer.Option(min=0, help="Tokens to write.")] = 300,
    temperature: Annotated[
        float | None, typer.Option(help="0 is greedy; default the bundle's.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Keep the k most probable tokens; 0 keeps all.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Keep tokens up to this probability; 1 keeps all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same text.")] = 0,
    stop: Annotated[str | None, typer.Option(help="End after a token with this text.")] = None,
    artifact: Annotated[
        str | None, typer.Option(help="A path or format in the bundle; default ONNX.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads that share a step; default the runtime's.")
    ] = None,
    trust: TrustOption = False,
    on_unknown: Annotated[
        str, typer.Option(help="A prompt character the model lacks: error or skip.")
    ] = "error",
    load_state: Annotated[Path | None, typer.Option(help="Go on from this saved state.")] = None,
    save_state: Annotated[
        Path | None, typer.Option(help="Save the state after the last token here.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print prompt, text and tokens as JSON.")
    ] = False,
) -> None:
    """Write text from a bundle, step by step, on the runtime of the artifact."""
    from edgernn.writing.text import write_text

    shown = _Shown(quiet=as_json, needed=save_state is not None)
    written = write_text(
        bundle,
        prompt,
        length=length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop=stop,
        artifact=artifact,
        threads=threads,
        trust=trust,
        on_unknown=on_unknown,  # type: ignore[arg-type]  # the tokenizer refuses what is neither
        load_state=load_state,
        save_state=save_state,
        show=shown.show,
    )
    if as_json:
        say_json({"prompt": prompt, **written})
    else:
        shown.end()


class _Shown:
    """The text as it is written: what stdout does not take must not cost the state that is saved at
    the end.

    Args:
        quiet: print nothing.
        needed: the text is written to its end though nobody can read it.
    """

    def __init__(self, *, quiet: bool, needed: bool) -> None:
        self._quiet, self._needed = quiet, needed
        self._failure: StorageError | None = None

    def show(self, piece: str) -> None:
        """Print a piece; raise once it is of no use to go on."""
        if self._quiet or self._failure is not None:
            return
        try:
            stream(piece)
        except StorageError as error:
            if not self._needed:
                raise
            self._failure = error
        if reader_gone() and not self._needed:
            raise typer.Exit(0)

    def end(self) -> None:
        """End the line; raise StorageError where the text could not be written."""
        self.show("\n")
        if self._failure is not None:
            raise self._failure
