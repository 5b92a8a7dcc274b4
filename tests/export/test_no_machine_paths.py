"""No file of a bundle tells where it was made: not the folder, not the packages, not the user."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import edgernn
from edgernn.bundle import Bundle, digest
from edgernn.contract import Contract, GraphSpec, TensorSpec
from edgernn.export import export_step
from edgernn.export.to_torchscript import copy_without_source

_MODULE = """
import torch

class Smoother(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Linear(3, 3)

    def forward(self, frame, h):
        h = torch.tanh(self.mix(frame) + h)
        return 2 * h, h
"""


def parts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes of a file, and of what is inside where it is an archive."""
    yield path.name, path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield f"{path.name}:{name}", archive.read(name)


def told(folder: Path, places: list[str]) -> list[str]:
    """Return which part of which file below ``folder`` names one of ``places``."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [
        f"{name} has {place}"
        for path in files
        for name, content in parts(path)
        for place in places
        if place.encode() in content
    ]


def places(folder: Path) -> list[str]:
    """Return what a file must not hold: the folder, and where the packages and edgernn are."""
    packages = Path(torch.__file__).parents[1]
    return [str(folder), str(packages), str(Path(edgernn.__file__).parents[1]), packages.name]


def test_a_step_module_exported_to_every_format(tmp_path: Path) -> None:
    source = tmp_path / "smoother.py"
    source.write_text(_MODULE)
    spec = importlib.util.spec_from_file_location("smoother", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    axes = ("batch", "width")
    tensors = {
        name: TensorSpec(name=name, role=role, dtype="float32", axes=axes)
        for name, role in (("frame", "input"), ("h", "state"), ("out", "output"))
    }
    after = tensors["h"].model_copy(update={"name": "h_next"})
    step = GraphSpec(
        name="step", inputs=(tensors["frame"], tensors["h"]), outputs=(tensors["out"], after)
    )
    contract = Contract(graphs=(step,), sizes={"width": 3})
    to = ["onnx", "torchscript", "coreml"]
    export_step(module.Smoother(), contract, tmp_path / "b", to=to, steps=4)
    assert (tmp_path / "b" / "reference" / "step.pt").is_file()
    assert told(tmp_path / "b", places(tmp_path)) == []


@pytest.mark.parametrize("fixture", ["bundle", "captioner_bundle"])
def test_edgernns_own_models(fixture: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(fixture)
    assert told(bundle.folder, places(bundle.folder.parent)) == []


def test_the_same_archive_gives_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    whole = bundle.folder / "torchscript" / "step.pt"
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        copy_without_source(whole, tmp_path / name / "step.pt")
        digests.add(digest(tmp_path / name / "step.pt"))
    assert digests == {digest(whole)}  # a copy of a copy is the copy


def test_tensors_lie_at_multiples_of_64_bytes(bundle: Bundle) -> None:
    path = bundle.folder / "torchscript" / "step.pt"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert not [name for name in names if name.endswith("debug_pkl")]
        data = [info for info in archive.infolist() if "/data/" in info.filename]
    content = path.read_bytes()
    assert data
    for info in data:
        at = info.header_offset
        lengths = [int.from_bytes(content[at + i : at + i + 2], "little") for i in (26, 28)]
        assert (at + 30 + sum(lengths)) % 64 == 0
