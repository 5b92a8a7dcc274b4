"""What must hold between the parts of a contract, beyond the type of each: what the floors above
rely on.

Each rule returns one line that says what is wrong, or an empty text. ``contract`` and ``manifest``
ask them when they read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgernn.contract import Contract, Decoding, GraphSpec, Narrowing, TensorSpec

MOST_ELEMENTS = 1 << 26  # of one tensor for one row and one time step: 256 MiB in float32
_ROLES = {  # graph → roles of its inputs, roles of its outputs
    "encode": ({"input"}, {"context", "state", "output"}),
    "step": ({"input", "context", "state"}, {"output", "state"}),
}
_OPEN = ("batch", "time")  # axes whose size a caller may choose
_TOKENS = ("int64", ("batch", "time"), "vocab")
_LOGITS = ("float32", ("batch", "time", "vocab"))
_IMAGE = ("uint8", ("batch", "height", "width", "channels"))


def graph_problem(graph: GraphSpec) -> str:
    """Say what is wrong with one graph: names, roles, or that it takes or gives nothing."""
    names = [tensor.name for tensor in (*graph.inputs, *graph.outputs)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"{graph.name} has two tensors of the name {twice[0]}"
    for tensors, roles, kind in zip(
        (graph.inputs, graph.outputs), _ROLES[graph.name], ("input", "output"), strict=True
    ):
        strange = next((f"{t.name} ({t.role})" for t in tensors if t.role not in roles), None)
        if strange:
            return (
                f"{graph.name} cannot have the {kind} {strange}; the roles there are "
                f"{', '.join(sorted(roles))}"
            )
    if not graph.fresh_inputs or not (
        graph.outputs if graph.name == "encode" else graph.read_outputs
    ):
        return f"{graph.name} takes or gives nothing"
    return ""


def size_problem(tensors: Iterable[TensorSpec], sizes: Mapping[str, int]) -> str:
    """Say which axis has no size that needs one, or which tensor no memory should be asked for."""
    for tensor in tensors:
        lacking = [axis for axis in tensor.axes if axis not in sizes and axis not in _OPEN]
        lacking += [tensor.below] if tensor.below is not None and tensor.below not in sizes else []
        if lacking:
            return f"sizes has no {lacking[0]}, which {tensor.name} needs"
        elements = math.prod(sizes.get(axis, 1) for axis in tensor.axes)
        if elements > MOST_ELEMENTS:
            return (
                f"{tensor.name} has {elements:,} values for one row and one step, expected "
                f"{MOST_ELEMENTS:,} or fewer"
            )
    return ""


def family_problem(contract: Contract) -> str:
    """Say why ``contract`` is neither a language model's nor a captioner's, which are all that
    schema version 1 describes.
    """
    step, encode = contract.step, contract.encode
    fresh = [(t.name, t.dtype, t.axes, t.below) for t in step.fresh_inputs]
    if fresh != [("tokens", *_TOKENS)]:
        return (
            f"step takes {[t.name for t in step.fresh_inputs]}, expected tokens [batch, time], "
            "int64 below vocab"
        )
    logits = step.read_outputs[0]
    if logits.name != "logits" or (logits.dtype, logits.axes) != _LOGITS:
        return (
            f"step gives {[t.name for t in step.read_outputs]}, expected logits [batch, time, "
            "vocab], float32, first"
        )
    strange = next((t.name for t in step.read_outputs[1:] if t.axes[:2] != _OPEN), None)
    strange = strange or next(
        (t.name for t in (*step.states, *step.contexts) if t.axes.count("batch") != 1), None
    )
    if strange:
        return f"{strange} has other axes than those of a row for each text"
    return "" if encode is None else _encode_problem(encode, contract.sizes)


def _encode_problem(encode: GraphSpec, sizes: Mapping[str, int]) -> str:
    image = [(t.name, t.dtype, t.axes) for t in encode.inputs]
    if image != [("image", *_IMAGE)]:
        return (
            f"encode takes {[t.name for t in encode.inputs]}, expected image [batch, height, "
            "width, channels], uint8"
        )
    height, width, channels, time = (
        sizes.get(name) for name in ("height", "width", "channels", "time")
    )
    if height != width or channels != 3 or time != 1:
        return (
            f"a picture is {height}×{width}×{channels} and a step {time} words, expected a square "
            "of 3 channels and 1 word"
        )
    return ""


def narrowing_problem(narrowing: Narrowing, contract: Contract) -> str:
    """Say which axis a file narrows that the contract has not, or has in another size, or which
    tensor it has not.
    """
    tensors = [tensor for graph in contract.graphs for tensor in (*graph.inputs, *graph.outputs)]
    axes = {axis for tensor in tensors for axis in tensor.axes}
    for axis, size in narrowing.axes.items():
        if axis not in axes or contract.sizes.get(axis, size) != size:
            return (
                f"a file narrows {axis} to {size}, the contract has "
                f"{contract.sizes.get(axis, 'no such axis')}"
            )
    unknown = sorted(narrowing.dtypes.keys() - {tensor.name for tensor in tensors})
    return f"a file gives the dtype of {unknown[0]}, which the contract has not" if unknown else ""


def decoding_problem(decoding: Decoding, contract: Contract) -> str:
    """Say which id of ``decoding`` the vocabulary has not."""
    size = min(
        contract.sizes[tensor.below] for tensor in contract.step.fresh_inputs if tensor.below
    )
    for name in ("start", "stop", "suppress"):
        outside = [found for found in getattr(decoding, name) if found >= size]
        if outside:
            return f"decoding.{name} has the id {outside[0]}, the vocabulary has {size} ids from 0"
    if len(set(decoding.suppress)) >= size:
        return "decoding.suppress leaves no token that may be written"
    return ""
