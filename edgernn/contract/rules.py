"""What must hold between the parts of a contract, beyond the type of each: what the floors above
rely on.

Each rule returns one line that says what is wrong, or an empty text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgernn.contract.file import Decoding, Narrowing
    from edgernn.contract.spec import Contract, GraphSpec, TensorSpec

MOST_ELEMENTS = 1 << 26  # of one tensor for one row and one time step: 256 MiB in float32
_ROLES = {  # graph → roles of its inputs, roles of its outputs
    "encode": ({"input"}, {"context", "state", "output"}),
    "step": ({"input", "context", "state"}, {"output", "state"}),
}
_ALONE = ("input", "output")  # roles of tensors that one graph alone has
_OPEN = ("batch", "time")  # axes whose size a caller may choose


def graph_problem(graph: GraphSpec) -> str:
    """Say what is wrong with one graph: names, roles, axes, or that it takes or gives nothing."""
    tensors = (*graph.inputs, *graph.outputs)
    names = [tensor.name for tensor in tensors]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"{graph.name} has two tensors of the name {twice[0]}"
    for found, roles, kind in zip(
        (graph.inputs, graph.outputs), _ROLES[graph.name], ("input", "output"), strict=True
    ):
        strange = next((f"{t.name} ({t.role})" for t in found if t.role not in roles), None)
        if strange:
            return (
                f"{graph.name} cannot have the {kind} {strange}; the roles there are "
                f"{', '.join(sorted(roles))}"
            )
    gives = graph.outputs if graph.name == "encode" else graph.read_outputs
    if not graph.fresh_inputs or not gives:
        return f"{graph.name} takes or gives nothing"
    return next(filter(None, map(_tensor_problem, tensors)), "")


def _tensor_problem(tensor: TensorSpec) -> str:
    twice = [axis for axis in _OPEN if tensor.axes.count(axis) > 1]
    if twice:
        return f"{tensor.name} has the axis {twice[0]} twice"
    if tensor.role in {"state", "context"} and "time" in tensor.axes:
        return f"the {tensor.role} {tensor.name} has the axis time, which is of a call's inputs"
    if tensor.below is not None and not tensor.is_ids:
        return f"{tensor.name} is {tensor.dtype} and below {tensor.below}; only integers can be"
    return ""


def pairing_problem(step: GraphSpec) -> str:
    """Say which state does not come out as it went in."""
    came_out = {tensor.name for tensor in step.outputs if tensor.role == "state"}
    if came_out != {f"{tensor.name}_next" for tensor in step.states}:
        return (
            f"every state must come in as NAME and out as NAME_next; outputs have "
            f"{sorted(came_out)}"
        )
    after = {t.name: (t.dtype, t.axes) for t in step.outputs}
    for tensor in step.states:
        if after[f"{tensor.name}_next"] != (tensor.dtype, tensor.axes):
            return f"the state {tensor.name} comes out with another dtype or other axes"
    return ""


def first_state_problem(contract: Contract) -> str:
    """Say which context or first state ``encode`` does not give, or gives unasked."""
    step, encode = contract.step, contract.encode
    if unknown := sorted(contract.initial_state.keys() - {state.name for state in step.states}):
        return f"initial_state names {unknown[0]}, which is no state"
    given = {tensor.name: tensor for tensor in encode.outputs} if encode else {}
    starting = contract.starting("encode")
    lacking = [t.name for t in (*step.contexts, *starting) if given.get(t.name) != t]
    if lacking:
        return f"step takes {lacking} from encode, which does not give them"
    unasked = [t.name for t in given.values() if t.role == "state" and t not in starting]
    if unasked:
        return f"encode gives the state {unasked[0]}, which starts otherwise"
    return "" if encode is None else _twice_problem(encode, step)


def _twice_problem(encode: GraphSpec, step: GraphSpec) -> str:
    """Say which name means one tensor in ``encode`` and another in ``step``."""
    alone = [t.name for t in (*encode.inputs, *encode.outputs) if t.role in _ALONE]
    taken = {tensor.name for tensor in (*step.inputs, *step.outputs)}
    twice = next((name for name in alone if name in taken), None)
    return (
        f"encode and step both have {twice}, each a tensor of its own; rename one" if twice else ""
    )


def axes_problem(contract: Contract) -> str:
    """Say which axis has no size that needs one, or how the frames of a step do not fit."""
    encode = contract.encode
    chosen = (*encode.inputs, *encode.contexts) if encode else ()  # encode chooses their open axes
    open_axes = {*_OPEN, *(axis for tensor in chosen for axis in tensor.axes)}
    tensors = (t for graph in contract.graphs for t in (*graph.inputs, *graph.outputs))
    if problem := _size_problem(tensors, contract, open_axes):
        return problem
    frames, time = contract.step_frames, contract.sizes.get("time")
    if frames > 1 and not contract.step.has_time:
        return f"a step takes {frames} frames, but no input of step has the axis time"
    if time is not None and time != frames and contract.step.has_time:
        return (
            f"time is {time}, and a step takes {frames}: a call of one size is one step, so give "
            f"step_frames {time}, or leave time open"
        )
    return ""


def _size_problem(tensors: Iterable[TensorSpec], contract: Contract, open_axes: set[str]) -> str:
    sizes = contract.sizes
    for tensor in tensors:
        lacking = [axis for axis in tensor.axes if axis not in sizes and axis not in open_axes]
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


def decoding_problem(decoding: Decoding | None, contract: Contract) -> str:
    """Say why there can be no such decoding defaults, or which id the vocabulary has not."""
    if decoding is None:
        return ""
    ids = contract.step.ids
    if ids is None or ids.below is None or contract.step.scores is None:
        return "there are decoding defaults, but step takes no ids and gives no scores of them"
    size = contract.sizes[ids.below]
    for name in ("start", "stop", "suppress"):
        outside = [found for found in getattr(decoding, name) if found >= size]
        if outside:
            return f"decoding.{name} has the id {outside[0]}, the vocabulary has {size} ids from 0"
    if len(set(decoding.suppress)) >= size:
        return "decoding.suppress leaves no token that may be written"
    return ""
