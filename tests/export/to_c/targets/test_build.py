"""What is built for a target: its format and machine, that it needs nothing, the same every time;
and what a target refuses.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from binaries import read

from edgernn.contract import FileContract
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.export.to_c.blob import literals
from edgernn.export.to_c.targets import build
from edgernn.export.to_c.targets.table import OBJECT, SHARED, TARGETS, Board, select
from edgernn.sessions import compiler
from edgernn.sessions.c_folder import checked_sources

MADE = {
    "x86_64-linux": ("elf", "x86_64", ["net_step"]),
    "x86_64-macos": ("macho", "x86_64", ["_net_step"]),
    "x86_64-windows": ("pe", "x86_64", ["net_step"]),
    "aarch64-linux": ("elf", "aarch64", ["net_step"]),
    "aarch64-linux-dotprod": ("elf", "aarch64", ["net_step"]),
    "aarch64-macos": ("macho", "aarch64", ["_net_step"]),
    "aarch64-windows": ("pe", "aarch64", ["net_step"]),
    "aarch64-android": ("elf", "aarch64", ["net_step"]),
    "aarch64-android-dotprod": ("elf", "aarch64", ["net_step"]),
    "cortex-m4": ("elf", "arm", ["net_step"]),
    "cortex-m7": ("elf", "arm", ["net_step"]),
    "cortex-m55": ("elf", "arm", ["net_step"]),
}
Sources = tuple[Mapping[str, bytes], FileContract]


@pytest.fixture
def sources(built_folder: Path, own_contract: FileContract) -> Sources:
    return checked_sources(built_folder / "c" / "step"), own_contract


def library(folder: Path, name: str) -> bytes:
    return (folder / "c" / "lib" / name / f"step{TARGETS[name].suffix}").read_bytes()


def test_every_foreign_library_is_looked_at_below() -> None:
    foreign = [t for t in TARGETS.values() if t.makes in (SHARED, OBJECT) and t.triple]
    assert list(MADE) == [target.name for target in foreign]


@pytest.mark.parametrize("name", MADE)
def test_a_library_is_of_its_machine_has_the_step_and_needs_nothing(
    built_folder: Path, name: str
) -> None:
    content = library(built_folder, name)
    assert read(content) == MADE[name]
    weights = (built_folder / "c" / "step" / "step.weights.bin").read_bytes()
    assert weights in content


@pytest.mark.parametrize("name", sorted({*MADE, "wasm", "literals"}))
def test_it_is_the_same_every_time(built_folder: Path, sources: Sources, name: str) -> None:
    assert build.built(TARGETS[name], *sources) == library(built_folder, name)


@pytest.mark.parametrize("name", MADE)
def test_integers_need_nothing_either(integer_folder: tuple[Path, FileContract], name: str) -> None:
    folder, own = integer_folder
    files = checked_sources(folder / "c" / "step-w8a7")
    assert read(build.built(TARGETS[name], files, own)) == MADE[name]


def test_the_host_library_is_loaded_here(built_folder: Path) -> None:
    import ctypes

    path = built_folder / "c" / "lib" / "host" / "step.so"
    assert ctypes.CDLL(str(path)).net_step(None, None, None) == 1  # a pointer is null


@pytest.mark.skipif(not shutil.which("cc") or not shutil.which("objcopy"), reason="no cc, objcopy")
def test_string_literals_are_the_weights(tmp_path: Path) -> None:
    content = bytes(range(256)) * 700  # 179,200: three literals
    (tmp_path / "w.c").write_text(literals("net_step_weights", content, file="step.weights.S"))
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fno-lto", "-c", "w.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    taken = ["objcopy", "-O", "binary", "-j", ".rodata", "w.o", "w.bin"]
    subprocess.run(taken, cwd=tmp_path, check=True)
    assert (tmp_path / "w.bin").read_bytes() == content
    pieces = (tmp_path / "w.c").read_text().split(",\n")
    assert max(piece.count("\\") for piece in pieces) < 65535


@pytest.mark.parametrize(
    ("board", "says"),
    [
        (Board(1000, 1 << 20), r"its weights take [\d,]+ bytes.* has 1,000 of flash"),
        (Board(1 << 20, 100), r"its memory take [\d,]+ bytes.* has 100 of RAM"),
    ],
)
def test_a_board_that_is_too_small_is_told_with_both_sizes(
    sources: Sources, board: Board, says: str
) -> None:
    small = replace(TARGETS["cortex-m4"], board=board)
    with pytest.raises(ContractError, match=f"^cortex-m4 cannot hold this network: {says}"):
        build.built(small, *sources)


def test_without_zig_it_says_what_brings_it(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "zig", lambda: None)
    with pytest.raises(UnavailableError, match=r"'ziglang', which is not .*install.*compile"):
        build.built(TARGETS["wasm"], *sources)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnavailableError, match=r"or install arm-none-eabi-gcc$"):
        build.built(TARGETS["cortex-m4"], *sources)


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc")
def test_a_microcontroller_can_do_with_gcc(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "zig", lambda: None)
    target = TARGETS["cortex-m4"]
    assert read(build.built(target, *sources)) == MADE["cortex-m4"]
    assert "arm-none-eabi-gcc" in build.compiler_name(target)


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc")
@pytest.mark.parametrize(
    ("name", "unit"),
    [("cortex-m4", "fpv4-sp-d16"), ("cortex-m7", "fpv5-d16"), ("cortex-m55", "auto")],
)
def test_an_object_goes_into_a_program_of_gcc(
    built_folder: Path, name: str, unit: str, tmp_path: Path
) -> None:
    """Its floats are given as gcc gives them, and it asks for no function of a library."""
    (tmp_path / "step.o").write_bytes(library(built_folder, name))
    shutil.copy(built_folder / "c" / "step" / "step.h", tmp_path)
    (tmp_path / "main.c").write_text(
        '#include "step.h"\n'
        "int64_t token; float logits[64]; net_state state;\n"
        "int _start(void) { net_inputs in = {&token}; net_outputs out = {logits};\n"
        "    return net_step(&in, &state, &out); }\n"
    )
    flags = [f"-mcpu={name}", "-mthumb", "-mfloat-abi=hard", f"-mfpu={unit}", "-nostdlib"]
    command = ["arm-none-eabi-gcc", *flags, "main.c", "step.o", "-o", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "step.o" not in done.stderr, "the linker warns of it"


def test_a_text_that_does_not_compile_is_told_by_its_first_error(sources: Sources) -> None:
    files, own = sources
    broken = {**files, "step.c": b"nonsense;\n"}
    with pytest.raises(UnavailableError, match=r"^the compiler ziglang fails: .*error: "):
        build.built(TARGETS["aarch64-linux"], broken, own)


def test_targets_are_chosen_by_name_each_once() -> None:
    assert [t.name for t in select(["wasm", "host", "wasm"])] == ["host", "wasm"]
    with pytest.raises(UsageError, match=r"unknown target 'wasn'.*wasm"):
        select("wasn")


def test_no_function_is_called_that_a_freestanding_machine_lacks(
    checkpoint_folder: Path, make_model: Any, tmp_path: Path
) -> None:
    """A stack of more than a page is probed on Windows, and large copies are copies."""
    from edgernn.export.to_c.exporter import CExporter

    model = make_model(cell="lstm_normalised", hidden=160)
    written = CExporter().export(model, tmp_path / "step", precision="float32", decoding=None)
    own = FileContract(contract=model.config.contract(), narrowing=written.narrowing)
    files = checked_sources(tmp_path / "step")
    for name in ("x86_64-linux", "x86_64-windows", "aarch64-windows", "cortex-m7"):
        assert read(build.built(TARGETS[name], files, own)) == MADE[name]
