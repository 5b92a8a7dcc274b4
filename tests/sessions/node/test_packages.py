"""Where node and its packages are looked for, and what is said where they lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgernn.errors import UnavailableError
from edgernn.sessions.node.packages import VARIABLE, find_node, find_package

from .conftest import MakePackage

NAME = "onnxruntime-web"


def test_a_package_is_found_by_any_folder_that_a_user_may_name(
    make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_package("")
    for folder in (made.place, made.place.parent, made.place / NAME):
        found = find_package(NAME, folder)
        assert (found.version, found.place) == ("9.9.9", made.place.resolve())
    monkeypatch.setenv(VARIABLE, str(made.place))
    assert find_package(NAME, None).version == "9.9.9"


def test_a_folder_without_it_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where nothing is looked for
    with pytest.raises(UnavailableError, match="npm install --ignore-scripts onnxruntime-web"):
        find_package(NAME, tmp_path / "none")
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "package.json").write_text('{"name": "another"}')
    with pytest.raises(UnavailableError, match="has no package onnxruntime-web"):
        find_package(NAME, tmp_path)


def test_without_node_it_is_said_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UnavailableError, match=r"needs Node.js 18 or newer, which is not installed"
    ):
        find_node()
    node = tmp_path / "node"
    for told, wanted in (("v16.1.0", "is version 16"), ("nonsense", "does not run")):
        node.write_text(f"#!/bin/sh\necho {told}\n")
        node.chmod(0o755)
        from edgernn.sessions.node import packages

        packages._version.cache_clear()
        with pytest.raises(UnavailableError, match=wanted):
            find_node()
    packages._version.cache_clear()
