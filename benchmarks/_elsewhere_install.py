"""Installing foreign runtimes, each into an environment of its own."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from _elsewhere import Runtime

_INSTALL_SECONDS = 900
_LONGEST_LINE = 200


class InstallError(Exception):
    """An environment could not be made; says why in one line."""


def environment(runtime: Runtime, folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the place where the runtime is installed, and package → version. It is made at the
    first use, and shared by those whose packages are the same.

    Raises:
        InstallError: no Python of the version, or pip or npm failed.
    """
    key = repr((runtime.packages, runtime.bare, runtime.python, runtime.npm)).encode()
    place = folder / f"{runtime.name.split('-')[0]}-{hashlib.sha256(key).hexdigest()[:8]}"
    done = place / "versions.json"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        versions = (_npm if runtime.npm else _pip)(runtime, place)
        done.write_text(json.dumps(versions))
    found: dict[str, str] = json.loads(done.read_text())
    return place, found


def _pip(runtime: Runtime, place: Path) -> dict[str, str]:
    _called([_python(runtime.python), "-m", "venv", str(place)])
    pip = [str(place / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    _called([*pip, "install", "--quiet", "numpy", *runtime.packages])
    if runtime.bare:
        _called([*pip, "install", "--quiet", "--no-deps", *runtime.bare])
    found = {entry["name"].lower(): entry["version"] for entry in
             json.loads(_called([*pip, "list", "--format=json"]))}  # fmt: skip
    asked = (*runtime.bare, *runtime.packages)
    named = (re.split(r"[=<>~\[;]", package)[0].lower() for package in asked)
    return {name: found[name] for name in named if name in found}


def _npm(runtime: Runtime, place: Path) -> dict[str, str]:
    if shutil.which("npm") is None:
        raise InstallError("npm is not on the path")
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    _called(["npm", "install", "--prefix", str(place), *quiet, *runtime.packages])
    return dict(package.rsplit("@", 1) for package in runtime.packages)


def _python(version: str) -> str:
    """Return a Python of a version, which may be one of pyenv's that is not switched on."""
    if version in {"", f"{sys.version_info[0]}.{sys.version_info[1]}"}:
        return sys.executable
    shims = Path(shutil.which("pyenv") or "/nowhere").resolve().parents[1] / "versions"
    found = [*sorted(shims.glob(f"{version}*/bin/python"), reverse=True), f"python{version}"]
    for program in map(str, found):
        with suppress(OSError):
            if not subprocess.run([program, "-V"], capture_output=True, check=False).returncode:
                return program
    raise InstallError(f"it needs Python {version}, which is not here")


def _called(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"installing took more than {_INSTALL_SECONDS} s") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        told = [line for line in lines if "error" in line.lower()] or lines
        raise InstallError(shortened(told[0]))
    return done.stdout


def shortened(line: str) -> str:
    """Return a line of a foreign message without places of this machine, not too long."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
    line = re.sub(r"(?:file://)?/?(?:[\w.+@~-]+/){2,}([\w.+@-]+)", r"\1", line)
    line = re.sub(r"0x[0-9a-fA-F]{4,}", "0x…", line)
    line = re.sub(r"https?://\S+", "…", line)
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1].rstrip() + "…"
