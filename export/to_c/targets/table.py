"""The table of targets: what zig builds for each, for which processors, and what a board holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

SHARED, WASM, OBJECT, LITERALS = "shared library", "wasm module", "object", "source"
KIB = 1024


@dataclass(frozen=True)
class Board:
    """The memory of an ordinary board with such a processor, in bytes."""

    flash: int
    ram: int


@dataclass(frozen=True)
class Target:
    """One row.

    Attributes:
        name: what ``--target`` takes.
        makes: a shared library, a wasm module, an object to link, or source.
        suffix: of the file.
        triple: zig's name of the machine; empty for the machine that builds, and for source.
        cpu: zig's name of the processor, with features added.
        runs_on: the machines that it runs on, in words.
        board: what has to hold the network, where that is little.
    """

    name: str
    makes: str
    suffix: str
    triple: str
    cpu: str
    runs_on: str
    board: Board | None = None


def _shared(name: str, suffix: str, triple: str, cpu: str, runs_on: str) -> Target:
    return Target(name, SHARED, suffix, triple, cpu, runs_on)


def _cortex(number: int, unit: str, runs_on: str, flash: int, ram: int) -> Target:
    """The floating-point unit is named: zig leaves out the one that a processor's name implies."""
    board = Board(flash * KIB, ram * KIB)
    triple, cpu = "thumb-freestanding-eabihf", f"cortex_m{number}+{unit}"
    return Target(f"cortex-m{number}", OBJECT, ".o", triple, cpu, runs_on, board)


_V3, _DOT = "x86_64_v3", "generic+dotprod"
_AVX2 = "processors with AVX2: Intel of 2013 and later, AMD of 2015 and later"
_ROWS = (
    Target("host", SHARED, ".so", "", "", "the machine that built it, and its like"),
    Target(
        "wasm", WASM, ".wasm", "wasm32-freestanding", "generic+simd128",
        "Chrome 91, Firefox 89, Safari 16.4, node 16.4 and later",
    ),
    Target(
        "wasm-relaxed", WASM, ".wasm", "wasm32-freestanding", "generic+simd128+relaxed_simd",
        "Chrome 114, Firefox 145, node 21 and later",
    ),
    _shared("x86_64-linux", ".so", "x86_64-linux-gnu", _V3, _AVX2),
    _shared("x86_64-macos", ".dylib", "x86_64-macos", _V3, _AVX2),
    _shared("x86_64-windows", ".dll", "x86_64-windows-gnu", _V3, _AVX2),
    _shared("aarch64-linux", ".so", "aarch64-linux-gnu", "generic", "every 64-bit Arm"),
    _shared(
        "aarch64-linux-dotprod", ".so", "aarch64-linux-gnu", _DOT,
        "Arm with dot products: Cortex-A55 and A76 and later, Raspberry Pi 5",
    ),
    _shared("aarch64-macos", ".dylib", "aarch64-macos", "apple_m1", "Apple M1 and later"),
    _shared("aarch64-windows", ".dll", "aarch64-windows-gnu", "generic", "every 64-bit Arm"),
    _shared("aarch64-android", ".so", "aarch64-linux-android", "generic", "every 64-bit Android"),
    _shared(
        "aarch64-android-dotprod", ".so", "aarch64-linux-android", _DOT,
        "Android phones with dot products: of 2018 and later",
    ),
    _cortex(4, "vfp4d16sp", "Cortex-M4 with a floating-point unit", 512, 128),
    _cortex(7, "fp_armv8d16", "Cortex-M7 with a floating-point unit", 2048, 512),
    _cortex(55, "mve_fp+fp_armv8d16", "Cortex-M55 with vectors of floats", 2048, 1024),
    Target(
        "literals", LITERALS, ".weights.c", "", "",
        "where nothing assembles .incbin: the weights as string literals",
    ),
)  # fmt: skip
TARGETS = {row.name: row for row in _ROWS}


def select(names: Iterable[str] | str) -> tuple[Target, ...]:
    """Return the rows ``names``, each once, in the table's order; raise UsageError naming the
    known ones.
    """
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in TARGETS:
            raise UsageError(f"unknown target {name!r}; {expected_one_of(name, TARGETS)}")
    return tuple(row for row in _ROWS if row.name in wanted)
