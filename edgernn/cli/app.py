"""The application: its commands, and how errors become one line and an exit code.

Exit codes: 0 true or done; 1 a check failed; 2 misuse or bad input; 130 interrupted by Ctrl-C, with everything saved.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import edgernn
from edgernn.cli import bench, bundle_commands, caption, demo, doctor, generate, train
from edgernn.errors import EdgernnError

MISUSE, INTERRUPTED = 2, 130

app = typer.Typer(
    name="edgernn",
    help="Take a trained recurrent network to the edge: train, export, verify, and run it step by step.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(train.app, name="train")
app.command("export")(bundle_commands.export)
app.command("verify")(bundle_commands.verify)
app.command("generate")(generate.generate)
app.command("caption")(caption.caption)
app.command("bench")(bench.bench)
app.command("inspect")(bundle_commands.inspect)
app.command("doctor")(doctor.doctor)
app.add_typer(demo.app, name="demo")


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"edgernn {edgernn.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Options before any command."""


def main() -> None:
    """Run the command line; print an edgernn error as one line on stderr."""
    try:
        app(prog_name="edgernn")
    except EdgernnError as error:
        sys.stderr.write(f"edgernn: error: {' '.join(str(error).split())}\n")
        raise SystemExit(MISUSE) from None
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package == "edgernn":
            raise
        told = f"this command needs the package {package!r}, which is not installed; run: pip install 'edgernn[all]'"
        sys.stderr.write(f"edgernn: error: {told}\n")
        raise SystemExit(MISUSE) from None
    except KeyboardInterrupt:
        sys.stderr.write("edgernn: interrupted\n")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:  # whoever read our output has gone: that is no error of ours
        sys.stderr.close()
        raise SystemExit(0) from None
