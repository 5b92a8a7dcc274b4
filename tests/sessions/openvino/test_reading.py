"""Networks of OpenVINO read without it: what a file says, and each way in which it is damaged."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.errors import ContractError
from edgernn.sessions.opening import open_session
from edgernn.sessions.openvino.described import describe
from edgernn.sessions.openvino.ir import BIN, XML
from edgernn.sessions.openvino.reading import read_network

Write = Callable[[str], Path]


@pytest.fixture
def copied(written: Write, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written("float32"), tmp_path / "step"))


def change(path: Path, old: str, new: str) -> None:
    text = (path / XML).read_text()
    assert re.search(old, text), old
    (path / XML).write_text(re.sub(old, new, text, count=1))


def test_the_runtime_finds_the_same_interface(written: Write) -> None:
    import openvino

    model = openvino.Core().read_model(str(written("float32") / XML))
    found = describe(written("float32")).interface
    for ours, theirs in ((found.inputs, model.inputs), (found.outputs, model.outputs)):
        assert [tensor.name for tensor in ours] == [port.get_any_name() for port in theirs]
        for tensor, port in zip(ours, theirs, strict=True):
            sizes = [
                -1 if size.is_dynamic else size.get_length() for size in port.get_partial_shape()
            ]
            assert [size if isinstance(size, int) else -1 for size in tensor.shape or ()] == sizes


@pytest.mark.parametrize("name", [XML, BIN])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_file_is_told(copied: Path, name: str, share: float) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ContractError, match=r" is damaged[:,] .*; export it again$"):
        open_session(copied)


@pytest.mark.parametrize("name", [XML, BIN])
def test_a_lacking_file_is_told(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ContractError, match=rf"is no network of OpenVINO, or is damaged: {name}: "):
        read_network(copied)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'offset="\d+"', 'offset="99999999"'),
        (r'offset="\d+"', 'offset="-8"'),
        (r'offset="\d+"', 'offset="1e3"'),
        (r' size="\d+"', ' size="1"'),
        (r'(<data element_type="f32" shape=")\d+', r"\g<1>4611686018427387904"),
        (r'<data element_type="f32"', '<data element_type="f33"'),
        (r"<dim>\d+</dim>", "<dim>many</dim>"),
        (r'from-layer="\d+"', 'from-layer="100000"'),
        (r'to-port="\d+"', 'to-port="77"'),
        (r"<edge [^>]*/>", ""),
        (r'<layer id="1"', "<layer"),
    ],
)
def test_what_the_runtime_would_trust_is_checked(copied: Path, old: str, new: str) -> None:
    change(copied, old, new)
    with pytest.raises(ContractError, match=r" is damaged: .*; export it again$"):
        read_network(copied)


def test_another_root_is_told(copied: Path) -> None:
    (copied / XML).write_text("<project/>")
    with pytest.raises(ContractError, match=r"is no network of OpenVINO: its root is <project>$"):
        read_network(copied)


def test_a_network_that_the_runtime_refuses_is_told_in_one_line(copied: Path) -> None:
    change(copied, 'type="MatMul"', 'type="NatNul"')
    with pytest.raises(ContractError, match=r"is not a network that OpenVINO can open: [^\n]*$"):
        open_session(copied)


def test_another_interface_than_the_contracts_is_refused(copied: Path) -> None:
    change(copied, r"(names=\")h(\")", r"\g<1>hidden\g<2>")
    with pytest.raises(ContractError, match=r"is not what its contract says: inputs are .*hidden"):
        open_session(copied)


def test_a_network_without_a_contract_is_told(copied: Path) -> None:
    change(copied, r"<edgernn>", "<other>")
    change(copied, r"</edgernn>", "</other>")
    with pytest.raises(ContractError, match=r"has no 'edgernn' entry in its metadata"):
        open_session(copied)


def test_other_constants_than_it_was_written_with_are_told(copied: Path) -> None:
    content = bytearray((copied / BIN).read_bytes())
    content[100] ^= 1
    (copied / BIN).write_bytes(content)
    with pytest.raises(ContractError, match=r"model.bin is not the file that model.xml was writ"):
        open_session(copied)


@pytest.mark.parametrize("index", [-(2**31), -4, 3, 2**31 - 1])
def test_an_index_of_what_is_not_there_is_told(copied: Path, index: int) -> None:
    """The runtime reads beyond the sizes of an axis for it."""
    network = read_network(copied)
    gathers = (own for own in network.of("Gather") if network.source(own, 0)[0].kind == "ShapeOf")
    chosen = network.source(next(gathers), 1)[0]
    content = bytearray((copied / BIN).read_bytes())
    at, size = int(chosen.data["offset"]), int(chosen.data["size"])
    content[at : at + size] = index.to_bytes(size, "little", signed=True)
    (copied / BIN).write_bytes(content)
    change(copied, r"<constants ", "<other ")  # as one who means harm would
    with pytest.raises(ContractError, match=rf"is damaged: .* chooses \[{index}\] along axis 0"):
        open_session(copied)
