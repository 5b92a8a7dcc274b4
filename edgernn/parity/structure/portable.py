"""Whether an ONNX file asks for nothing that some runtime lacks, or leaves out without a word.

Seen in runtimes of the field: the activations, clip and ``input_forget`` of recurrent operators are
ignored (a network of ReLU runs as tanh), ``direction="reverse"`` runs forwards, ``layout`` and
peepholes are left out, a GRU resets after the product whatever its attribute says; and loops,
branches and operators of a vendor's domain are refused. A portable file has none of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgernn.parity.structure.stored_onnx import RECURRENT
from edgernn.sessions.ort.graph import OnnxModel, OnnxNode

STANDARD = frozenset(("", "ai.onnx"))  # the default domain of operators, by its two names
_WAYS = frozenset(("forward", "bidirectional"))
_LENGTHS, _PEEPHOLES = 4, 7  # places of inputs
_CONTROL = frozenset(("If", "Loop", "Scan"))


def portable_problems(model: OnnxModel) -> list[str]:
    """Return in words what ``model`` asks for that some runtime lacks or leaves out; none where it
    is portable.
    """
    strange = sorted(set(model.domains) - STANDARD)
    problems = [f"it asks for operators of the domain {domain!r}" for domain in strange]
    problems += ["it brings functions of its own"] if model.functions else []
    for node in model.graph.all_nodes():
        problems += [f"{node.op} ({_called(node)}) {what}" for what in _of_node(node)]
    return problems


def _of_node(node: OnnxNode) -> Iterator[str]:
    if node.domain not in STANDARD:
        yield f"is an operator of the domain {node.domain!r}"
    elif node.op in _CONTROL:
        yield "branches or repeats, which some runtimes refuse"
    elif node.op in RECURRENT:
        yield from _of_recurrent(node)


def _of_recurrent(node: OnnxNode) -> Iterator[str]:
    """Say what a recurrent operator has beyond its size and both directions."""
    attributes = dict(node.attributes)
    attributes.pop("hidden_size", None)
    way = attributes.pop("direction", "forward")
    if way not in _WAYS:
        yield f"has direction={way}, which some runtimes run forwards"
    if node.op == "GRU" and not attributes.pop("linear_before_reset", 0):
        yield "resets before the product, and some runtimes always do it after"
    for name in sorted(attributes):
        yield f"has the attribute {name}, which some runtimes leave out"
    for place, what in ((_LENGTHS, "lengths of sequences"), (_PEEPHOLES, "peepholes")):
        if len(node.inputs) > place and node.inputs[place]:
            yield f"has {what}, which some runtimes leave out"


def _called(node: OnnxNode) -> str:
    return node.name or (node.outputs[0] if node.outputs else "")
