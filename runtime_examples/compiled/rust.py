"""The Rust that ``step.h`` of a bundle stands for: ``net.rs``, which the crate in ``../rust``
includes, and ``golden.rs``, which feeds the recorded run to it.
"""

from __future__ import annotations

import re
from typing import Any

from bundle import GOLDEN, GRAPH, Stored
from header import DTYPES, Header, Member
from network import LAYERS, inner_of, recorded_rows

# of Rust, and not of C
_KEYWORDS = re.compile(
    "abstract|as|async|await|become|box|dyn|final|fn|gen|impl|in|let|loop|macro|match|mod|move|mut|"
    "override|priv|pub|ref|trait|try|type|unsafe|unsized|use|virtual|where|yield"
)
_NO_NAMES = ("crate", "self", "super", "Self")  # not even behind r#
_ROWS = (
    "/// What is recorded of one row, for each of several.",
    "fn rows<T: Copy>(row: Vec<T>, streams: usize, after: usize) -> Vec<T> {",
    "    row.chunks(after).flat_map(|part| part.repeat(streams)).collect()",
    "}",
    "",
)
_STATE = """/// What is kept from step to step: a clone of it is a fork.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
pub struct State {{
{fields}
}}

impl State {{
    /// The state before the first step: the stored one, else zeros; what encode gives is to be
    /// written into it.
    pub const fn first() -> Self {{
        Self {{
{values}
        }}
    }}
}}
"""
_STEP = """/// One step: reads the inputs, goes on from the state, writes the outputs. Where it
/// fails, nothing was written.
pub fn step(
    inputs: &Inputs<'_>,
    state: &mut State,
    outputs: &mut Outputs<'_>,
) -> Result<(), Error> {{
{checks}
    let given = raw::Inputs {{ {given} }};
    let mut made = raw::Outputs {{ {made} }};
    // SAFETY: each pointer is that of a slice of as many elements as the header says, none is that
    // of another one's, and the C keeps none of them.
    told(unsafe {{ raw::step({pointers}) }})
}}
"""


def net_source(header: Header, artifact: dict[str, Any], first: dict[str, list[str]]) -> str:
    """Return ``net.rs``: the types of a step, and the call. ``first`` has the stored first values
    of states.
    """
    states = header.of("state")
    values = [
        f"            {_name(each)}: "
        + (f"[{', '.join(first[each.name])}]," if each.name in first else f"[{_zero(each)}],")
        for each in states
    ]
    fields = [
        f"    /// {_words(each)}\n    pub {_name(each)}: [{_type(each)}; {each.count}],"
        for each in states
    ]
    return "\n".join(
        [
            "// Written by prepare.py.",
            "",
            "/// The path of what was compiled in its bundle.",
            f'pub const ARTIFACT: &str = "{artifact["path"]}";',
            "",
            _STATE.format(fields="\n".join(fields), values="\n".join(values)),
            *_slices(header, "input", "/// What a step is given.", "&'a "),
            *_slices(header, "output", "/// Where a step writes.", "&'a mut "),
            _step(header),
            *_raw(header),
            "",
        ]
    )


def golden_source(
    header: Header, recording: Stored, once: set[str], artifact: dict[str, Any]
) -> str:
    """Return ``golden.rs``, which ``tests/golden.rs`` of the crate includes."""
    rows, steps = recorded_rows(header, recording, once)
    offsets = {name: offset for name, _, _, offset, _ in rows}
    made = [(name, own) for name, own, is_made, *_ in rows if is_made]
    states, inputs, outputs = (header.of(role) for role in ("state", "input", "output"))
    return "\n".join(
        [
            "// Written by prepare.py.",
            f"const STEPS: usize = {steps};",
            f"const TOLERANCE: f64 = {float(artifact['tolerance'])!r};",
            f"const FORCED: bool = {str(bool(artifact['forced'])).lower()};",
            f'static RECORDED: &[u8] = include_bytes!("{GOLDEN}");',
            "",
            *(_ROWS if any(each.streams > 1 for each in header.members) else ()),
            *(_reader(dtype) for dtype in sorted({each.dtype for each in header.members})),
            "#[allow(unused_variables)]",
            "fn state_before(at: usize) -> State {",
            "    State {",
            *(
                f"        {_name(each)}: if at == 0 {{ {_read(each, str(offsets[each.name]))} }} "
                f"else {{ {_read(each, _place(each, offsets[each.name + '_next'], 'at - 1'))} }}"
                ".try_into().unwrap(),"
                for each in states
            ),
            "    }",
            "}",
            "",
            "fn step_at(at: usize, state: &mut State) -> Result<Vec<Made>, edgernn_net::Error> {",
            *(
                f"    let mut {_own(each)} = vec![{_type(each)}::default(); {each.count}];"
                for each in outputs
            ),
            *(
                f"    let {_own(each)} = "
                + _read(
                    each,
                    str(offsets[each.name])
                    if each.name in once
                    else _place(each, offsets[each.name], "at"),
                )
                + ";"
                for each in inputs
            ),
            "    edgernn_net::step(",
            f"        &edgernn_net::Inputs {{ {_fields(inputs, '&')} }},",
            "        state,",
            f"        &mut edgernn_net::Outputs {{ {_fields(outputs, '&mut ')} }},",
            "    )?;",
            "    Ok(vec![",
            *(f"        {_made(name, own, offsets[name])}" for name, own in made),
            "    ])",
            "}",
            "",
        ]
    )


def _slices(header: Header, role: str, words: str, reference: str) -> list[str]:
    members = header.of(role)
    lifetime = "<'a>" if members else ""
    return [
        words,
        f"pub struct {role.capitalize()}s{lifetime} {{",
        *(
            f"    /// {_words(each)}\n    pub {_name(each)}: {reference}[{_type(each)}],"
            for each in members
        ),
        "}",
        "",
    ]


def _step(header: Header) -> str:
    """Return the call, for networks without inputs too."""
    inputs, outputs = header.of("input"), header.of("output")
    text = _STEP.format(
        checks="\n".join(
            f'    check("{each.name}", {role}s.{_name(each)}.len(), {each.count})?;'
            for role in ("input", "output")
            for each in header.of(role)
        ),
        given=", ".join(f"{_name(each)}: inputs.{_name(each)}.as_ptr()" for each in inputs)
        or "none: 0",
        made=", ".join(f"{_name(each)}: outputs.{_name(each)}.as_mut_ptr()" for each in outputs),
        pointers="&given, state, &mut made" if header.of("state") else "&given, &mut made",
    )
    if not inputs:
        text = text.replace("inputs: &Inputs<'_>", "_: &Inputs")
    return text if header.of("state") else text.replace("state: &mut State", "_: &mut State")


def _raw(header: Header) -> list[str]:
    """Return what the C takes."""
    state = "state: *mut super::State, " if header.of("state") else ""
    given = [f"        pub {_name(each)}: *const {_type(each)}," for each in header.of("input")]
    return [
        "mod raw {",
        "    #[repr(C)]",
        "    pub struct Inputs {",
        *(given or ["        pub none: u8,"]),
        "    }",
        "",
        "    #[repr(C)]",
        "    pub struct Outputs {",
        *(f"        pub {_name(each)}: *mut {_type(each)}," for each in header.of("output")),
        "    }",
        "",
        '    extern "C" {',
        f'        #[link_name = "{header.prefix}_{GRAPH}"]',
        f"        pub fn step(inputs: *const Inputs, {state}outputs: *mut Outputs) -> i32;",
        "    }",
        "}",
    ]


def _made(name: str, own: Member, offset: int) -> str:
    made = f"state.{_name(own)}" if own.role == "state" else _own(own)
    recorded = _read(own, _place(own, offset, "at"))
    return (
        f'Made {{ name: "{name}", made: {made}.iter().map(|x| *x as f64).collect(), '
        f"recorded: {recorded}.iter().map(|x| *x as f64).collect(), "
        f"layers: {own.axes.get(LAYERS, 1)}, inner: {inner_of(own)} }},"
    )


def _reader(dtype: str) -> str:
    """Return the function that reads elements of a dtype."""
    own, width = DTYPES[dtype][2:]
    return "\n".join(
        [
            f"fn {dtype}s(begin: usize, count: usize) -> Vec<{own}> {{",
            f"    let bytes = &RECORDED[begin..begin + count * {width}];",
            f"    let own = |part: &[u8]| {own}::from_le_bytes(part.try_into().unwrap());",
            f"    bytes.chunks({width}).map(own).collect()",
            "}",
            "",
        ]
    )


def _read(each: Member, place: str) -> str:
    """Return what reads a recorded row, for each of the network's rows."""
    row = f"{each.dtype}s({place}, {each.recorded_count})"
    return f"rows({row}, {each.streams}, {each.after_batch})" if each.streams > 1 else row


def _place(each: Member, offset: int, at: str) -> str:
    return f"{offset} + ({at}) * {each.recorded_count * each.width}"


def _fields(members: list[Member], reference: str) -> str:
    return ", ".join(f"{_name(each)}: {reference}{_own(each)}" for each in members)


def _own(each: Member) -> str:
    """Return the name of a variable, which must be none of the others."""
    return f"own_{each.member}"


def _name(each: Member) -> str:
    """Return a name of C as one of Rust."""
    if each.member in _NO_NAMES:
        return f"{each.member}_"
    return f"r#{each.member}" if _KEYWORDS.fullmatch(each.member) else each.member


def _type(each: Member) -> str:
    return DTYPES[each.dtype][2]


def _zero(each: Member) -> str:
    return f"{'0.0' if each.dtype == 'float32' else '0'}; {each.count}"


def _words(each: Member) -> str:
    axes = ", ".join(f"{axis}={size}" for axis, size in each.axes.items())
    return f"`{each.name}`: {each.dtype} [{axes}], {each.count} elements"
