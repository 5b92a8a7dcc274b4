"""``edgernn generate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def generate(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a folder or a .edgernn file.")],
    prompt: Annotated[str, typer.Option(help="The text to go on from.")] = "",
    length: Annotated[int, typer.Option(min=0, help="Tokens to write.")] = 300,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy; default the bundle's.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Keep the k most probable tokens; 0 keeps all.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Keep tokens up to this probability; 1 keeps all.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same text.")] = 0,
    stop: Annotated[str | None, typer.Option(help="End after a token with this text.")] = None,
    artifact: Annotated[str | None, typer.Option(help="A path or format in the bundle; default ONNX.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads that share a step; default the runtime's.")] = None,
    on_unknown: Annotated[str, typer.Option(help="A prompt character the model lacks: error or skip.")] = "error",
    load_state: Annotated[Path | None, typer.Option(help="Go on from this saved state.")] = None,
    save_state: Annotated[Path | None, typer.Option(help="Save the state after the last token here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print prompt, text and tokens as JSON.")] = False,
) -> None:
    """Write text from a bundle, step by step, on the runtime of the artifact."""
    from edgernn.decoding.writer import write_text

    def show(piece: str) -> None:
        if not as_json:
            sys.stdout.write(piece)
            sys.stdout.flush()

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
        on_unknown=on_unknown,  # type: ignore[arg-type]  # the tokenizer refuses what is neither
        load_state=load_state,
        save_state=save_state,
        show=show,
    )
    typer.echo(json.dumps({"prompt": prompt, **written}, indent=2, ensure_ascii=False) if as_json else "")
