"""The C of a bundle, and its recorded run as C: python golden.py BUNDLE OUT [PRECISION]

OUT gets the files of the bundle's first step in C, or of that of PRECISION, as they are,
``golden.safetensors``, ``recorded.S``, which takes the tensors out of that, and ``golden.c``, which
feeds them to ``net_step`` (see ``golden.h``). Ends with 2 and one line where the bundle is not as
its manifest says. Python's own modules are enough.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundle import (
    AGAIN,
    SOURCES,
    BundleError,
    find_artifact,
    read_folder,
    read_listed,
    read_manifest,
    step_of,
)

GOLDEN = "golden.safetensors"
ROLES = ("input", "state", "output")
# dtypes as the header names them → as safetensors does, bytes
DTYPES = {
    "float32": ("F32", 4),
    "int64": ("I64", 8),
    "int32": ("I32", 4),
    "uint8": ("U8", 1),
    "int8": ("I8", 1),
    "bool": ("BOOL", 1),
}
# a line of the header: the member of a structure, and which tensor of the contract it is
_MEMBER = re.compile(
    r"^ +(?:const )?(?P<type>\w+) \*?(?P<member>\w+)(?:\[\d+\])?; "
    r"/\* (?P<place>in|out) \d+(?P<held>, out \d+)?: "
    r"(?P<name>\w+) (?P<dtype>\w+) \[(?P<sizes>[^\]]*)\] \*/$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Member:
    """A tensor as the header declares it."""

    name: str
    member: str  # of its structure
    type: str  # in C
    dtype: str
    count: int  # of elements
    role: str  # input, state or output


@dataclass(frozen=True)
class Recorded:
    """A tensor of the recorded run: where it lies in the file, and how often the header's."""

    start: int
    bytes: int
    times: int


def main() -> None:
    """Write what the Makefile compiles."""
    if len(sys.argv) not in (3, 4):
        raise BundleError(
            f"{len(sys.argv) - 1} arguments, expected two or three: golden.py BUNDLE OUT PRECISION"
        )
    bundle, out, precision = Path(sys.argv[1]), Path(sys.argv[2]), "".join(sys.argv[3:])
    manifest = read_manifest(bundle)
    artifact = find_artifact(manifest, precision)
    files = read_folder(bundle, artifact)
    content = read_listed(bundle, manifest, manifest.get("golden"))
    members = members_of(files["step.h"].decode("ascii", errors="replace"))
    tensors = tensors_of(content)
    once = {t["name"] for t in step_of(manifest)["inputs"] if t["role"] == "context"}
    run = {name: _fitting(tensors, each, name) for name, each in _wanted(members).items()}
    _check_steps(members, run, once)
    made = {
        **{name: files[name] for name in SOURCES},
        GOLDEN: content,
        "recorded.S": assembly(run).encode(),
        "golden.c": source(members, run, once, artifact).encode(),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, held in made.items():
        (out / name).write_bytes(held)


def members_of(header: str) -> list[Member]:
    """Return the tensors that a header declares."""
    members = []
    for found in _MEMBER.finditer(header):
        sizes = [int(size) for size in re.findall(r"=(\d+)", found["sizes"])]
        count = 1
        for size in sizes:
            count *= size
        role = "state" if found["held"] else {"in": "input", "out": "output"}[found["place"]]
        if found["dtype"] not in DTYPES:
            raise BundleError(
                f"{found['name']} of step.h is {found['dtype']}, expected one of "
                f"{', '.join(DTYPES)}; {AGAIN}"
            )
        members.append(
            Member(found["name"], found["member"], found["type"], found["dtype"], count, role)
        )
    if not any(member.role == "output" for member in members):
        raise BundleError(f"step.h declares no outputs, expected those of the contract; {AGAIN}")
    return members


def tensors_of(content: bytes) -> dict[str, tuple[str, int, int]]:
    """Return dtype, first byte and bytes of each tensor of a safetensors file."""
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        found = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            if not 0 <= begin <= end <= len(content) - start:
                raise ValueError(f"{name} lies outside the file")
            found[name] = (str(entry["dtype"]), start + begin, end - begin)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"{GOLDEN} is no safetensors file ({error}); {AGAIN}") from error
    return found


def assembly(run: dict[str, Recorded]) -> str:
    """Return the tensors as symbols, out of the file itself."""
    lines = [
        "/* Written by golden.py: the recorded run. */",
        '    .section .recorded, "a", %progbits',
    ]
    for name, where in run.items():
        lines += [
            f"    .globl recorded_{name}",
            "    .balign 8",
            f"recorded_{name}:",
            f'    .incbin "{GOLDEN}", {where.start}, {where.bytes}',
        ]
    return "\n".join([*lines, '    .section .note.GNU-stack, "", %progbits', ""])


def source(
    members: list[Member],
    run: dict[str, Recorded],
    once: set[str],
    artifact: dict[str, Any],
) -> str:
    """Return what ``golden.h`` promises; ``once`` are the inputs that every step is given."""
    states, outputs = _of(members, "state"), _of(members, "output")
    wanted = _wanted(members)
    (steps,) = {run[name].times for name in _stepwise(members, once)}
    rows = [_row(each.name, f"made_{each.member}", each) for each in outputs]
    rows += [_row(f"{each.name}_next", f"state.{each.member}", each) for each in states]
    lines = [
        "/* Written by golden.py: the recorded run, fed to net_step. */",
        '#include "golden.h"',
        '#include "step.h"',
        "",
        *(
            f"extern const {wanted[name].type} "
            f"recorded_{name}[{where.times}][{wanted[name].count}];"
            for name, where in run.items()
        ),
        "",
        *(["static net_state state;"] if states else []),
        *(f"static {each.type} made_{each.member}[{each.count}];" for each in outputs),
        "",
        f"const uint32_t golden_steps = {steps}, golden_tensors = {len(rows)};",
        f"const float golden_tolerance = {float(artifact['tolerance'])!r}f;",
        f"const int golden_forced = {int(bool(artifact.get('forced')))};",
        *(f"const uint32_t golden_{role}_bytes = {_bytes(members, role)};" for role in ROLES),
        f'_Static_assert({len(rows)} <= GOLDEN_MOST, "more tensors than GOLDEN_MOST");',
        "const golden_tensor golden_table[] = {",
        *(f"    {row}" for row in rows),
        "};",
        "",
        *_functions(members, once),
    ]
    return "\n".join(lines)


def _functions(members: list[Member], once: set[str]) -> list[str]:
    """Return what sets the state, and what calls the network."""
    inputs, states, outputs = (_of(members, role) for role in ROLES)
    given = "&inputs, &state, &outputs" if states else "&inputs, &outputs"
    return [
        *_feeding("golden_begin(void)", [(each, f"recorded_{each.name}[0]") for each in states]),
        *_feeding(
            "golden_resume(uint32_t step)",
            [(each, f"recorded_{each.name}_next[step - 1]") for each in states],
        ),
        "int golden_step(uint32_t step)",
        "{",
        "    (void)step;",
        "    const net_inputs inputs = {",
        *(
            f"        .{each.member} = recorded_{each.name}[{0 if each.name in once else 'step'}],"
            for each in inputs
        ),
        "    };",
        "    net_outputs outputs = {",
        *(f"        .{each.member} = made_{each.member}," for each in outputs),
        "    };",
        f"    return net_step({given});",
        "}",
        "",
    ]


def _feeding(declared: str, sources: list[tuple[Member, str]]) -> list[str]:
    """Return a function that copies what was recorded to the state."""
    copies = [
        f"    for (int i = 0; i < {each.count}; ++i) {{ state.{each.member}[i] = {source}[i]; }}"
        for each, source in sources
    ]
    unused = ["    (void)step;"] if "step" in declared.partition("(")[2] else []
    return [f"void {declared}", "{", *unused, *copies, "}", ""]


def _of(members: list[Member], role: str) -> list[Member]:
    return [member for member in members if member.role == role]


def _bytes(members: list[Member], role: str) -> int:
    return sum(each.count * DTYPES[each.dtype][1] for each in _of(members, role))


def _row(name: str, made: str, member: Member) -> str:
    exact = int(member.dtype != "float32")
    sizes = f"{member.count}, {DTYPES[member.dtype][1]}, {exact}"
    return f'{{"{name}", {made}, recorded_{name}, {sizes}}},'


def _wanted(members: list[Member]) -> dict[str, Member]:
    """Return what a recorded run has to hold, by the names there: the next states, too."""
    wanted = {member.name: member for member in members}
    return wanted | {f"{each.name}_next": each for each in members if each.role == "state"}


def _stepwise(members: list[Member], once: set[str]) -> set[str]:
    """Return the names of what is recorded for each step."""
    first = {member.name for member in members if member.role == "state"}
    return set(_wanted(members)) - first - once


def _fitting(tensors: dict[str, tuple[str, int, int]], member: Member, name: str) -> Recorded:
    if f"{name}.columns" in tensors:
        raise BundleError(
            f"{name} of {GOLDEN} is recorded in part, expected all of its {member.count} columns; "
            "use a network with fewer"
        )
    if name not in tensors:
        raise BundleError(f"{GOLDEN} has no {name}, expected every tensor of step.h; {AGAIN}")
    kind, size = DTYPES[member.dtype]
    dtype, start, length = tensors[name]
    times = length // (member.count * size)
    if dtype != kind or length != times * member.count * size or times < 1:
        raise BundleError(
            f"{name} of {GOLDEN} is {length} bytes of {dtype}, expected a multiple of "
            f"{member.count * size} of {kind}; {AGAIN}"
        )
    return Recorded(start, length, times)


def _check_steps(members: list[Member], run: dict[str, Recorded], once: set[str]) -> None:
    """Raise where tensors have other numbers of steps."""
    found = {run[name].times for name in _stepwise(members, once)}
    if len(found) != 1:
        raise BundleError(f"{GOLDEN} has {sorted(found)} steps, expected one number; {AGAIN}")


if __name__ == "__main__":
    try:
        main()
    except (LookupError, TypeError, AttributeError, StopIteration) as error:
        seen = f"{type(error).__name__} {error}".strip()
        print(f"error: manifest.json is damaged ({seen}); {AGAIN}", file=sys.stderr)
        raise SystemExit(2) from error
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
