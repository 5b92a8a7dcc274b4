"""The structure of an ONNX file that decodes in the graph: where each number comes from, and what
may decide.

Such a file repeats and chooses by its nature. So not its shapes are followed, but what each tensor
was made from: the sizes of axes and the counters of loops (``SIZE``), the caller's settings
(``length``, ``beam``, …), or data. A loop's count must come from sizes and settings alone, and no
comparison, choice or branch may be decided by sizes, the length and constants alone: a text of 100
tokens is written as one of 10 is.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgernn.contract.in_graph import (
    BEAM,
    LENGTH,
    PROMPT,
    STOP,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    UNIFORMS,
)
from edgernn.contract.interface import Interface
from edgernn.parity.structure.onnx_rules import REFUSED, is_known
from edgernn.parity.structure.shape_rules import unknown
from edgernn.parity.structure.sizes import SizeError
from edgernn.sessions.ort.graph import OnnxGraph, OnnxNode

SIZE, DATA = "the size of an axis or a count", "data"
_SETTINGS = frozenset((LENGTH, BEAM, TEMPERATURE, TOP_K, TOP_P, STOP))
_COUNTS = frozenset((SIZE, LENGTH))  # what may not decide by itself
_DECIDING = frozenset(
    (
        "Abs",
        "Clip",
        "Equal",
        "Floor",
        "Greater",
        "GreaterOrEqual",
        "If",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Sign",
    )
) | {"Where"}
_READS_SIZE = frozenset(("Range", "Shape", "Size"))
_LISTS = frozenset((PROMPT, STOP, UNIFORMS))  # of any length, every element of which counts
_PARTS = frozenset(("Compress", "GatherND", "Pad", "Slice", "Split", "TopK", "Unique"))
_PASSING = frozenset(("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"))
_HERE = frozenset(("Compress", "If", "Loop"))  # refused elsewhere
Sources = frozenset[str]
Scope = dict[str, Sources]


def follow_decoder(graph: OnnxGraph, interface: Interface) -> int:
    """Follow where every number of ``graph`` comes from; return how many operators there are.

    Raises:
        SizeError: a size decides, a loop's count comes from data, random numbers are drawn, or only
            a part of the prompt, the stop tokens or the uniform numbers is read.
        UnknownError: an operator is not known.
    """
    scope: Scope = {
        tensor.name: frozenset((tensor.name if tensor.name in _SETTINGS else DATA,))
        for tensor in interface.inputs
    }
    _refuse_parts(graph)
    _follow(graph, scope)
    return sum(1 for _ in graph.all_nodes())


def _follow(graph: OnnxGraph, outer: Mapping[str, Sources]) -> Scope:
    scope: Scope = {**outer, **dict.fromkeys(graph.constants, frozenset())}
    shapes_only = _read_as_shapes(graph)
    for node in graph.nodes:
        what = f"{node.op} ({node.name or node.outputs[0]})"
        if node.op in REFUSED and node.op not in _HERE:
            raise SizeError(f"{what} {REFUSED[node.op]}")
        if node.op not in _HERE and not is_known(node.op):
            raise unknown(what)
        given = [scope.get(name, frozenset()) for name in node.inputs if name]
        decides = given[:1] if node.op in {"If", "Where"} else given
        if (
            node.op in _DECIDING
            and not shapes_only.issuperset(node.outputs)
            and _of_sizes_alone(decides)
        ):
            raise SizeError(f"{what} is decided by {SIZE} alone")
        scope.update(dict.fromkeys(node.outputs, _made(node, given, scope, what)))
    return scope


def _made(node: OnnxNode, given: list[Sources], scope: Scope, what: str) -> Sources:
    """Return what an operator's results are made from; a loop is followed until nothing is
    added.
    """
    made = frozenset((SIZE,)) if node.op in _READS_SIZE else frozenset().union(*given)
    if node.op != "Loop":
        for inner in node.graphs():
            inside = _follow(inner, scope)
            made = made.union(*(inside.get(name, frozenset()) for name in inner.outputs))
        return made
    if node.inputs[0] and DATA in scope.get(node.inputs[0], frozenset()):
        raise SizeError(
            f"{what} repeats as often as data says, expected {LENGTH} or the size of an input"
        )
    (body,) = node.graphs()
    number, going_on, *carried = body.inputs
    before = [scope.get(name, frozenset()) for name in node.inputs[2:]]
    while True:
        start = {
            **scope,
            number: frozenset((SIZE,)),
            going_on: made,
            **dict(zip(carried, before, strict=True)),
        }
        inside = _follow(body, start)
        after = [inside.get(name, frozenset()) for name in body.outputs]
        grown = [old | new for old, new in zip(before, after[1:], strict=False)]
        if grown == before:
            return made.union(*after)
        before = grown


def _refuse_parts(graph: OnnxGraph) -> None:
    """Raise SizeError where a fixed part of an input of any length is taken: what comes after it
    would not count.
    """
    whole = set(_LISTS)
    for node in graph.all_nodes():
        if node.inputs and node.inputs[0] in whole:
            if node.op in _PARTS:
                raise SizeError(
                    f"{node.op} ({node.name or node.outputs[0]}) takes a part of "
                    f"{node.inputs[0]}, expected all"
                )
            whole.update(node.outputs if node.op in _PASSING else ())


def _of_sizes_alone(given: list[Sources]) -> bool:
    made = frozenset().union(*given)
    return bool(made) and made <= _COUNTS


def _read_as_shapes(graph: OnnxGraph) -> frozenset[str]:
    """Return the tensors that are read only to state the shape of an expansion, as torch's exporter
    writes one.
    """
    readers: dict[str, set[tuple[str, int, str]]] = {}
    for node in graph.nodes:
        for place, name in enumerate(node.inputs):
            readers.setdefault(name, set()).add((node.op, place, node.outputs[0]))
    expanded = {
        name
        for name, found in readers.items()
        if all((op, place) == ("Expand", 1) for op, place, _ in found)
    }
    chosen = {
        name
        for name, found in readers.items()
        if all((op, place) == ("Where", 0) and output in expanded for op, place, output in found)
    }
    return frozenset(expanded | chosen)
