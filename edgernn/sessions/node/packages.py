"""Where node and its packages lie, and what they are; nothing is looked for beside the places that
a user names and the examples of a checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import edgernn
from edgernn.contract import first_line
from edgernn.errors import UnavailableError
from edgernn.storage import strict_json

VARIABLE = "EDGERNN_NODE_MODULES"
_FOLDERS = {"onnxruntime-web": "web", "onnxruntime-node": "node"}  # of runtime_examples
_OLDEST = 18  # of node
_MODULES = "node_modules"
_SECONDS = 20


@dataclass(frozen=True)
class Package:
    """A package of npm as it lies here: its name, its version, and the folder that holds it."""

    name: str
    version: str
    place: Path


def find_node() -> tuple[str, tuple[int, int]]:
    """Return the path of node and its version, to the minor one.

    Raises:
        UnavailableError: there is none, or it is too old; says what brings one.
    """
    found = shutil.which("node")
    if found is None:
        raise UnavailableError(
            f"this needs Node.js {_OLDEST} or newer, which is not installed; install it, as "
            "Debian's package nodejs"
        )
    return found, _version(found)


@lru_cache(maxsize=8)
def _version(node: str) -> tuple[int, int]:
    try:
        done = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
        major, minor = map(int, done.stdout.strip().removeprefix("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UnavailableError(
            f"{node} does not run: {first_line(error)}; install Node.js {_OLDEST} or newer"
        ) from error
    if major < _OLDEST:
        raise UnavailableError(f"{node} is version {major}, expected {_OLDEST} or newer")
    return major, minor


def find_package(name: str, folder: Path | None) -> Package:
    """Return the package ``name`` of ``folder``, of the folder that the variable ``VARIABLE``
    names, or of the examples of this checkout.

    Raises:
        UnavailableError: it is in none of them; says what brings it.
    """
    named = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    for place in _places(name, named):
        if (package := _read(place, name)) is not None:
            return package
    where = f"{named} has no" if named else "there is no"
    raise UnavailableError(
        f"{where} package {name} of npm; run: npm install --ignore-scripts {name}, and name the "
        f"folder with --runtime-path or the variable {VARIABLE}"
    )


def _places(name: str, named: Path | None) -> list[Path]:
    """Return what may hold it: the folder that was named, else that of the examples."""
    if named is not None:
        return [named, named / _MODULES, named.parent]
    root = Path(edgernn.__file__).parents[1]
    return [root / "runtime_examples" / _FOLDERS[name] / _MODULES]


def _read(place: Path, name: str) -> Package | None:
    try:
        content = strict_json.parse_object((place / name / "package.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if content.get("name") != name:
        return None
    return Package(name, str(content.get("version", "of no version")), place.resolve())
