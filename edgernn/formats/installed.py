"""How this copy of edgernn was installed, and so which command brings what it lacks.

A name alone, ``pip install edgernn[train]``, works only where the package came from an index. Pip
notes in ``direct_url.json`` where else a copy came from: a folder, a file, a repository.
"""

from __future__ import annotations

import json
import shlex
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "edgernn"
CONSTRAINTS = "constraints.txt"
_NO_WHEEL_FROM = {
    "coremltools": (3, 14)
}  # package → the first Python for which the tested version has no wheel


def install_command(extra: str | None) -> str:
    """Return the command that installs what ``extra`` brings; None is the base install."""
    wanted = f"[{extra}]" if extra else ""
    origin = _origin()
    folder = _folder(origin)
    if folder is not None:
        editable = "-e " if (origin or {}).get("dir_info", {}).get("editable") else ""
        if not (folder / "pyproject.toml").is_file():
            return (
                f"pip install -c {CONSTRAINTS} '.{wanted}' in a folder with the source of edgernn "
                f"({folder} has it no more)"
            )
        return (
            f"cd {shlex.quote(str(folder))} && pip install -c {CONSTRAINTS} {editable}'.{wanted}'"
        )
    if origin is not None and "url" in origin:
        return f"pip install '{NAME}{wanted} @ {_address(origin)}'"
    return f"pip install '{NAME}{wanted}'"


def lacks_wheel(package: str) -> str | None:
    """Say that ``package`` is not here because this Python has no wheel of it; None where it is
    here or could be.
    """
    told = without_wheel().get(package)
    return None if told is None or find_spec(package) is not None else f"{package} {told}"


def source() -> str:
    """Return in words where this copy came from."""
    origin = _origin()
    folder = _folder(origin)
    if folder is not None:
        editable = (origin or {}).get("dir_info", {}).get("editable")
        return f"{folder}, {'editable' if editable else 'copied'}"
    return _address(origin) if origin is not None and "url" in origin else "a package index"


def constraints() -> str | None:
    """Return the tested set of versions that came with this copy; None where it came with none."""
    here = Path(__file__).resolve().parent.parent  # edgernn/
    own = here / "tested" / CONSTRAINTS  # where a wheel puts it; a checkout has it at its root
    place = own if own.is_file() else here.parent / CONSTRAINTS
    return place.read_text(encoding="utf-8") if place.is_file() else None


def without_wheel(python: tuple[int, int] = sys.version_info[:2]) -> dict[str, str]:
    """Return the packages of the extras that have no wheel for a Python version, each with what to
    do about it.
    """
    told = "has no wheel for Python {}.{}; use Python {}.{} or older for what needs it"
    lacking = {package: first for package, first in _NO_WHEEL_FROM.items() if python >= first}
    return {
        package: told.format(*python, first[0], first[1] - 1) for package, first in lacking.items()
    }


def _origin() -> dict[str, Any] | None:
    """Return what ``direct_url.json`` says; None where the copy came from an index, or was never
    installed.
    """
    try:
        text = metadata.distribution(NAME).read_text("direct_url.json")
        found = json.loads(text) if text else None
    except (metadata.PackageNotFoundError, ValueError):
        return _checkout()
    return found if isinstance(found, dict) else None


def _checkout() -> dict[str, Any] | None:
    """Return the origin of a copy that runs from its checkout without being installed."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / "pyproject.toml").is_file():
        return None
    return {"url": root.as_uri(), "dir_info": {"editable": True}}


def _folder(origin: dict[str, Any] | None) -> Path | None:
    if origin is None or "dir_info" not in origin:
        return None
    return Path(unquote(urlsplit(str(origin.get("url", ""))).path))


def _address(origin: dict[str, Any]) -> str:
    """Return the address without what may be a password in it."""
    parts = urlsplit(str(origin["url"]))
    host = parts.netloc.rsplit("@", 1)[-1]
    version_control = origin.get("vcs_info", {})
    scheme = (
        f"{version_control['vcs']}+{parts.scheme}" if "vcs" in version_control else parts.scheme
    )
    commit = f"@{version_control['commit_id']}" if "commit_id" in version_control else ""
    return f"{scheme}://{host}{parts.path}{commit}"
