"""A bundle's manifest, the files of one of its graphs in C and its recorded run: none is used
whose digest is another.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT, GRAPH = "c", "step"
SUFFIXES = (".h", ".c", ".weights.S", ".weights.bin")
TEXT = ("text.h", "text.c", "tokens.c", "main.c")
GOLDEN = "golden.safetensors"
AGAIN = "copy or export the bundle again"


class BundleError(Exception):
    """What was wrong, the value seen, what was expected, what to do: one line."""


@dataclass(frozen=True)
class Stored:
    """A safetensors file; tensor → its dtype there, first byte and bytes."""

    content: bytes
    tensors: dict[str, tuple[str, int, int]]


def read_manifest(bundle: Path) -> dict[str, Any]:
    """Return the manifest, of version 2."""
    try:
        read: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
        version = read["schema_version"]
    except OSError as error:
        raise BundleError(
            f"there is no bundle {bundle}: {error.strerror}; give a bundle's folder"
        ) from error
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"manifest.json of {bundle} is no manifest ({error}); {AGAIN}") from error
    if version != 2:
        raise BundleError(
            f"manifest.json of {bundle} has schema_version {version!r}, expected 2; {AGAIN}"
        )
    return read


def step_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the step graph of the contract."""
    graphs: list[dict[str, Any]] = manifest["contract"]["graphs"]
    return next(graph for graph in graphs if graph["name"] == GRAPH)


def find_artifact(manifest: dict[str, Any], path: str | None) -> dict[str, Any]:
    """Return the step in C at ``path``; without one the first of the manifest."""
    steps = [a for a in manifest["artifacts"] if a["format"] == FORMAT and a["graph"] == GRAPH]
    for artifact in steps:
        if path in (None, artifact["path"]):
            if not 0 <= artifact["tolerance"] < 1e9:
                raise BundleError(f"{artifact['path']} has no tolerance, expected one; {AGAIN}")
            return dict(artifact)
    known = ", ".join(artifact["path"] for artifact in steps) or "no step in C"
    asked = "" if path is None else f" and not {path}"
    raise BundleError(f"the bundle has {known}{asked}; edgernn export RUN --to c makes one")


def read_sources(bundle: Path, artifact: dict[str, Any]) -> dict[str, bytes]:
    """Return what is compiled of an artifact, whose digest is that of the list of its files."""
    folder = _inside(bundle, artifact["path"])
    if not folder.is_dir():
        raise BundleError(f"there is no {artifact['path']} in {bundle}; {AGAIN}")
    files = {path.name: _read(path) for path in sorted(folder.iterdir())}
    listing = "".join(
        f"{hashlib.sha256(held).hexdigest()}  {name}\n" for name, held in sorted(files.items())
    )
    _compare(artifact["path"], artifact, listing.encode())
    names = [GRAPH + suffix for suffix in SUFFIXES]
    missing = [name for name in names if name not in files]
    if missing:
        raise BundleError(f"{artifact['path']} has no {missing[0]}, expected it; {AGAIN}")
    return {name: files[name] for name in names}


def read_recording(bundle: Path, manifest: dict[str, Any]) -> Stored:
    """Return the recorded run."""
    return _read_stored(bundle, manifest, manifest.get("golden"), GOLDEN)


def read_first(bundle: Path, manifest: dict[str, Any]) -> dict[str, bytes]:
    """Return the stored first values of states, by name."""
    words = manifest["contract"]["initial_state"]
    wanted = [name for name, word in words.items() if word == "stored"]
    if not wanted:
        return {}
    held = _read_stored(bundle, manifest, manifest.get("initial_state"), "initial_state")
    places = {name: held.tensors[name] for name in wanted}
    return {name: held.content[begin : begin + n] for name, (_, begin, n) in places.items()}


def read_text(bundle: Path, manifest: dict[str, Any]) -> dict[str, bytes]:
    """Return what writes text with the step, where the bundle has it, by name."""
    folder = f"{FORMAT}/text/"
    if folder + "captions.h" in manifest["files"]:
        return {}  # it writes by an encode graph, too
    found = {}
    for name in TEXT:
        if (inner := folder + name) in manifest["files"]:
            found[name] = _read(_inside(bundle, inner))
            _compare(inner, manifest["files"][inner], found[name])
    return found


def _read_stored(bundle: Path, manifest: dict[str, Any], inner: str | None, what: str) -> Stored:
    if inner is None or inner not in manifest["files"]:
        raise BundleError(f"the bundle has no {what}, expected it among its files; {AGAIN}")
    content = _read(_inside(bundle, inner))
    _compare(inner, manifest["files"][inner], content)
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        found = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            if not 0 <= begin <= end <= len(content) - start:
                raise ValueError(f"{name} lies outside the file")
            found[name] = (str(entry["dtype"]), start + begin, end - begin)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"{inner} is no safetensors file ({error}); {AGAIN}") from error
    return Stored(content, found)


def _inside(bundle: Path, inner: str) -> Path:
    if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*", inner) is None:
        raise BundleError(f"the manifest lists {inner!r}, expected a path inside the bundle")
    return bundle / inner


def _read(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{path} is no plain file, expected one; {AGAIN}")
    return path.read_bytes()


def _compare(name: str, expected: dict[str, Any], content: bytes) -> None:
    if (digest := hashlib.sha256(content).hexdigest()) != expected["sha256"]:
        raise BundleError(f"{name} has SHA-256 {digest}, expected {expected['sha256']}; {AGAIN}")
