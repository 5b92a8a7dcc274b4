"""``edgernn doctor``: what this machine can train, export and run."""

from __future__ import annotations

import os
import platform
from typing import Annotated, Any

import typer

import edgernn
from edgernn.cli.output import say, say_json, say_sheet
from edgernn.cli.sheets import Sheet

_BASE = ("numpy", "onnxruntime", "tokenizers", "safetensors", "pydantic")
_PACKAGES = (*_BASE, "pillow", "matplotlib", "torch", "pycocoevalcap", "onnx", "coremltools")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Show what this machine can train, export and run, and what to install for the rest."""
    found = examine()
    if as_json:
        say_json(found)
        return
    say(f"edgernn {found['edgernn']} · Python {found['python']} · {found['platform']} · {found['cores']} cores")
    say("packages: " + ", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items()))
    rows = [(name, row["export"], row["run"]) for name, row in found["formats"].items()]
    say_sheet(Sheet(("format", "export", "run"), rows))


def examine() -> dict[str, Any]:
    """Return versions, and for each format whether it can be exported and run here, or what it lacks."""
    from edgernn.formats import FORMATS

    return {
        "edgernn": edgernn.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "formats": {
            name: {
                "export": _usable(row.exporter or "", row.export_extra),
                "run": _usable(row.session, row.run_extra) if _runs_here(row.family) else "needs macOS",
            }
            for name, row in FORMATS.items()
        },
    }


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _usable(target: str, extra: str | None) -> str:
    from edgernn.errors import UnavailableError
    from edgernn.formats import resolve

    try:
        resolve(target, needed_for="this", extra=extra)
    except UnavailableError as error:
        return str(error).split("; ")[-1]
    return "yes"


def _runs_here(family: str) -> bool:
    return family != "coreml" or platform.system() == "Darwin"
