"""A step as a WebAssembly module without imports: what a host calls, and what describes it.

The module exports ``memory``; ``run()``, a step over the module's own buffers that returns what
the C returns; ``input(place)`` and ``output(place)``, the addresses of the tensors in the order of
the contract, of which those of a state are one; and the C function itself. Its custom section
``edgernn`` names the tensors as JSON, so that a host can hold them against the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import prod

from edgernn.contract import FileContract, next_name
from edgernn.contract.interface import FileTensor
from edgernn.export.to_c.header import Style
from edgernn.export.to_c.loops import c_name
from edgernn.export.to_c.plan import C_TYPES

SECTION = "edgernn"
_STACK_BYTES, _PAGE = 16 * 1024, 64  # beside the scratch memory; to what the sum is rounded up
_HOST = """#include "{graph}.h"

{arrays}
{state}static const {own}_inputs inputs = {{{inputs}}};
static {own}_outputs outputs = {{{outputs}}};

int run(void) {{ return {function}(&inputs, {given}&outputs); }}

void *input(int place)
{{
    switch (place) {{
{input_cases}
    default: return 0;
    }}
}}

void *output(int place)
{{
    switch (place) {{
{output_cases}
    default: return 0;
    }}
}}
"""


def host_source(file_contract: FileContract, style: Style) -> str:
    """Return the C of the module's buffers and of what a host calls."""
    interface = file_contract.interface()
    states = {state.name for state in file_contract.spec.states}
    after = {next_name(name): name for name in states}
    fresh = [t for t in interface.inputs if t.name not in states]
    made = [t for t in interface.outputs if t.name not in after]

    def place(tensor: FileTensor, way: str) -> str:
        name = after.get(tensor.name, tensor.name) if way == "out" else tensor.name
        return f"state.{c_name(name)}" if name in states else f"{way}_{c_name(name)}"

    return _HOST.format(
        graph=style.graph,
        own=style.own,
        function=style.function,
        arrays="\n".join([*(_array(t, "in") for t in fresh), *(_array(t, "out") for t in made)]),
        state=f"static {style.own}_state state;\n" if states else "",
        given="&state, " if states else "",
        inputs=_members(place(t, "in") for t in fresh),
        outputs=_members(place(t, "out") for t in made),
        input_cases=_cases(place(t, "in") for t in interface.inputs),
        output_cases=_cases(place(t, "out") for t in interface.outputs),
    )


def link_flags(style: Style, *, scratch_bytes: int) -> tuple[str, ...]:
    """Return what the linker is told: no entry, what is exported, a stack that holds the scratch
    memory; zig puts it below all data, so that running over it ends the call.
    """
    stack = -(-(scratch_bytes + _STACK_BYTES) // _PAGE) * _PAGE
    exported = ("run", "input", "output", style.function)
    own = ("--no-entry", "--strip-all", *(f"--export={name}" for name in exported))
    return (*(f"-Wl,{flag}" for flag in own), f"-Wl,-z,stack-size={stack}")


def keeping_nan(text: bytes) -> bytes:
    """Return assembly in which limits are those of wasm itself: ``a < b ? b : a`` keeps NaN, and
    the relaxed instruction that LLVM takes for it may lose it.
    """
    return text.replace(b".relaxed_min", b".pmin").replace(b".relaxed_max", b".pmax")


def described(module: bytes, file_contract: FileContract) -> bytes:
    """Return ``module`` with its tensors named in a custom section."""
    interface = file_contract.interface()
    told = {
        "graph": file_contract.graph,
        "inputs": [_told(tensor) for tensor in interface.inputs],
        "outputs": [_told(tensor) for tensor in interface.outputs],
    }
    name = SECTION.encode()
    text = json.dumps(told, separators=(",", ":")).encode()
    content = _length(len(name)) + name + text
    return module + b"\x00" + _length(len(content)) + content


def _told(tensor: FileTensor) -> dict[str, object]:
    return {"name": tensor.name, "dtype": tensor.dtype, "dims": list(tensor.shape or ())}


def _length(value: int) -> bytes:
    """Return an unsigned LEB128 number."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _array(tensor: FileTensor, way: str) -> str:
    return f"static {C_TYPES[tensor.dtype or '']} {way}_{c_name(tensor.name)}[{count_of(tensor)}];"


def count_of(tensor: FileTensor) -> int:
    """Return how many elements a tensor of fixed sizes has."""
    return prod(size for size in tensor.shape or () if isinstance(size, int))


def _members(names: Iterable[str]) -> str:
    return ", ".join(names) or "0"


def _cases(names: Iterable[str]) -> str:
    return "\n".join(f"    case {at}: return {name};" for at, name in enumerate(names))
