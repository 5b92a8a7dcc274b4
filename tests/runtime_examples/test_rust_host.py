"""The host in Rust beyond what all hosts do alike: a bundle's C in it, captions, forks, damaged
manifests, and a runtime that is not there. ``.ci/rust`` gets the crates that it is built of.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import host_cases
import pytest
import rust_host
from hosts import Command

from edgernn import caption
from edgernn.writing.text import write_text

MANIFESTS = 300


def test_no_manifest_ends_it_with_a_panic(
    rust_driver: Command, copy: Path, captioner_bundle_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(captioner_bundle_folder, tmp_path / "captions")
    for seed, bundle in enumerate((copy, tmp_path / "captions")):
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        texts = host_cases.damaged_manifests(manifest, seed, MANIFESTS)
        given = json.dumps([each.decode("latin-1") for each in texts])
        (tmp_path / "list").write_text(given, "utf-8")
        reached = rust_driver.good("--fuzz", tmp_path / "list", bundle).strip()
        assert len(reached) == MANIFESTS
        assert "9" not in reached
        assert 0 < reached.count("0") < MANIFESTS


def test_a_fork_goes_on_as_the_text_does(rust_driver: Command, text: Path) -> None:
    whole, fork = map(json.loads, rust_driver.good("--fork", text).splitlines())
    assert len(whole) == 20
    assert len(fork) == 12
    assert whole[:8] == write_text(text, "the ", length=8, temperature=0.8, seed=3)["tokens"]
