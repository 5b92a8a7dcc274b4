"""Libraries in a bundle: built again and held against what lies there; never loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgernn.bundle import digest
from edgernn.export.pack import export_bundle
from edgernn.parity.report.data import Check
from edgernn.parity.verify import verify_bundle
from edgernn.sessions import compiler

if compiler.lacking() is not None:
    pytest.skip("this machine has no C compiler", allow_module_level=True)


@pytest.fixture
def made(checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with a library of this machine, and the weights as literals."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "bundle"
    export_bundle(checkpoint_folder, out, to="c", target=["host", "literals"], steps=4)
    return out


def checked(bundle: Path) -> dict[str, Check]:
    (artifact,) = verify_bundle(bundle, steps=4).artifacts
    return {check.name: check for check in artifact.checks}


def changed(bundle: Path, target: str, *, content: bytes = b"", compiled_by: str = "") -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    own = next(x for x in manifest["artifacts"][0]["libraries"] if x["target"] == target)
    if compiled_by:
        own["compiler"] = compiled_by
    if content:
        file = bundle / own["path"]
        file.write_bytes(file.read_bytes() + content)
        manifest["files"][own["path"]] = digest(file).model_dump()
    path.write_text(json.dumps(manifest))


def test_what_is_built_again_to_the_same_bytes_passes(made: Path) -> None:
    found = checked(made)["libraries"]
    assert found.status == "passed"
    assert found.detail == "host, literals: built again here, to the same bytes"


def test_other_literals_than_the_text_gives_have_failed(made: Path) -> None:
    changed(made, "literals", content=b"/* more */\n")
    found = checked(made)["libraries"]
    assert found.status == "failed"
    assert "literals: it is not what this edgernn makes of the C" in found.detail


def test_of_another_compiler_or_processor_nothing_is_proved(made: Path) -> None:
    changed(made, "host", content=b"\0")
    found = checked(made)
    assert found["libraries"].status == "not run"
    assert "host: it was built for the processor that exported it" in found["libraries"].detail
    assert found["rollout"].status == "passed", "the text is judged all the same"
    changed(made, "host", compiled_by="another 1.2")
    assert "host: it was built by another 1.2, here is" in checked(made)["libraries"].detail


def test_without_libraries_there_is_no_such_check(checkpoint_folder: Path, tmp_path: Path) -> None:
    export_bundle(checkpoint_folder, tmp_path / "b", to="c", steps=4)
    assert "libraries" not in checked(tmp_path / "b")
