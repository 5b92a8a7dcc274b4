"""What the tests of packages of npm need: node, the packages of the examples, and false ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.errors import UnavailableError
from edgernn.sessions.node.packages import Package, find_package

MakePackage = Callable[..., Package]


def real(name: str) -> Package:
    """Return a package of the examples; skip where it, or node, is not here."""
    if shutil.which("node") is None:
        pytest.skip("there is no node")
    try:
        return find_package(name, None)
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def make_package(tmp_path: Path) -> MakePackage:
    """Make a package whose ``create(bytes)`` is ``code``, of JavaScript; its folder may read that
    of the real one.
    """
    if shutil.which("node") is None:
        pytest.skip("there is no node")

    def make(code: str, name: str = "onnxruntime-web") -> Package:
        place = tmp_path / "node_modules"
        (place / name).mkdir(parents=True)
        told = {"name": name, "version": "9.9.9", "main": "index.js"}
        (place / name / "package.json").write_text(json.dumps(told))
        (place / name / "index.js").write_text(
            f"exports.env = {{ wasm: {{}} }};\n"
            f"exports.InferenceSession = {{ create: async (bytes) => {{ {code} }} }};\n"
        )
        return Package(name, "9.9.9", place)

    return make
