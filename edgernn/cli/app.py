"""The application: its commands, and how errors become one line and an exit code.

Exit codes: 0 true or done; 1 a check failed; 2 misuse or bad input; 130 interrupted by Ctrl-C, with
everything saved; 143 and 129 ended by SIGTERM and SIGHUP.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NoReturn

import typer

import edgernn
from edgernn.cli import (
    ask,
    batch,
    bench,
    bundle_commands,
    caption,
    card,
    cells,
    classify,
    demo,
    doctor,
    explain,
    generate,
    import_command,
    paint,
    pull,
    push,
    sign,
    streams,
    tag,
    train,
    translate,
    verify,
)
from edgernn.cli.named import by_option, options_of, refuse_twice
from edgernn.cli.output import say, tell, tell_error
from edgernn.cli.signals import unwinding
from edgernn.errors import CheckFailedError, EdgernnError, EdgernnWarning, UsageError
from edgernn.formats.installed import install_command

FAILED, MISUSE, INTERRUPTED = 1, 2, 130
# What the option parser raises, whichever parser this version of typer brings.
_CommandLineError: type[Exception] = next(
    kind
    for kind in typer.BadParameter.__mro__
    if issubclass(kind, Exception) and kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="edgernn",
    help=(
        "Take a trained recurrent network to the edge: train, export, verify, and run it step by "
        "step."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(train.app, name="train")
app.command("import")(import_command.import_checkpoint)
app.command("export")(bundle_commands.export)
app.command("verify")(verify.verify)
app.command("generate")(generate.generate)
app.command("translate")(translate.translate)
app.command("caption")(caption.caption)
app.command("ask")(ask.ask)
app.command("paint")(paint.paint)
app.command("tag")(tag.tag)
app.command("classify")(classify.classify)
app.command("batch")(batch.batch)
app.command("cells")(cells.cells)
app.command("bench")(bench.bench)
app.command("explain")(explain.explain)
app.command("inspect")(bundle_commands.inspect)
app.command("sign")(sign.sign)
app.command("card")(card.card)
app.command("push")(push.push)
app.command("pull")(pull.pull)
app.command("doctor")(doctor.doctor)
app.add_typer(demo.app, name="demo")


def _version(shown: bool) -> None:
    if shown:
        say(f"edgernn {edgernn.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before any command."""


def main() -> None:
    """Run the command line and leave with its exit code; an error is one line on stderr."""
    with unwinding(), streams.guarded(), warnings.catch_warnings():
        warnings.simplefilter("always", EdgernnWarning)
        warnings.showwarning = partial(_show_warning, warnings.showwarning)
        code = _outcome()
    _leave(code)


def _show_warning(
    otherwise: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any
) -> None:
    """Print one of edgernn's own as one line, any other as Python does."""
    if issubclass(category, EdgernnWarning):
        tell(f"edgernn: note: {message}")
    else:
        otherwise(message, category, *place)


def _leave(code: int) -> NoReturn:
    """End the process. One of several that ``torchrun`` started ends at once: the threads of its
    process group outlive ``destroy_process_group`` where a module was wrapped, and one of them that
    frees a tensor while the interpreter ends aborts the process (pytorch/pytorch#179291).
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


def _outcome() -> int:
    """Run the command that was asked for; return its exit code."""
    try:
        refuse_twice(typer.main.get_command(app), sys.argv[1:])
        code = app(prog_name="edgernn", standalone_mode=False)
        sys.stdout.flush()
    except (
        EdgernnError,
        ModuleNotFoundError,
        MemoryError,
        OSError,
        RuntimeError,
        _CommandLineError,
    ) as error:
        told = _told(error)
        if told is None:
            raise
        tell_error(told)
        return FAILED if isinstance(error, CheckFailedError) else MISUSE
    except (KeyboardInterrupt, typer.Abort):
        tell("edgernn: interrupted")
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _told(error: Exception) -> str | None:
    """Return what a person is told of an error; None of one that is a fault of edgernn itself."""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").split(".")[0]
        if package == "edgernn":
            return None
        return (
            f"this command needs the package {package!r}, which is not installed; run: "
            f"{install_command('all')}"
        )
    if _is_out_of_memory(error):
        figures = f" ({error})" if str(error) else ""
        return (
            f"out of memory{figures}; take smaller sizes or batches, or a machine with more memory"
        )
    if isinstance(error, OSError) and not isinstance(error, EdgernnError):
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror or error}"
    if isinstance(error, RuntimeError) and not isinstance(error, EdgernnError):
        return None
    return _usage(error) if isinstance(error, _CommandLineError) else _by_option(error)


def _by_option(error: Exception) -> str:
    """Return what an error says; of an argument, as the option that gave it."""
    if not isinstance(error, UsageError):
        return str(error)
    return by_option(str(error), options_of(typer.main.get_command(app), sys.argv[1:]))


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says so: torch has a class of its own for a GPU, and only words for
    the CPU.
    """
    words = "can't allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and words)


def _usage(error: Any) -> str:
    """Return what is wrong with the command line, and which help to read."""
    context = getattr(error, "ctx", None)
    wrong = (
        "no command given"
        if type(error).__name__ == "NoArgsIsHelpError"
        else str(error.format_message()).rstrip(".")
    )
    joint = "" if wrong.endswith("?") else ";"
    return wrong if context is None else f"{wrong}{joint} see: {context.command_path} --help"
