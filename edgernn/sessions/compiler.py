"""The C compiler of this machine, or the one of PyPI's package ziglang, and libraries built with
it, kept in the user's cache.

A library is kept under the digest of its sources, of the compiler and of the flags, and is put
there whole or not at all: two processes that build the same one do not meet.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from edgernn import storage
from edgernn.errors import StorageError, UnavailableError
from edgernn.formats.installed import install_command
from edgernn.storage import cache

# No fused multiply-add, so that every compiler and optimisation level gives the same bits; no
# traps, so that gcc makes vectors of loops with limits in them.
FLAGS = ("-std=c99", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fPIC", "-shared")
# That no loop becomes a call of memcpy or memset.
_NO_CALLS = {"gcc": "-fno-tree-loop-distribute-patterns", "clang": "-fno-builtin"}
_KNOWN = ("gcc", "clang", "cc")
EXTRA = "compile"  # the pip extra that brings ziglang
_MODULE = "ziglang"
_SECONDS = 600
_FULL = os.strerror(errno.ENOSPC)
_MOST_KEPT = 128  # libraries


@dataclass(frozen=True)
class Compiler:
    """A compiler: its command, the flags that it takes, and what tells it and its machine from
    others.
    """

    command: tuple[str, ...]
    flags: tuple[str, ...]
    identity: str


def find_compiler() -> Compiler:
    """Return the compiler that the variable ``CC`` names, or gcc, clang, cc or ziglang's.

    Raises:
        UnavailableError: there is none, or none that works; says what brings one.
    """
    return _find(os.environ.get("CC", ""), os.environ.get("PATH", ""))


def lacking() -> str | None:
    """Return in words what this machine lacks; None where it has a compiler."""
    try:
        find_compiler()
    except UnavailableError:
        return "a C compiler"
    return None


@lru_cache(maxsize=8)
def _find(named: str, path: str) -> Compiler:
    known = [*((name,) for name in _KNOWN), *filter(None, [zig()])]
    candidates = _words(named) if named.strip() else known
    for command in candidates:
        if shutil.which(command[0]) is None:
            continue
        for native in (("-march=native",), ()):
            macros = _macros(command, native)
            if macros is not None:
                kind = "clang" if "__clang__" in macros else "gcc"
                digest = hashlib.sha256(macros.encode()).hexdigest()
                flags = (*FLAGS, *native, _NO_CALLS[kind])
                if _MODULE in command and sys.platform == "linux":
                    # without libc, of which zig would first build stubs, for seconds
                    flags = (*flags, "-nostdlib", "-ffreestanding")
                return Compiler(command, flags, digest)
    found = f"the variable CC names {named!r}, which does not work" if named.strip() else "none"
    raise UnavailableError(f"running c needs a C compiler, found {found}; {_advice()}")


def _words(named: str) -> list[tuple[str, ...]]:
    """Return the command that ``CC`` names; none where its quotes are not closed."""
    try:
        return [tuple(shlex.split(named))]
    except ValueError:
        return []


def zig() -> tuple[str, ...] | None:
    """Return the command of the C compiler in the package ziglang; None where it is not
    installed.
    """
    return (sys.executable, "-m", _MODULE, "cc") if find_spec(_MODULE) is not None else None


def _advice() -> str:
    return (
        "install one, as Debian's package gcc or clang, Fedora's gcc, or on macOS: xcode-select "
        f"--install; or the one that PyPI has: {install_command(EXTRA)}; or name it in the "
        "variable CC"
    )


def _macros(command: tuple[str, ...], native: tuple[str, ...]) -> str | None:
    """Return what the compiler defines by itself: its version and this machine's instructions; None
    where it does not work.
    """
    try:
        done = subprocess.run(
            [*command, *native, "-dM", "-E", "-x", "c", os.devnull],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 and "__STDC__" in done.stdout else None


def build(files: Mapping[str, bytes], compiler: Compiler) -> ctypes.CDLL:
    """Return the library of the C and assembly among ``files``, built unless it is kept already.

    Raises:
        StorageError: there is no room for it, neither in the cache nor in a scratch folder.
        UnavailableError: the compiler fails, and its first error is told; or what it makes is for
            another machine.
    """
    name = f"{_key(files, compiler)}.lib"
    try:
        root = cache_folder()
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not cache.is_ours(root):
            raise StorageError(f"{root} belongs to another user")
        return _kept(root / name, files, compiler)
    except (OSError, RuntimeError, StorageError):  # no home, a full disk, another user's folder
        place = _own_scratch() / name
        try:
            return _kept(place, files, compiler)
        except OSError as error:
            raise UnavailableError(
                f"what the compiler {_told(compiler.command)} makes does not load here: "
                f"{storage.reason(error)}; name one for this machine in the variable CC"
            ) from error


def load(path: Path) -> ctypes.CDLL:
    """Return the library at ``path``, out of a copy that nobody changes while it is loaded.

    Raises:
        UnavailableError: it cannot be read, or is for another machine.
    """
    place = _own_scratch() / f"{storage.sha256(path)}.lib"
    try:
        if not place.exists():
            storage.write_bytes(place, storage.read_bytes(path))
        return ctypes.CDLL(str(place))
    except OSError as error:
        raise UnavailableError(
            f"the library {path} does not load here: {storage.reason(error)}; compile the C beside "
            "it"
        ) from error


def cache_folder() -> Path:
    """Return where libraries are kept: ``$XDG_CACHE_HOME/edgernn/compiled``, below ``~/.cache``
    where that is not set.
    """
    return cache.cache_folder("compiled")


@lru_cache(maxsize=1)
def _own_scratch() -> Path:
    return storage.scratch_folder()


def _key(files: Mapping[str, bytes], compiler: Compiler) -> str:
    parts = [compiler.identity, *compiler.command, *compiler.flags]
    for name in sorted(files):
        parts += [name, hashlib.sha256(files[name]).hexdigest()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _kept(place: Path, files: Mapping[str, bytes], compiler: Compiler) -> ctypes.CDLL:
    for _ in range(2):  # another process may clear it away between the two
        if not _is_whole(place):  # a library that was cut would end the process
            _compile(place, files, compiler)
            storage.write_text(_digest_of(place), storage.sha256(place))
            _clear(place.parent, place)
        with suppress(OSError):
            os.utime(place)
            return ctypes.CDLL(str(place))
    return ctypes.CDLL(str(place))


def _digest_of(place: Path) -> Path:
    return place.with_suffix(".sha256")


def _is_whole(place: Path) -> bool:
    """Whether the library is there as it was built."""
    try:
        return _digest_of(place).read_text(encoding="utf-8") == storage.sha256(place)
    except (OSError, ValueError):
        return False


def _compile(place: Path, files: Mapping[str, bytes], compiler: Compiler) -> None:
    """Build the library at ``place``, whole or not at all."""
    sources = [name for name in sorted(files) if name.endswith((".c", ".S"))]
    with storage.replacing(place) as target:
        target.write_bytes(compiled((*compiler.command, *compiler.flags, *sources), files))


def compiled(
    command: Sequence[str], files: Mapping[str, bytes], *, name: str = "made", advice: str = ""
) -> bytes:
    """Return what ``command`` makes of ``files`` in a folder of its own; the option that says where
    it goes, ``name`` there, is added.

    Raises:
        OSError: the disk is full.
        UnavailableError: the compiler does not run or fails; tells its first error, and ``advice``.
    """
    advice = advice or _advice()
    with storage.scratch() as folder:
        for inner, content in files.items():
            (folder / inner).write_bytes(content)
        try:
            done = subprocess.run(
                [*command, "-o", name],
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(
                f"the compiler {_told(command)} does not run: {error}; {advice}"
            ) from error
        if done.returncode != 0 and _FULL in done.stderr:
            raise OSError(errno.ENOSPC, _FULL)
        if done.returncode != 0 or not (folder / name).exists():
            raise UnavailableError(
                f"the compiler {_told(command)} fails: {_first_error(done.stderr)}; {advice}"
            )
        return (folder / name).read_bytes()


def _told(command: Sequence[str]) -> str:
    return _MODULE if _MODULE in command else command[0]


def _first_error(told: str) -> str:
    """Return the line that says what is wrong; of a linker, which only then says that it failed,
    the line before.
    """
    lines = told.splitlines() or ["no reason"]
    errors = [at for at, line in enumerate(lines) if "error" in line.lower()]
    if not errors:
        return lines[0]
    first = errors[0]
    return lines[first - 1 if first and "ld returned" in lines[first] else first]


def _clear(root: Path, own: Path) -> None:
    """Leave the libraries that were used last."""
    with suppress(OSError):
        found = sorted(root.glob("*.lib"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in found[_MOST_KEPT:]:
            if path != own:
                storage.remove(path)
                storage.remove(_digest_of(path))
