"""A step built for a target: the same text everywhere, by zig, or for this machine by its own
compiler.

The same zig makes the same bytes on every machine, so that who has it can tell whether a library
is what its C gives.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata

import numpy as np

from edgernn.contract import FileContract
from edgernn.errors import ContractError, UnavailableError
from edgernn.export.to_c.blob import literals
from edgernn.export.to_c.header import Style
from edgernn.export.to_c.options import PREFIX
from edgernn.export.to_c.targets import table, wasm
from edgernn.export.to_c.targets.table import Target
from edgernn.formats.installed import install_command
from edgernn.sessions import compiler

_COMMON = (
    "-std=c99", "-g0", "-ffp-contract=off", "-fno-trapping-math", "-nostdlib", "-ffreestanding",
    "-fno-unwind-tables", "-fno-asynchronous-unwind-tables",
)  # fmt: skip
_SMALL_FRAME = 2048  # bytes of scratch memory: with all else below a page of 4,096
_ARM = "arm-none-eabi-gcc"
_SPEED, _SIZE = "-O3", "-O2"
_SCRATCH = re.compile(rb"_SCRATCH_BYTES (\d+)")
# What a DLL begins with, and the one function that it exports.
_WINDOWS = """int __stdcall DllMainCRTStartup(void *own, unsigned reason, void *reserved)
{{
    (void)own; (void)reason; (void)reserved;
    return 1;
}}
__asm__(".section .drectve, \\"yni\\"\\n.ascii \\" -export:{function}\\"\\n.text");
"""


def built(
    target: Target,
    files: Mapping[str, bytes],
    file_contract: FileContract,
    *,
    prefix: str = PREFIX,
) -> bytes:
    """Return what the generated ``files`` of a graph, whose names begin with ``prefix``, give for
    ``target``.

    Raises:
        ContractError: the target's board does not hold the network; tells both sizes.
        UnavailableError: there is no compiler for it, or it fails; says what brings one.
    """
    graph, style = file_contract.graph, Style(file_contract.graph, prefix)
    weights = files[f"{graph}.weights.bin"]
    scratch = _scratch_bytes(files[f"{graph}.h"])
    _refuse_too_large(target, len(weights), _ram_bytes(file_contract) + scratch)
    if target.makes == table.LITERALS:
        name = f"{graph}.weights.S"
        return literals(style.weights, weights, file=name).encode("ascii")
    own, flags = _of_kind(target, file_contract, style, scratch)
    given = {**files, **own}
    if "relaxed" in target.cpu:
        text = _compiled(target, (*_COMMON, _SPEED, "-S"), given, "made.s", [f"{graph}.c"])
        given = {name: held for name, held in given.items() if name != f"{graph}.c"}
        given[f"{graph}.s"] = wasm.keeping_nan(text)
    sources = [name for name in sorted(given) if name.endswith((".c", ".s", ".S"))]
    made = _compiled(target, flags, given, f"{graph}{target.suffix}", sources)
    return wasm.described(made, file_contract) if target.makes == table.WASM else made


def _of_kind(
    target: Target, file_contract: FileContract, style: Style, scratch: int
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return what is compiled beside the step for what a target makes, and the flags."""
    flags = (*_COMMON, _SPEED)
    if target.makes == table.WASM:
        host = wasm.host_source(file_contract, style).encode("ascii")
        return {"host.c": host}, (*flags, *wasm.link_flags(style, scratch_bytes=scratch))
    if target.makes == table.OBJECT:
        return {}, (*_COMMON, _SIZE, "-r", "-fshort-enums")  # as gcc has it there
    if "windows" in target.triple:
        start = _WINDOWS.format(function=style.function).encode("ascii")
        probing = ("-rtlib=compiler-rt",) if scratch >= _SMALL_FRAME else ()
        return {"library.c": start}, (*flags, "-shared", "-s", *probing)
    return {}, (*flags, "-shared", "-s", "-fPIC")


def _compiled(
    target: Target,
    flags: tuple[str, ...],
    files: Mapping[str, bytes],
    name: str,
    sources: list[str],
) -> bytes:
    if not target.triple:
        own = compiler.find_compiler()
        flags = own.flags
    else:
        own = _cross(target)
        flags = (*own.flags, *flags)
    advice = f"leave the target {target.name} out, or use another compiler"
    return compiler.compiled((*own.command, *flags, *sources), files, name=name, advice=advice)


def compiler_name(target: Target) -> str:
    """Return which compiler builds for ``target``, with its version; empty where none does."""
    if target.makes == table.LITERALS:
        return ""
    return _cross(target).identity if target.triple else _version(compiler.find_compiler().command)


def _cross(target: Target) -> compiler.Compiler:
    """Return what compiles for another machine: zig, or of a Cortex-M also gcc."""
    command = compiler.zig()
    if command is not None:
        flags = ("-target", target.triple, f"-mcpu={target.cpu}", "-fno-builtin")
        return compiler.Compiler(command, flags, f"ziglang {metadata.version('ziglang')}")
    if target.board is not None and shutil.which(_ARM):
        cpu = f"-mcpu={target.name}"
        flags = (cpu, "-mthumb", "-mfloat-abi=hard", "-fno-tree-loop-distribute-patterns")
        return compiler.Compiler((_ARM,), flags, _version((_ARM,)))
    other = f", or install {_ARM}" if target.board is not None else ""
    raise UnavailableError(
        f"building for {target.name} needs the package 'ziglang', which is not installed; "
        f"run: {install_command(compiler.EXTRA)}{other}"
    )


def _version(command: tuple[str, ...]) -> str:
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return (told.stdout.splitlines() or [command[0]])[0]


def _scratch_bytes(header: bytes) -> int:
    found = _SCRATCH.search(header)
    return int(found[1]) if found else 0


def _ram_bytes(file_contract: FileContract) -> int:
    """Return the bytes of all that goes in and out; a state counts once."""
    interface = file_contract.interface()
    states = {state.name for state in file_contract.spec.states}
    held = [*interface.inputs, *interface.outputs[: len(interface.outputs) - len(states)]]
    return sum(wasm.count_of(own) * np.dtype(own.dtype).itemsize for own in held)


def _refuse_too_large(target: Target, weights: int, ram: int) -> None:
    board = target.board
    if board is None:
        return
    for what, found, most in (("weights", weights, board.flash), ("memory", ram, board.ram)):
        if found > most:
            kind = "flash" if what == "weights" else "RAM"
            raise ContractError(
                f"{target.name} cannot hold this network: its {what} take {found:,} bytes, and "
                f"an ordinary board has {most:,} of {kind}; write fewer bits, as --precision "
                "int8, train a smaller one, or leave the target out"
            )
