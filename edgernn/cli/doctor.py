"""``edgernn doctor``: what this machine can train, export and run, and all that a bug report
needs.
"""

from __future__ import annotations

import os
import platform
from typing import Annotated, Any

import typer

import edgernn
from edgernn.cli.output import say, say_json, say_sheet, stream, tell
from edgernn.cli.sheets import Sheet
from edgernn.errors import UnavailableError
from edgernn.formats import installed

_BASE = ("numpy", "onnxruntime", "tokenizers", "safetensors", "pydantic", "rich", "typer")
_EXTRAS = ("pillow", "matplotlib", "huggingface_hub", "model-signing", "torch", "pycocoevalcap")


def doctor(
    constraints: Annotated[
        bool, typer.Option("--constraints", help="Print the tested versions, for pip install -c.")
    ] = False,
    make: Annotated[
        str | None,
        typer.Option("--make", help="Make a converter's environment of its own: litert."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what this machine can train, export and run, and what to install for the rest; paste it
    into bug reports.
    """
    if constraints:
        _say_constraints()
        return
    if make is not None:
        from edgernn.export import environments

        environments.make(make, tell)
        return
    found = examine()
    if as_json:
        say_json(found)
        return
    say(f"edgernn {found['edgernn']}, from {found['source']}")
    say(
        f"Python {found['python']}, {found['platform']}, {found['machine']}, {found['cores']} cores"
    )
    say(
        "packages: "
        + ", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items())
    )
    for package, told in found["without_wheel"].items():
        say(f"{package} {told}")
    say()
    rows = [(name, row["export"], row["run"]) for name, row in found["formats"].items()]
    say_sheet(Sheet(("format", "export", "run"), rows))
    for extra, command in found["to_install"].items():
        say(f"the extra {extra}: {command}")
    for name, row in found["environments"].items():
        state = "made" if row["made"] else f"not made; make it with: {row['command']}"
        say(f"the environment {name}, for {row['purpose']}: {state}")


def _say_constraints() -> None:
    text = installed.constraints()
    if text is None:
        raise UnavailableError(
            "this copy of edgernn came without constraints.txt; take it from where the copy "
            "came from"
        )
    stream(text)


def examine() -> dict[str, Any]:
    """Return versions, and for each format whether it can be exported and run here, or which extra
    it lacks.
    """
    from edgernn.formats import FORMATS

    formats, lacking, made = {}, set(), _environments()
    for name, row in FORMATS.items():
        export = _usable(row.exporter or "", row.export_extra)
        if export == "yes" and not (row.environment is None or made[row.environment]["made"]):
            export = f"lacks the environment {row.environment}"
        elsewhere = row.needs_platform()
        run = f"needs {elsewhere}" if elsewhere else _usable(row.session, row.run_extra)
        if run == "yes" and row.lacking is not None and (lacked := _lacked(row.lacking)):
            run = f"lacks {lacked}"
        formats[name] = {"export": export, "run": run}
        lacking |= {
            extra
            for extra, said in ((row.export_extra, export), (row.run_extra, run))
            if extra and said.endswith(f"(the extra {extra})")
        }
    needed = [package for row in FORMATS.values() for package in row.packages]
    return {
        "edgernn": edgernn.__version__,
        "source": installed.source(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in dict.fromkeys([*_BASE, *_EXTRAS, *needed])},
        "without_wheel": installed.without_wheel(),
        "formats": formats,
        "environments": made,
        "to_install": {extra: installed.install_command(extra) for extra in sorted(lacking)},
    }


def _environments() -> dict[str, dict[str, Any]]:
    """Return the environments of converters, each with what it is for, whether it is made, and the
    command that makes it.
    """
    from edgernn.export import environments

    return {
        name: {
            "purpose": row.purpose,
            "made": environments.find(name) is not None,
            "command": row.command,
        }
        for name, row in environments.ENVIRONMENTS.items()
    }


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _lacked(target: str) -> str | None:
    from edgernn.formats import resolve

    found: str | None = resolve(target, needed_for="this", extra=None)()
    return found


def _usable(target: str, extra: str | None) -> str:
    from edgernn.formats import resolve

    try:
        resolve(target, needed_for="this", extra=extra)
    except UnavailableError as error:
        cause = error.__cause__
        missing = (getattr(cause, "name", None) or "a package").split(".")[0]
        return f"lacks {missing}" + (f" (the extra {extra})" if extra else "")
    return "yes"
