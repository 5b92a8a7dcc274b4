"""A bundle's manifest, the files of its step in C and its recorded run: none is used whose digest
is another.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

FORMAT, GRAPH = "c", "step"
SOURCES = ("step.h", "step.c", "step.weights.S", "step.weights.bin")
AGAIN = "copy or export the bundle again"


class BundleError(Exception):
    """What was wrong, the value seen, what was expected, what to do: one line."""


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


def find_artifact(manifest: dict[str, Any], precision: str) -> dict[str, Any]:
    """Return the step in C of ``precision``; of an empty one, the first that there is."""
    for artifact in manifest["artifacts"]:
        is_step = artifact["format"] == FORMAT and artifact["graph"] == GRAPH
        judged = artifact.get("tolerance") is not None
        if is_step and judged and precision in ("", artifact["precision"]):
            return dict(artifact)
    formats = sorted({f"{each['format']} {each['precision']}" for each in manifest["artifacts"]})
    wanted = f"c {precision}".strip()
    more = f" --precision {precision}" if precision else ""
    raise BundleError(
        f"the bundle has {', '.join(formats)}, expected {wanted}; edgernn export RUN --to c{more}"
    )


def read_folder(bundle: Path, artifact: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of an artifact, compared with its digest: of the list of its files."""
    folder = _inside(bundle, artifact["path"])
    if not folder.is_dir():
        raise BundleError(f"there is no {artifact['path']} in {bundle}; {AGAIN}")
    files = {path.name: _read(path) for path in sorted(folder.iterdir())}
    listing = "".join(
        f"{hashlib.sha256(held).hexdigest()}  {name}\n" for name, held in sorted(files.items())
    )
    _compare(artifact["path"], artifact, listing.encode())
    missing = [name for name in SOURCES if name not in files]
    if missing:
        raise BundleError(f"{artifact['path']} has no {missing[0]}, expected it; {AGAIN}")
    return files


def read_listed(bundle: Path, manifest: dict[str, Any], inner: str | None) -> bytes:
    """Return a file of the bundle, compared with its digest."""
    if inner is None or inner not in manifest["files"]:
        raise BundleError("the bundle has no recorded run, expected golden.safetensors; " + AGAIN)
    content = _read(_inside(bundle, inner))
    _compare(inner, manifest["files"][inner], content)
    return content


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
