"""Files that torch.save wrote, in both of its formats, give back what was saved, without torch and
without the classes.
"""

from __future__ import annotations

import importlib
import sys
import tarfile
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.containers.content import Name, Stub
from edgernn.containers.reading import read
from edgernn.containers.walk import modules, plain_attributes, tensors
from edgernn.errors import DataError
from tests.containers import hostile

_SOURCE = '''
import torch
from torch import nn

class RNNModel(nn.Module):
    """SOURCE TEXT"""
    def __init__(self):
        super().__init__()
        self.rnn_type, self.nhid = "LSTM", 4
        self.encoder = nn.Embedding(7, 4)
        self.rnns = nn.ModuleList([nn.LSTM(4, 4), nn.LSTM(4, 4)])
        self.decoder = nn.Linear(4, 7)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("seen", torch.arange(3))

class Criterion(nn.Module):
    def __init__(self):
        super().__init__()
        self.tail = nn.ParameterList([nn.Parameter(torch.ones(2))])
'''

Save = Callable[[Any, Path], None]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of classes of one's own, which is gone when their objects are read."""
    (tmp_path / "foreign_model.py").write_text(_SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("foreign_model")
    sys.modules.pop("foreign_model", None)


@pytest.fixture(params=["zip", "legacy", "protocol 4", "legacy, protocol 4"])
def save(request: pytest.FixtureRequest) -> Save:
    """torch.save, in one of its formats."""

    def to(value: Any, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch has no source of classes in tests
            torch.save(
                value,
                path,
                _use_new_zipfile_serialization="legacy" not in request.param,
                pickle_protocol=4 if "4" in request.param else 2,
            )

    return to


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the classes unreachable: reading must not look for them."""
    monkeypatch.setitem(sys.modules, "foreign_model", None)


def test_a_whole_module_is_read_without_its_class(
    model: ModuleType, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = model.RNNModel()
    save(net, tmp_path / "model.pt")
    forget(monkeypatch)
    tree = read(tmp_path / "model.pt").tree
    assert tree.name == "foreign_model.RNNModel"
    assert plain_attributes(tree)["rnn_type"] == "LSTM"
    assert plain_attributes(tree)["nhid"] == 4
    found = tensors(tree)
    assert set(found) == set(net.state_dict())
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)
    assert np.shares_memory(found["decoder.weight"], found["encoder.weight"])
    assert not np.shares_memory(found["decoder.weight"], found["decoder.bias"])
    assert [name for name, _ in modules(tree)] == [name for name, _ in net.named_modules()]


def test_the_source_text_is_dropped(model: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(model.RNNModel(), path, _use_new_zipfile_serialization=False)
    assert b"SOURCE TEXT" in path.read_bytes()
    pending, words = [read(path).tree], list[Any]()
    while pending:
        value = pending.pop()
        words.append(value)
        if isinstance(value, Stub):
            pending += [value.name, *value.attributes.items(), *value.arguments]
        elif isinstance(value, (tuple, dict, list)):
            pending += value.items() if isinstance(value, dict) else value
    assert not any(isinstance(word, str) and "SOURCE" in word for word in words)


def test_a_list_of_model_criterion_and_optimiser(
    model: ModuleType, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, criterion = model.RNNModel(), model.Criterion()
    optimiser = torch.optim.Adam(net.parameters())
    net.encoder.weight.sum().backward()
    optimiser.step()
    save([net, criterion, optimiser], tmp_path / "model.pt")
    forget(monkeypatch)
    tree = read(tmp_path / "model.pt").tree
    assert [stub.name.split(".")[-1] for stub in tree] == ["RNNModel", "Criterion", "Adam"]
    found = tensors(tree)
    assert set(found) == {f"0.{name}" for name in net.state_dict()} | {"1.tail.0"}
    np.testing.assert_array_equal(found["0.encoder.weight"], net.encoder.weight.detach().numpy())


def test_a_checkpoint_of_dicts(save: Save, tmp_path: Path) -> None:
    net = nn.GRU(3, 4)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
    save(
        {"epoch": 3, "model": net.state_dict(), "optimizer": optimiser.state_dict()},
        tmp_path / "checkpoint",
    )
    tree = read(tmp_path / "checkpoint").tree
    assert tree["epoch"] == 3
    assert tree["optimizer"]["param_groups"][0]["lr"] == 0.5
    assert set(tensors(tree)) >= {f"model.{name}" for name in net.state_dict()}


_BASE = torch.arange(24.0).reshape(4, 6)
_TENSORS = {
    "a transposed one": _BASE.t(),
    "every second row": _BASE[::2],
    "a column": _BASE[:, 2],
    "a part": _BASE[1:3, 2:5],
    "a repeated row": torch.arange(3.0).expand(5, 3),
    "half": torch.tensor([1.5, -0.0, float("inf")], dtype=torch.float16),
    "double": torch.tensor([0.1], dtype=torch.float64),
    "int8": torch.tensor([-128, 127], dtype=torch.int8),
    "uint8": torch.tensor([0, 255], dtype=torch.uint8),
    "int16": torch.tensor([-5], dtype=torch.int16),
    "int32": torch.tensor([-5], dtype=torch.int32),
    "int64": torch.tensor([1 << 60]),
    "bool": torch.tensor([True, False, True]),
    "complex": torch.tensor([1 + 2j]),
    "uint16": torch.tensor([65535], dtype=torch.uint16),
    "uint64": torch.tensor([1], dtype=torch.uint64),
    "an empty one": torch.zeros(0, 3),
    "a scalar": torch.tensor(2.5),
    "a parameter": nn.Parameter(torch.ones(2), requires_grad=False),
}


@pytest.mark.parametrize("tensor", _TENSORS.values(), ids=_TENSORS)
def test_a_tensor_of_any_form(save: Save, tmp_path: Path, tensor: torch.Tensor) -> None:
    save([tensor, tensor], tmp_path / "file")
    first, second = read(tmp_path / "file").tree
    np.testing.assert_array_equal(first, tensor.detach().numpy(), strict=True)
    assert first.flags.aligned
    assert not first.flags.writeable
    assert not first.size or np.shares_memory(first, second)


def test_bfloat16_becomes_float32(save: Save, tmp_path: Path) -> None:
    tensor = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    save({"a": tensor, "b": tensor.t()}, tmp_path / "file")
    tree = read(tmp_path / "file").tree
    np.testing.assert_array_equal(tree["a"], tensor.float().numpy(), strict=True)
    assert np.shares_memory(tree["a"], tree["b"])


def test_parts_of_one_storage_share_memory(save: Save, tmp_path: Path) -> None:
    save({"whole": _BASE, "row": _BASE[1]}, tmp_path / "file")
    tree = read(tmp_path / "file").tree
    assert np.shares_memory(tree["whole"], tree["row"])
    np.testing.assert_array_equal(tree["row"], _BASE[1].numpy())


def test_a_tensor_with_attributes(save: Save, tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.ones(2))
    parameter.sparse_rows = True  # type: ignore[attr-defined]
    tensor = torch.zeros(3)
    tensor.note = "x"  # type: ignore[attr-defined]
    save([parameter, tensor], tmp_path / "file")
    first, second = read(tmp_path / "file").tree
    assert first.tolist() == [1, 1]
    assert second.tolist() == [0, 0, 0]


def test_other_values_of_torch(save: Save, tmp_path: Path) -> None:
    values = {
        "size": torch.Size([2, 3]),
        "device": torch.device("cuda:1"),
        "dtype": torch.float16,
        "ordered": OrderedDict([("b", 1), ("a", 2)]),
        "default": defaultdict(list, {"a": [1]}),
        "counter": Counter("aab"),
        "set": {1, 2},
        "complex": 1 + 2j,
        "bytes": b"\xff\x00",
        "none": None,
    }
    save(values, tmp_path / "file")
    tree = read(tmp_path / "file").tree
    assert tree["size"] == (2, 3)
    assert tree["device"] == "cuda:1"
    assert isinstance(tree["dtype"], Name)
    assert tree["dtype"].name == "torch.float16"
    assert list(tree["ordered"].items()) == [("b", 1), ("a", 2)]
    assert tree["default"] == {"a": [1]}
    assert tree["counter"] == {"a": 2, "b": 1}
    assert (tree["set"], tree["complex"], tree["bytes"]) == ({1, 2}, 1 + 2j, b"\xff\x00")


def test_what_has_no_array_stays_a_stub(save: Save, tmp_path: Path) -> None:
    sparse = torch.eye(3).to_sparse()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces the end of its quantised tensors
        quantised = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    small = torch.ones(3).to(torch.float8_e4m3fn)
    save({"s": sparse, "q": quantised, "f": small, "t": torch.ones(1)}, tmp_path / "file")
    tree = read(tmp_path / "file").tree
    assert all(isinstance(tree[key], Stub) for key in "sqf")
    assert list(tensors(tree)) == ["t"]


@pytest.mark.parametrize(("kind", "high"), [("FloatStorage", 0), ("BFloat16Storage", 2)])
def test_a_part_of_a_storage_of_an_older_torch(tmp_path: Path, kind: str, high: int) -> None:
    """Formats before 0.4 name a part of a storage by key, offset and elements."""
    h = hostile
    view = b"(" + h.text("part") + h.numbers(1, 2)[1:-1] + b"t"
    whole = h.tensor("0", 4, 0, h.numbers(2), h.numbers(1)).replace(b"FloatStorage", kind.encode())
    part = whole.replace(h.number(4) + b"tQ", h.number(4) + view + b"tQ")
    whole = whole.replace(h.number(4) + b"tQ", h.number(4) + b"NtQ")
    head = b"\x80\x02" + h.number(0x1950A86A20F9469CFC6C) + b".\x80\x02M\xe9\x03.\x80\x02}."
    data = b"\x80\x02]" + h.text("0") + b"a." + (4).to_bytes(8, "little")
    floats = np.arange(4, dtype=np.float32).view(np.uint8).reshape(4, 4)
    content = floats[:, high:].tobytes()  # bfloat16: the upper half
    (tmp_path / "file").write_bytes(head + b"\x80\x02" + whole + part + b"\x86." + data + content)
    first, second = read(tmp_path / "file").tree
    assert first.tolist() == [0, 1]
    assert second.tolist() == [1, 2]
    assert np.shares_memory(first, second)


def test_the_oldest_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "sys_info").write_bytes(b"x")
    with tarfile.open(tmp_path / "file", "w") as tar:
        tar.add(tmp_path / "sys_info", "sys_info")
    with pytest.raises(DataError, match="in its oldest format, a tar, which is not taken"):
        read(tmp_path / "file")


def test_a_file_cut_anywhere_is_damaged(save: Save, tmp_path: Path) -> None:
    save({"a": torch.arange(50.0), "b": torch.ones(3)}, tmp_path / "file")
    raw = (tmp_path / "file").read_bytes()
    for end in range(60, len(raw) - 1, 7):
        (tmp_path / "cut").write_bytes(raw[:end])
        with pytest.raises(DataError, match=r"cut is ") as caught:
            read(tmp_path / "cut")
        assert "\n" not in str(caught.value)
