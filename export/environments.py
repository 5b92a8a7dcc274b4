"""Environments of their own for converters whose packages do not go with edgernn's: a virtual
environment each, in the user's cache, made by ``edgernn doctor --make NAME``.

Each is kept under the digest of its lock file and the version of Python, so that another lock is
another environment. It is made beside its place and renamed when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgernn import storage
from edgernn.errors import StorageError, UnavailableError, UsageError
from edgernn.storage import cache
from edgernn.wording import expected_one_of

_HERE = Path(__file__).resolve().parent
_SECONDS = 3600
_NO_SPACE = "No space left on device"
_FAILURES = ("error", "not created", _NO_SPACE.lower())
# what a process needs of its surroundings: to find programs, a home, a scratch folder, and letters
_PLAIN = ("PATH", "HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL", "SYSTEMROOT")
# and pip beside that: where packages are, and whom to trust
_TO_INSTALL = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "HTTP_", "HTTPS_", "NO_PROXY", "ALL_PROXY")
_CONFIGURED = ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_CACHE_HOME", "APPDATA", "NETRC")


@dataclass(frozen=True)
class Environment:
    """One row of the table.

    Attributes:
        name: what ``edgernn doctor --make`` takes.
        purpose: what it is for, in words.
        lock: the file beside this one with a version for every package: ``NAME==VERSION`` a line.
        packages: those that are asked for; the rest is what they bring.
        disk_bytes: what it takes, about.
    """

    name: str
    purpose: str
    lock: str
    packages: tuple[str, ...]
    disk_bytes: int

    @property
    def lock_file(self) -> Path:
        """The lock file's place."""
        return _HERE / self.lock

    @property
    def command(self) -> str:
        """The command that makes it."""
        return f"edgernn doctor --make {self.name}"


ENVIRONMENTS = {
    row.name: row
    for row in (
        Environment(
            "litert",
            "converting to LiteRT",
            "to_litert/litert.lock",
            ("litert-torch", "torch"),
            2_300_000_000,
        ),
    )
}


def by_name(name: str) -> Environment:
    """Return the row ``name``; raise UsageError naming the known ones."""
    if name not in ENVIRONMENTS:
        raise UsageError(f"unknown environment {name!r}; {expected_one_of(name, ENVIRONMENTS)}")
    return ENVIRONMENTS[name]


def folder_of(name: str) -> Path:
    """Return where the environment ``name`` is, or would be, with this Python.

    Raises:
        StorageError: the user has no home, and so no cache.
    """
    row = by_name(name)
    version = f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))} {sys.platform}"
    digest = hashlib.sha256(row.lock_file.read_bytes() + version.encode()).hexdigest()
    try:
        return cache.cache_folder("environments") / f"{name}-{digest[:16]}"
    except RuntimeError as error:
        raise StorageError(
            f"the environment {name} has no place: {error}; set XDG_CACHE_HOME to a folder"
        ) from error


def find(name: str) -> Path | None:
    """Return the Python of the environment ``name``; None where it is not made, or is not only
    ours to write.
    """
    folder = folder_of(name)
    python = _python_in(folder)
    return python if python.exists() and cache.is_ours(folder) else None


def python_of(name: str) -> Path:
    """Return the Python of the environment ``name``.

    Raises:
        UnavailableError: it is not made; says the command that makes it.
    """
    found = find(name)
    if found is None:
        row = by_name(name)
        raise UnavailableError(
            f"{row.purpose} needs an environment of its own, which is not made yet; run: "
            f"{row.command}"
        )
    return found


def make(name: str, tell: Callable[[str], None]) -> Path:
    """Make the environment ``name`` where it is not made yet; return its Python.

    ``tell`` is given lines of progress.

    Raises:
        StorageError: there is no room for it, or its place belongs to another user.
        UnavailableError: this Python makes no environments, or a package cannot be had.
    """
    row, folder = by_name(name), folder_of(name)
    if (found := find(name)) is not None:
        tell(f"the environment {name} is made already: {folder}")
        return found
    _prepare(folder, row)
    tell(f"making the environment {name} in {folder}; it takes {_gigabytes(row.disk_bytes)}")
    with storage.replacing(folder) as temporary:
        _ran([sys.executable, "-m", "venv", str(temporary)], row, tell, "make")
        command = [str(_python_in(temporary)), "-I", "-m", "pip", "install"]
        command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        command += ["--constraint", str(row.lock_file), *_pinned(row)]
        _ran(command, row, tell, "fill")
    tell(f"the environment {name} is made")
    return python_of(name)


def run(name: str, arguments: Iterable[str], *, seconds: int) -> subprocess.CompletedProcess[str]:
    """Run Python with ``arguments`` in the environment ``name``, apart from this one's variables.

    Raises:
        UnavailableError: it is not made, does not start, or takes longer than ``seconds``.
    """
    command = [str(python_of(name)), "-I", *arguments]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=_surroundings(),
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(
            f"the environment {name} does not work: {error}; remove {folder_of(name)} and run: "
            f"{by_name(name).command}"
        ) from error


def _prepare(folder: Path, row: Environment) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not cache.is_ours(folder.parent):
            raise StorageError(
                f"{folder.parent} may be written by others, and programs are run from it; change "
                "its permissions, or set XDG_CACHE_HOME to another folder"
            )
        free = shutil.disk_usage(folder.parent).free
    except OSError as error:
        raise StorageError(
            f"the environment {row.name} cannot be made: {storage.reason(error)}. "
            f"{storage.remedy(error)}"
        ) from error
    if free < row.disk_bytes:
        raise StorageError(
            f"the environment {row.name} takes {_gigabytes(row.disk_bytes)}, and the disk of "
            f"{folder.parent} has {_gigabytes(free)} left; free some, or set XDG_CACHE_HOME"
        )


def _ran(command: list[str], row: Environment, tell: Callable[[str], None], verb: str) -> None:
    """Run ``command``, telling what it says; raise where it fails."""
    last: deque[str] = deque(maxlen=40)
    try:
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=_surroundings(installing=True),
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                last.append(line.strip())
                if line.startswith(("Collecting", "Installing", "Building")):
                    tell(line.strip())
    except OSError as error:
        last.append(str(error))
        code = 1
    else:
        code = process.returncode
    if code:
        why = _reason(last)
        if _NO_SPACE in why:
            raise StorageError(f"the environment {row.name} cannot be made: {why}; free some space")
        raise UnavailableError(
            f"the environment {row.name} cannot be made: Python could not {verb} it: {why}; "
            f"nothing was left behind; put that right and run: {row.command}"
        )


def _reason(lines: Iterable[str]) -> str:
    """Return the line that says why something failed: the first that says so, or the last."""
    told = [line for line in lines if line and not line.startswith("WARNING")]  # tries of pip
    errors = [line for line in told if any(word in line.lower() for word in _FAILURES)]
    return (errors or told[-1:] or ["no reason"])[0]


def _pinned(row: Environment) -> list[str]:
    """Return the packages that are asked for, as the lock file has them."""
    lines = row.lock_file.read_text(encoding="utf-8").split()
    return [line for line in lines if line.split("==")[0] in row.packages]


def _surroundings(*, installing: bool = False) -> Mapping[str, str]:
    def wanted(name: str) -> bool:
        upper = name.upper()
        return upper in _PLAIN or (
            installing and (upper.startswith(_TO_INSTALL) or upper in _CONFIGURED)
        )

    return {name: value for name, value in os.environ.items() if wanted(name)}


def _python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
