"""The structure of an ONNX step or encode graph: every operator followed with batch and time as
unknowns.

``onnx_table`` says for each operator what it does to shapes. What branches, repeats, draws random
numbers or has a size that depends on data is refused by name; an operator that is in no table is
not known, and then nothing is proved.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from edgernn.contract import TIME, next_name
from edgernn.contract.interface import FileTensor, Interface
from edgernn.parity.structure import places
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.onnx_call import Call, constant
from edgernn.parity.structure.onnx_places import follow_places
from edgernn.parity.structure.onnx_table import TABLE, Handler
from edgernn.parity.structure.sizes import SizeError, UnknownError, Value, dim, is_open, shown
from edgernn.sessions.ort.graph import OnnxGraph

REFUSED = {
    **dict.fromkeys(("If", "Loop", "Scan"), "branches or repeats"),
    **dict.fromkeys(
        (
            "Bernoulli",
            "Multinomial",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
        ),
        "draws random numbers",
    ),
    **dict.fromkeys(
        ("Compress", "NonZero", "Unique", "NonMaxSuppression"),
        "has a result whose size depends on data",
    ),
}

_RECURRENT = frozenset(("GRU", "LSTM", "RNN"))
_MOVES = frozenset(
    ("Concat", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
)


def follow(graph: OnnxGraph, interface: Interface, lengths: Collection[str] = ()) -> int:
    """Follow every operator of ``graph``; return how many there are. ``lengths`` are those of
    ``places.fixed_lengths``.

    Raises:
        SizeError: something depends on a size, branches, draws or mixes; or an output has another
            shape than promised.
        UnknownError: an operator is not known.
    """
    values: dict[str, Value] = {name: constant(tensor) for name, tensor in graph.constants.items()}
    values |= {
        tensor.name: input_of(tensor, interface, fixed=tensor.name in lengths)
        for tensor in interface.inputs
    }
    for node in graph.nodes:  # first, for these say most
        if node.op in REFUSED:
            raise SizeError(f"{node.op} ({node.name or node.outputs[0]}) {REFUSED[node.op]}")
    moved = {tensor.name for tensor in interface.inputs if values[tensor.name].part is not None}
    for node in graph.nodes:
        lost = [name for name in node.inputs if name and name not in values]
        if lost:
            raise SizeError(
                f"{node.op} ({node.name or node.outputs[0]}) reads {lost[0]}, which is no "
                "input of the contract"
            )
        call = Call(node, [values[name] if name else None for name in node.inputs])
        handler = TABLE.get(node.op)
        if handler is None:
            raise rules.unknown(call.what)
        made = _made(handler, call, moved)
        if node.op in _MOVES and moved.issuperset(
            node.inputs if node.op == "Concat" else node.inputs[:1]
        ):
            moved.update(node.outputs)
        for name, value in zip(
            node.outputs, made if isinstance(made, list) else [made], strict=False
        ):
            values[name] = value
    check_outputs(values, interface)
    return len(graph.nodes)


def _made(handler: Handler, call: Call, moved: set[str]) -> Value | list[Value]:
    """Return what an operator makes; raise UnknownError where a recurrent one goes on from a state
    that was moved in a way that is not followed.
    """
    if call.node.op in _RECURRENT and is_open(call[0].dims[0]):
        for place in (5, 6):
            given = call.maybe(place)
            if given is not None and given.part is None and call.node.inputs[place] in moved:
                raise UnknownError(
                    f"{call.what} goes on from a state in another order of its elements, so "
                    "nothing is proved of any cut"
                )
    return follow_places(call, lambda: handler(call))


def is_known(op: str) -> bool:
    """Return whether an operator is in the table."""
    return op in TABLE


def input_of(tensor: FileTensor, interface: Interface, *, fixed: bool = False) -> Value:
    """Return what is known of an input; it is a state where an output is named after it. ``fixed``
    is for ``places.mark_ids``.
    """
    is_state = next_name(tensor.name) in {output.name for output in interface.outputs}
    dims = tuple(map(dim, tensor.shape or ()))
    value = rules.input_value(tensor.name, dims, is_state=is_state)
    return places.mark_ids(value, tensor.dtype, fixed=fixed)


def check_outputs(found: Mapping[str, Value], interface: Interface) -> None:
    """Raise SizeError where an output has another shape than promised at some size, or a state is
    not what its layers left.
    """
    timed = any(TIME in (tensor.shape or ()) for tensor in interface.inputs)
    for tensor in interface.outputs:
        wanted = tuple(map(dim, tensor.shape or ()))
        if tensor.name not in found:
            raise SizeError(f"the graph does not make {tensor.name}")
        value = found[tensor.name]
        if value.dims != wanted:
            raise SizeError(
                f"{tensor.name} has shape {shown(value.dims)}, expected {shown(wanted)}"
            )
        places.refuse_output(tensor.name, value)
        before = next(
            (given for given in interface.inputs if next_name(given.name) == tensor.name), None
        )
        if before is not None and timed:
            _check_state(tensor.name, value, input_of(before, interface))


def _check_state(name: str, value: Value, before: Value) -> None:
    """Where a call may have any number of steps, the next state must be what its own recurrent
    layers left, all of them.
    """
    wanted = before.part and replace(before.part, after=True)
    if wanted is None or value.part != wanted:
        raise UnknownError(
            f"{name} is not what recurrent layers left of a state, all of it, so nothing is "
            "proved of any cut"
        )
