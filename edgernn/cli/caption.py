"""``edgernn caption``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn import plots
from edgernn.cli.choices import TrustOption
from edgernn.cli.output import progress_console, say_json, stream, tell, tell_error
from edgernn.cli.shown import visible
from edgernn.cli.streams import reader_gone
from edgernn.errors import DataError, UsageError

if TYPE_CHECKING:
    from edgernn.writing.captions import Caption, CaptionWriter

_UNREADABLE = 2
_BEAM = 3


def caption(
    bundle: Annotated[
        Path, typer.Argument(help="A captioner's bundle: a folder or a .edgernn file.")
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures of any common format, or folders of them; features of them, in npz, npy "
            "or safetensors, where the model takes those."
        ),
    ],
    beam: Annotated[
        int | None, typer.Option(min=1, help="Beams of the search (default 3); 1 is greedy.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Sample at this temperature instead of searching.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampling.")] = 0,
    attention_map: Annotated[
        Path | None,
        typer.Option(help="Draw where the model looked for each word: .png, .pdf or .svg."),
    ] = None,
    artifact: Annotated[
        str | None, typer.Option(help="A step file or format in the bundle; default ONNX.")
    ] = None,
    trust: TrustOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON per picture.")
    ] = False,
) -> None:
    """Say what is on pictures. One that cannot be read is told, the others are captioned, and the
    exit code is 2.
    """
    from edgernn.decoding.sampling import Sampler
    from edgernn.writing.captions import CaptionWriter

    if beam is not None and temperature is not None:
        raise UsageError("--beam searches and --temperature samples; give one of them")
    sampler = None if temperature is None else Sampler(temperature=temperature)
    failed = 0
    with CaptionWriter(bundle, artifact=artifact, trust=trust) as writer:
        paths = _expand(images, writer)
        if attention_map is not None:
            _check_map(attention_map, paths, writer, bundle)
        with _bar(len(paths)) as advance:
            for path in paths:
                try:
                    found = writer.write_all(path, beam=beam or _BEAM, sampler=sampler, seed=seed)
                except DataError as error:
                    failed += 1
                    _print_failure(path, error, as_json=as_json)
                else:
                    _print_captions(
                        path, found, writer.artifact.path, as_json=as_json, alone=len(paths) == 1
                    )
                    _draw(found[0], attention_map)
                advance()
                if reader_gone():
                    break
    if failed and len(paths) > 1:
        tell(f"{failed} of {len(paths)} pictures could not be read")
    if failed:
        raise typer.Exit(_UNREADABLE)


def _expand(images: list[Path], writer: CaptionWriter) -> list[Path]:
    """Return the files meant: files as given, folders as what is to be captioned below them."""
    paths: list[Path] = []
    for image in images:
        found = writer.files_in(image) if _is_folder(image) else [image]
        if not found:
            what = "picture" if writer.sees_pictures else "file of features"
            raise UsageError(f"{image} holds no {what}; give another folder, or files")
        paths += found
    return paths


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no disk takes: opening it says what is wrong
        return False


def _check_map(target: Path, paths: list[Path], writer: CaptionWriter, bundle: Path) -> None:
    """Raise before any picture is captioned where the map could not be drawn."""
    if not writer.sees_pictures:
        raise UsageError(
            f"--attention-map draws on a picture, and {bundle} sees features; use --json, which "
            "tells the weights"
        )
    if len(paths) != 1:
        raise UsageError(f"--attention-map draws one picture, {len(paths)} were given")
    if target.resolve() == paths[0].resolve():
        raise UsageError(
            f"--attention-map {target} is the picture itself; give the name of another file"
        )
    plots.check_available(target)
    if not writer.has_attention:
        raise UsageError(
            f"{bundle} has no attention, so there is no map of it; leave --attention-map out"
        )


def _draw(found: Caption, target: Path | None) -> None:
    if target is not None and found.attention is not None and found.picture is not None:
        plots.attention_map(found.picture, found.text.split(), found.attention, target)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal where there are several pictures; what is yielded moves it on by
    one.

    Lines that are printed meanwhile go above the bar, where they go to a terminal too.
    """
    from rich.progress import Progress

    console = progress_console()
    hidden = total == 1 or not console.is_terminal
    with Progress(
        console=console, transient=True, disable=hidden, redirect_stdout=sys.stdout.isatty()
    ) as progress:
        task = progress.add_task("captioning", total=total)
        yield lambda: progress.advance(task)


def _print_captions(
    path: Path, captions: list[Caption], artifact: str, *, as_json: bool, alone: bool
) -> None:
    for row, found in enumerate(captions):
        several = len(captions) > 1
        if as_json:
            place = {"row": row} if several else {}
            said = {"image": str(path), **place, **found.to_record(), "artifact": artifact}
            say_json(said, indent=None)
        else:
            name = f"{visible(str(path))}[{row}]" if several else visible(str(path))
            stream((found.text if alone and not several else f"{name}\t{found.text}") + "\n")


def _print_failure(path: Path, error: DataError, *, as_json: bool) -> None:
    tell_error(str(error))
    if as_json:
        say_json({"image": str(path), "error": " ".join(str(error).split())}, indent=None)
