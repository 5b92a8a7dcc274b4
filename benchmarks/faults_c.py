"""Faults in C: of a generator, a kernel and a packer, whose text is judged as it lies there
(``--trust``), and of files in a bundle that do not belong together.
"""

from __future__ import annotations

from pathlib import Path

from _faulty import Fault, sign
from _faulty_c import (
    BYTES,
    EIGHT,
    FOUR,
    STEP,
    Apply,
    as_generated,
    on_graph,
    on_options,
    on_text,
    on_weights,
)
from _faulty_c_changes import (
    gates_in_torchs_order,
    half_bytes_exchanged,
    last_block_lost,
    no_bias,
    one_bit,
    one_row_cut,
    one_scale_off,
    scales_of_the_row_before,
    states_swapped,
    table_off_by_one,
)

_ANY = r"worst [\w\[\]]+ .* at call \d+"
_DRIFTS = ("rollout", "golden")
_TEXT = r"not what this edgernn \(generator \d+\) generates from graph.onnx"


def _honest(inner: str) -> str:
    """Return the recipe of the bundle that has the artifact."""
    return f"c {inner.partition('-')[2] or 'float32'}"


def _wrong(
    name: str, imitates: str, apply: Apply, inner: str = STEP, caught: tuple[str, ...] = _DRIFTS
) -> Fault:
    """What is written by a faulty edgernn: its text is trusted, and what it computes tells."""
    says = _ANY if caught == _DRIFTS else "."
    return Fault(
        name, imitates, apply, caught, says, honest=_honest(inner), artifact=inner, trust=True
    )


def _other(name: str, imitates: str, apply: Apply, inner: str, says: str, *caught: str) -> Fault:
    """What does not belong together in a bundle."""
    return Fault(name, imitates, apply, caught, says, honest=_honest(inner), artifact=inner)


_GENERATOR = (
    _wrong(
        "C: gates in torch's order",
        "rows of a panel in another order than the text takes them",
        as_generated(gates_in_torchs_order, FOUR),
        FOUR,
    ),
    _wrong(
        "C: scales of the row before",
        "an index that is off by one",
        as_generated(scales_of_the_row_before, FOUR),
        FOUR,
    ),
    _wrong(
        "C: halves of a byte exchanged",
        "a packer of the other convention",
        as_generated(half_bytes_exchanged, FOUR),
        FOUR,
    ),
    _wrong(
        "C: table rows off by one",
        "a table packed from its second row on",
        as_generated(table_off_by_one, FOUR),
        FOUR,
    ),
    _wrong("C: biases dropped", "a packer that takes none", as_generated(no_bias)),
    _wrong("C: h and c swapped", "members in another order", as_generated(states_swapped)),
    _wrong(
        "C: the state of another layer",
        "a view without its offset",
        on_text(r"\(?state->h \+ (?!0\b)\d+\)?", "(state->h + 0)"),
    ),
    _wrong(
        "C: a state is not written",
        "a copy that was taken for needless",
        on_text(r"\(?state->c(?: \+ \d+\))?\[[^\]]*\] = [^;]+;", ";"),
    ),
    _wrong(
        "C: another row of a table",
        "an id that is counted from 1",
        on_text(r"net_row\(in_tokens\[0\], ", "net_row(in_tokens[0] + 1, "),
    ),
    _wrong(
        "C: a column is left out of a sum",
        "a loop that ends early",
        on_text(r"k < n0;", "k < n0 - 1;"),
    ),
    _wrong(
        "C: gates of a unit beside it",
        "an index of the loop that is off by one",
        on_text(r"net_tanh\((\w+)\[(\d+) \+ i0\]\)", r"net_tanh(\1[\2 + (i0 + 1) % 16])"),
    ),
    _wrong(
        "C: it keeps what it counts",
        "memory that is not of the call",
        on_text(
            r"return NET_STEP_OK;",
            "static float calls = 0.0f; calls += 0.01f; out_logits[0] += calls; "
            "return NET_STEP_OK;",
        ),
        caught=("invariance",),
    ),
)
_KERNELS = (
    _wrong(
        "C: tanh of 8 bits",
        "a table in the place of the rational",
        on_text(r"return x \* p / q;", "return (float)(int)(x * p / q * 128.0f) / 128.0f;"),
    ),
    _wrong(
        "C: tanh of 12 bits",
        "a table in the place of the rational",
        on_text(r"return x \* p / q;", "return (float)(int)(x * p / q * 2048.0f) / 2048.0f;"),
    ),
    _wrong(
        "C: tanh ends at 2",
        "a limit that was set too low",
        on_text(r"7\.90531111f", "2.0f"),
    ),
    _wrong(
        "C: activations of 4 bits",
        "as many levels as another kernel takes",
        on_text(r"32767\.0f", "7.0f", EIGHT),
        EIGHT,
        ("rollout", "text"),
    ),
    _wrong(
        "C: activations of 8 bits where 16 are said",
        "as many levels as another kernel takes",
        on_text(r"32767\.0f", "127.0f", EIGHT),
        EIGHT,
        ("graph",),
    ),
    _wrong(
        "C: one scale 5 % off",
        "a scale of another width, rounded once more",
        as_generated(one_scale_off, EIGHT),
        EIGHT,
        ("graph",),
    ),
    _wrong(
        "C: a row of a panel without its last weights",
        "a lane that is not filled",
        as_generated(one_row_cut, EIGHT),
        EIGHT,
        ("graph",),
    ),
    _wrong(
        "C: the unit of the vector before",
        "a unit that is not made anew",
        on_text(r"(slot\d+\[0\]) = net_unit\(peak, [\d.]+f\);", r"\1 = 1.0f / 32767.0f;", EIGHT),
        EIGHT,
    ),
    _wrong(
        "C: the largest of half a vector",
        "a loop that ends early: others overflow",
        on_text(r"(uint32_t net_peak\(.*?\n\{\n    for \(int i = 0; i < )n;", r"\1n / 4;", BYTES),
        BYTES,
        ("rollout",),
    ),
    _wrong(
        "C: a bit of a weight",
        "a flash cell",
        on_weights(one_bit),
    ),
    _wrong(
        "C: the last line of the weights is zeros",
        "a file cut and filled up",
        on_weights(last_block_lost),
    ),
)


def _another_contract(folder: Path) -> None:
    path = folder / STEP / "contract.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"layers": 2', '"layers": 1').replace('"layers":2', '"layers":1'))
    sign(folder, STEP)


def _literals_of_another(folder: Path) -> None:
    path = folder / "c/lib/literals/step.weights.c"
    text = path.read_text(encoding="ascii")
    path.write_text(text.replace("\\0", "\\1", 1), encoding="ascii")
    sign(folder, "c/lib/literals/step.weights.c")


_BUNDLE = (
    _other(
        "C: text changed, digests made right",
        "a program slipped in",
        on_text(r"return NET_STEP_OK;", "out_logits[0] += 1.0f; return NET_STEP_OK;"),
        STEP,
        _TEXT,
        "structure",
    ),
    Fault(
        "C: text of another generator",
        "a program slipped in that names another version",
        on_text(r"generator \d+\.", "generator 999."),
        ("structure",),
        f"{_TEXT}; the text names generator 999",
        honest=_honest(STEP),
        artifact=STEP,
        strict=True,
    ),
    _other(
        "C: weights changed, digests made right",
        "a file of another training",
        on_weights(one_bit),
        STEP,
        _TEXT,
        "structure",
    ),
    _other(
        "C: a header of other sizes",
        "a file of another model",
        on_text(r"hidden=16", "hidden=8", name="step.h"),
        STEP,
        r"h has shape \[2, 1, 8\], expected \[2, 1, 16\]",
        "contract",
    ),
    _other(
        "C: another contract in the folder",
        "a file of another model",
        _another_contract,
        STEP,
        ".",
        "contract",
    ),
    _other(
        "C: options of fewer bits beside the text",
        "one file of two exports",
        on_options(EIGHT, again=False, activations=8),
        EIGHT,
        _TEXT,
        "structure",
    ),
    _other(
        "C: fewer bits than the label says",
        "a faster file under the name of a better one",
        on_options(EIGHT, again=True, activations=7),
        EIGHT,
        r"activations of 7 bits",
        "structure",
    ),
    _other(
        "C: another graph, its text generated from it",
        "gates that were not reordered",
        on_graph(gates_in_torchs_order, FOUR),
        FOUR,
        _ANY,
        *_DRIFTS,
    ),
    _other(
        "C: a graph with h and c swapped, its text generated from it",
        "outputs in another order",
        on_graph(states_swapped),
        STEP,
        _ANY,
        *_DRIFTS,
    ),
    _other(
        "C: scales of the row before, in graph and text",
        "an index that is off by one",
        on_graph(scales_of_the_row_before, FOUR),
        FOUR,
        _ANY,
        *_DRIFTS,
    ),
    _other(
        "C: packed weights of another text",
        "a library left from an older export",
        _literals_of_another,
        STEP,
        r"literals.* not what",
        "libraries",
    ),
)
FAULTS = (*_GENERATOR, *_KERNELS, *_BUNDLE)
