"""The tables in C of what ``step.h`` declares (``network.h``) and of what is recorded
(``recorded.h``).
"""

from __future__ import annotations

from math import prod
from typing import Any

from bundle import AGAIN, GOLDEN, GRAPH, BundleError, Stored
from header import DTYPES, ROLES, Header, Member

LAYERS = "layers"


def network_source(header: Header, artifact: dict[str, Any], first: dict[str, list[str]]) -> str:
    """Return ``network.c``: the block of memory of a step, and its table. ``first`` has the stored
    first values of states.
    """
    prefix, states = header.prefix, header.of("state")
    given = "&given, &own->state, &made" if states else "&given, &made"
    return "\n".join(
        [
            "/* Written by prepare.py. */",
            "#include <stddef.h>",
            "",
            '#include "names.h"',
            f'#include "{GRAPH}.h"',
            "",
            "typedef struct {",
            *([f"    {prefix}_state state;"] if states else []),
            *(
                f"    {DTYPES[each.dtype][1]} {each.member}[{each.count}];"
                for role in ROLES[1:]
                for each in header.of(role)
            ),
            "} block_of_memory;",
            "",
            "static int step(void *block)",
            "{",
            "    block_of_memory *const own = block;",
            f"    const {prefix}_inputs given = {{",
            *(_pointer(each) for each in header.of("input")),
            *([] if header.of("input") else ["        0,"]),
            "    };",
            f"    {prefix}_outputs made = {{",
            *(_pointer(each) for each in header.of("output")),
            "    };",
            f"    return {prefix}_{GRAPH}({given});",
            "}",
            "",
            *_first(header, first),
            "static const network_tensor table[] = {",
            *(f"    {_row(each)}" for each in _ordered(header)),
            "};",
            "",
            f"const network {prefix}_network = {{",
            f'    "{artifact["path"]}", "{artifact["sha256"]}",',
            f"    sizeof(block_of_memory), {f'sizeof({prefix}_state)' if states else '0'}, "
            f"{len(header.members)}, table, {'&first' if states else '0'}, step,",
            "};",
            "",
        ]
    )


def names(header: Header) -> str:
    """Return ``names.h``: both tables, whatever the names of the C begin with."""
    prefix = header.prefix
    return "\n".join(
        [
            "/* Written by prepare.py: the tables of the network that is compiled in. */",
            "#ifndef NAMES_H",
            "#define NAMES_H",
            "",
            '#include "network.h"',
            '#include "recorded.h"',
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            f"extern const network {prefix}_network;",
            f"extern const recording {prefix}_recording;",
            "",
            "static inline const network *the_network(void)",
            "{",
            f"    return &{prefix}_network;",
            "}",
            "",
            "static inline const recording *the_recording(void)",
            "{",
            f"    return &{prefix}_recording;",
            "}",
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            "#endif",
            "",
        ]
    )


def recorded_source(
    header: Header, recording: Stored, once: set[str], artifact: dict[str, Any]
) -> str:
    """Return ``recorded.c``; ``once`` are the inputs that every step is given."""
    rows, steps = recorded_rows(header, recording, once)
    places = {each.name: at for at, each in enumerate(_ordered(header))}
    return "\n".join(
        [
            "/* Written by prepare.py. */",
            '#include "names.h"',
            "",
            "static const recorded_tensor table[] = {",
            *(
                f'    {{"{name}", {places[own.name]}, {int(made)}, {offset}, {times}, '
                f"{own.streams}, {own.after_batch}, {own.axes.get(LAYERS, 1)}, {inner_of(own)}}},"
                for name, own, made, offset, times in rows
            ),
            "};",
            "",
            f"const recording {header.prefix}_recording = {{",
            f"    {steps}, {len(recording.content)}, {float(artifact['tolerance'])!r}, "
            f"{int(artifact['forced'])}, {len(rows)}, table,",
            "};",
            "",
        ]
    )


def recorded_rows(
    header: Header, recording: Stored, once: set[str]
) -> tuple[list[tuple[str, Member, bool, int, int]], int]:
    """Return name, tensor, whether a step makes it, first byte and number of each recorded tensor,
    and the steps. An output that is recorded in part is left out.
    """
    rows = []
    first = {each.name for each in header.of("state")}
    for name, own in header.recorded().items():
        if f"{name}.columns" in recording.tensors:
            continue
        if name not in recording.tensors:
            raise BundleError(f"{GOLDEN} has no {name}, expected every tensor of step.h; {AGAIN}")
        dtype, start, length = recording.tensors[name]
        size = own.recorded_count * own.width
        if dtype != DTYPES[own.dtype][0] or length < size or length % size:
            raise BundleError(
                f"{name} of {GOLDEN} is {length} bytes of {dtype}, expected a multiple of {size} "
                f"of {DTYPES[own.dtype][0]}; {AGAIN}"
            )
        made = name not in first and own.role != "input"
        rows.append((name, own, made, start, length // size))
    counts = {times for name, *_, times in rows if name not in first | once}
    if len(counts) != 1 or any(times > 1 for name, *_, times in rows if name in first | once):
        raise BundleError(f"{GOLDEN} has {sorted(counts)} steps, expected one number; {AGAIN}")
    return rows, counts.pop()


def inner_of(own: Member) -> int:
    """Return the elements from one layer to the next."""
    axes = list(own.axes)
    return prod(own.axes[axis] for axis in axes[axes.index(LAYERS) + 1 :]) if LAYERS in axes else 1


def _first(header: Header, first: dict[str, list[str]]) -> list[str]:
    """Return the state before the first step."""
    if not header.of("state"):
        return []
    return [
        f"static const {header.prefix}_state first = {{",
        *(
            f"    .{each.member} = {{{', '.join(first.get(each.name, ['0']))}}},"
            for each in header.of("state")
        ),
        "};",
        "",
    ]


def _ordered(header: Header) -> list[Member]:
    return [each for role in ROLES for each in header.of(role)]


def _pointer(each: Member) -> str:
    return f"        .{each.member} = own->{each.member},"


def _row(each: Member) -> str:
    place = f"state.{each.member}" if each.role == "state" else each.member
    return (
        f'{{"{each.name}", "{each.dtype}", NETWORK_{each.role.upper()}, {each.count}, '
        f"{each.width}, offsetof(block_of_memory, {place}), {len(each.axes)}, "
        f"{{{', '.join(map(str, each.axes.values())) or '0'}}}}},"
    )
