"""A bundle in one ``.edgernn`` file: opened as it is, and refused where it is damaged or hostile,
by the hosts that open one; the others say how to unpack it.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hosts import Command, Host

from edgernn.bundle import pack


@pytest.fixture
def one(host: Host, text: Path, tmp_path: Path) -> Path:
    """The bundle in one file."""
    if not host.one_file:
        pytest.skip(f"{host.name} opens folders alone")
    pack(text, tmp_path / "one.edgernn")
    return tmp_path / "one.edgernn"


def test_a_bundle_in_one_file_writes_the_same(command: Command, text: Path, one: Path) -> None:
    assert command.failed(one) == []
    outputs = [command.good(place, "--length", 50, "--seed", 3) for place in (text, one)]
    assert outputs[0] == outputs[1] != ""


def rezipped(source: Path, target: Path, change: Callable[..., object]) -> Path:
    """Write a zip again; ``change(new, name, content)`` writes each file."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return target


BIG = b"0" * 50_000_000
ZIPS: dict[str, tuple[Callable[..., object], str]] = {
    "bomb": (
        lambda z, n, c: z.writestr(n, c if n != "tokenizer.json" else BIG),
        "has 50000000 bytes, expected",
    ),
    "twice": (
        lambda z, n, c: [z.writestr(n, c) for _ in range(1 + (n == "tokenizer.json"))],
        "twice",
    ),
    "without": (lambda z, n, c: n != "sampler.json" and z.writestr(n, c), "sampler.json"),
    "method": (lambda z, n, c: z.writestr(n, c, zipfile.ZIP_LZMA), r"method:? 14"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ZIPS)
def test_a_hostile_zip_is_refused(command: Command, one: Path, name: str, tmp_path: Path) -> None:
    change, needle = ZIPS[name]
    said = command.refusal(rezipped(one, tmp_path / f"{name}.edgernn", change))
    assert re.search(needle, said), said


def test_a_damaged_zip_is_refused(command: Command, text: Path, one: Path, tmp_path: Path) -> None:
    whole = one.read_bytes()
    for number, content in enumerate((b"", b"no zip", whole[: len(whole) // 2], whole[:-30])):
        path = tmp_path / f"{number}.edgernn"
        path.write_bytes(content)
        assert path.name in command.refusal(path)
    changed = bytearray(whole)
    changed[whole.index(b"tokenizer.json") + 60] ^= 0x55
    one.write_bytes(bytes(changed))
    assert "tokenizer.json" in command.refusal(one)


def test_a_zip_that_lies_about_a_size_is_refused(
    command: Command, text: Path, one: Path, tmp_path: Path
) -> None:
    bomb = rezipped(one, tmp_path / "bomb.edgernn", ZIPS["bomb"][0])
    said = (text / "tokenizer.json").stat().st_size  # what the table is made to say of 50 MB
    sizes = (len(BIG).to_bytes(4, "little"), said.to_bytes(4, "little"))
    bomb.write_bytes(bomb.read_bytes().replace(*sizes))
    assert "tokenizer.json" in command.refusal(bomb)


def test_no_file_is_unpacked_outside(command: Command, one: Path, tmp_path: Path) -> None:
    name = f"{tmp_path.name}.txt"
    with zipfile.ZipFile(one, "a") as archive:
        archive.writestr(f"../{name}", "x")
    command.run(one, "--length", 1)
    assert not [
        folder
        for folder in (tempfile.gettempdir(), tmp_path, tmp_path.parent)
        if (Path(folder) / name).exists()
    ]


def test_a_bundle_in_one_file_is_named_with_what_to_do(
    host: Host, command: Command, tmp_path: Path
) -> None:
    packed = tmp_path / "b.edgernn"
    packed.write_bytes(b"PK")
    said = command.refusal(packed)
    assert (f"unzip -q {packed} -d FOLDER" in said) == (not host.one_file)
