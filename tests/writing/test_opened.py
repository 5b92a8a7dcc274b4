"""What every command's bundle has when it is opened, and that a refused one is closed again."""

from __future__ import annotations

from pathlib import Path

import pytest
from family_networks import export_tiny

from edgernn import storage
from edgernn.bundle import Bundle
from edgernn.errors import UsageError
from edgernn.writing.opened import Opened
from edgernn.writing.painting import Painter


class _Tagger(Opened):
    command = "tag"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("opened") / "b.edgernn"
    export_tiny("painter", out, to=["onnx"], steps=8)
    return out


def test_a_bundle_of_another_command_is_refused_and_leaves_nothing_unpacked(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    scratch = storage.scratch_folder

    def counted() -> Path:
        made.append(scratch())
        return made[-1]

    monkeypatch.setattr(storage, "scratch_folder", counted)
    with pytest.raises(UsageError, match="use: edgernn paint"):
        _Tagger(packed)
    assert len(made) == 1
    assert not made[0].exists()


def test_a_bundle_that_was_given_stays_open(packed: Path) -> None:
    with Bundle.open(packed) as bundle:
        with Painter(bundle) as painter:
            assert painter.artifact.path == "onnx/step.onnx"
        assert bundle.path("onnx/step.onnx").exists()
