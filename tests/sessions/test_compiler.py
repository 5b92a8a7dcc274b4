"""Compilers that are none, that fail, that make code for another machine, and disks that are full:
each is told in one line.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edgernn.errors import EdgernnError, StorageError, UnavailableError
from edgernn.export.to_c.options import Options
from edgernn.sessions import compiler

if compiler.lacking() is not None:
    pytest.skip("this machine has no C compiler", allow_module_level=True)
RIGHT = {"step.c": b"int net_step(void) { return 0; }\n"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgernn" / "compiled"


def refused(kind: type[EdgernnError], says: str, files: dict[str, bytes] | None = None) -> None:
    with pytest.raises(kind, match=says) as told:
        compiler.build(RIGHT if files is None else files, compiler.find_compiler())
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "named", ["gcc 'x", '"', "/", "gcc --no-such-option", "cat", "true", "a\tb"]
)
def test_a_variable_that_names_no_compiler(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", named)
    refused(
        UnavailableError, r"found the variable CC names .* which does not work; install one, as"
    )


def tool(path: Path, *lines: str) -> str:
    """Write a program that answers as a compiler until it is to compile."""
    asks = 'case "$*" in *-dM*) echo "#define __STDC__ 1"; exit 0;; esac'
    path.write_text("\n".join(["#!/bin/sh", asks, *lines]) + "\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize(
    ("lines", "kind", "says"),
    [
        (["echo 'x: note' >&2; echo 'step.c:1: error: odd' >&2; exit 1"], UnavailableError,
         r"^the compiler \S+cc fails: step.c:1: error: odd; install one"),
        (["exit 3"], UnavailableError, r"^the compiler \S+cc fails: no reason; install one"),
        (["exit 0"], UnavailableError, r"^the compiler \S+cc fails: no reason; install one"),
        (['while [ "$1" != -o ]; do shift; done', 'echo nonsense > "$2"'], UnavailableError,
         r"^what the compiler \S+cc makes does not load here: .*; name one for this machine"),
        ([f"echo 'cc1: fatal error: {os.strerror(errno.ENOSPC)}' >&2; exit 1"], StorageError,
         r"^could not write \S+: No space left on device; .* Free some space"),
    ],
)  # fmt: skip
def test_a_compiler_that_does_not_make_what_is_asked(
    lines: list[str],
    kind: type[EdgernnError],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cache: Path,
) -> None:
    monkeypatch.setenv("CC", tool(tmp_path / "cc", *lines))
    refused(kind, says)
    kept = [path.suffix for path in cache.iterdir()] if cache.exists() else []
    assert ".tmp" not in kept


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    own = compiler.find_compiler()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"No space left on device; .* Free some space"):
        compiler.build(RIGHT, replace(own, identity="not kept yet"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "1", '"net"', '{"activations": 9}', '{"activations": "16"}',
     '{"activations": true}', '{"activations": 16.0}', '{"prefix": null}', '{"prefix": "A"}',
     '{"prefix": "a;int main"}', '{"other": 1}', '{"activations": 16', "[" * 4000, "\ud800"],
)  # fmt: skip
def test_options_that_are_none(text: str) -> None:
    with pytest.raises(EdgernnError) as told:
        Options.read(text)
    assert "\n" not in str(told.value)
