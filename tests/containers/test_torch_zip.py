"""Archives of torch.save that were packed anew, hold another byte order, or have no check sums; and
TorchScript archives.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.containers.reading import read
from edgernn.containers.walk import modules, plain_attributes, tensors
from edgernn.errors import DataError


def test_storages_of_a_gpu(tmp_path: Path) -> None:
    torch.save(torch.ones(3), tmp_path / "file")
    raw = (tmp_path / "file").read_bytes()
    rewrite(
        tmp_path / "file", raw, {"data.pkl": lambda b: b.replace(b"ctorch\nF", b"ctorch.cuda\nF")}
    )
    assert read(tmp_path / "file").tree.tolist() == [1, 1, 1]


def rewrite(
    path: Path, raw: bytes, changes: dict[str, Callable[[bytes], bytes]], method: int = 0
) -> None:
    """Write the archive ``raw`` anew, entries changed by the last part of their names."""
    (path.parent / "before").write_bytes(raw)
    with (
        zipfile.ZipFile(path.parent / "before") as old,
        zipfile.ZipFile(path, "w", method) as new,
    ):
        for entry in old.namelist():
            change = changes.get(entry.split("/", 1)[1], lambda content: content)
            new.writestr(entry, change(old.read(entry)))


def test_big_endian_storages_are_swapped(tmp_path: Path) -> None:
    path, tensor = tmp_path / "file", torch.tensor([1.0, -2.5])
    torch.save([tensor, tensor.bfloat16()], path)
    swap = {
        "byteorder": lambda _: b"big",
        "data/0": lambda b: np.frombuffer(b, "<f4").astype(">f4").tobytes(),
        "data/1": lambda b: np.frombuffer(b, "<u2").astype(">u2").tobytes(),
    }
    rewrite(path, path.read_bytes(), swap)
    assert torch.load(path)[0].tolist() == [1.0, -2.5]
    assert [array.tolist() for array in read(path).tree] == [[1.0, -2.5], [1.0, -2.5]]
    assert read(path).tree[0].dtype.isnative


def test_a_file_packed_anew(tmp_path: Path) -> None:
    path, tensor = tmp_path / "file", torch.arange(5000.0)
    torch.save({"a": tensor, "b": tensor}, path)
    rewrite(path, path.read_bytes(), {}, zipfile.ZIP_DEFLATED)
    tree = read(path).tree
    np.testing.assert_array_equal(tree["a"], tensor.numpy())
    assert np.shares_memory(tree["a"], tree["b"])


def test_a_file_without_check_sums(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(torch.ones(3), tmp_path / "file")
    finally:
        torch.serialization.set_crc32_options(before)
    assert read(tmp_path / "file").tree.tolist() == [1, 1, 1]


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    torch.save(torch.arange(50.0), tmp_path / "file")
    raw = bytearray((tmp_path / "file").read_bytes())
    raw[raw.index(np.arange(50, dtype=np.float32).tobytes()) + 5] ^= 1
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(DataError, match=r"is damaged: .*the bytes of '.*data/0' do not have their"):
        read(tmp_path / "file")


class Net(nn.Module):
    """A network with layers in a list, a buffer and a constant in its code."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = 4
        self.embed = nn.Embedding(5, 3)
        self.layers = nn.ModuleList([nn.GRU(3, 4), nn.GRU(4, 4)])
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 5)
        self.register_buffer("scale", torch.tensor([2.0, 3.0, 4.0, 5.0, 6.0]))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x) * self.scale


@pytest.fixture(params=["script", "trace"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[nn.Module, Path]:
    """A module and its TorchScript file."""
    net, path = Net().eval(), tmp_path / "net.jit"
    ids = torch.zeros(2, 3, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces the end of TorchScript
        made = torch.jit.script(net) if request.param == "script" else torch.jit.trace(net, ids)
        made.save(path)
    return net, path


def test_torchscript_has_the_names_of_the_state_dict(archive: tuple[nn.Module, Path]) -> None:
    net, path = archive
    content = read(path)
    assert content.container == "TorchScript"
    found = tensors(content.tree)
    assert set(found) == set(net.state_dict())
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)
    assert {name for name, _ in modules(content.tree)} == {n for n, _ in net.named_modules()}
    assert content.tree.name.endswith(".Net")
    assert plain_attributes(content.tree)["training"] is False


def test_a_frozen_torchscript_has_its_constants(tmp_path: Path) -> None:
    net, path = nn.Sequential(nn.Linear(2, 3)).eval(), tmp_path / "net.jit"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.freeze(torch.jit.script(net)).save(path)
    tree = read(path).tree
    arrays = [v for v in tree.attributes["constants"] if isinstance(v, np.ndarray)]
    assert any(np.array_equal(v, net[0].weight.detach().numpy()) for v in arrays)
