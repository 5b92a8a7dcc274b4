"""The contract of a foreign graph whose states are explicit: every tensor by name, dtype and
axes, and the graph under those names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgernn.contract import BATCH, TIME, Contract, next_name
from edgernn.contract.build import build_contract
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.axes import DTYPES, Axis, Declared, fixed
from edgernn.hoisting.onnx.distinct import distinct
from edgernn.hoisting.onnx.editing import rename, sweep
from edgernn.hoisting.onnx.explicit import State
from edgernn.hoisting.onnx.flow import Flow
from edgernn.hoisting.onnx.names import tensor_name, unlike
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.sizes import Sizes, feeds
from edgernn.wording import did_you_mean

VOCAB = "vocab"
_KINDS = {name: kind for kind, name in DTYPES.items()}


@dataclass(frozen=True, eq=False)
class Promised:
    """A contract, and the names of the graph's tensors in it: input → name, output → name."""

    contract: Contract
    inputs: dict[str, str]
    outputs: dict[str, str]


def promise(
    model_proto: onnx.ModelProto,
    declared: Mapping[str, Declared],
    states: Sequence[State],
    probes: Sequence[Sizes],
    *,
    called: Mapping[str, str] | None = None,
) -> Promised:
    """Return the contract of the graph, whose outputs are looked at where it runs.

    Args:
        model_proto: the graph with every state as an input and an output.
        declared: its inputs, without the states.
        states: those.
        probes: sizes at which it runs.
        called: tensor of the graph → the name that a user gives it.

    Raises:
        UsageError: an output is neither of a row nor of a frame; or there is nothing to read.
    """
    afters = [state.after for state in states]
    reads = [v.name for v in model_proto.graph.output if v.name not in afters]
    if several := [n for n, own in declared.items() if any(a.each > 1 for a in own.axes)]:
        raise UntimedError(f"those of {several[0]} come so many at a time, as told")
    if not reads:
        raise UsageError("every output of the file is a state, so there is nothing to read of it")
    whole = {**declared, **{state.before: state.declared for state in states}}
    run = Runner(model_proto)
    runs = [run(feeds(whole, sizes)) for sizes in probes]
    names = _names(declared, states, reads, called or {})
    read = {name: _output(name, names[1][name], runs, probes) for name in reads}
    _refuse_untimed(declared, read)
    declared, read = _with_scores(declared, read)
    kept = {state.before: state.declared for state in states}
    declared, kept, read = distinct((declared, names[0]), (kept, names[0]), (read, names[1]))
    contract = build_contract(
        inputs=_texts(declared, names[0]),
        states=_texts(kept, names[0]),
        outputs=_texts(read, names[1]),
        initial_state={names[0][s.before]: "stored" for s in states if s.first is not None},
    )
    return Promised(contract, *names)


def _with_scores(
    declared: Mapping[str, Declared], read: Mapping[str, Declared]
) -> tuple[dict[str, Declared], dict[str, Declared]]:
    """Call the axis of ids and that of the one output with a score for each of them alike."""
    inputs, outputs = dict(declared), dict(read)
    ids = [own for own in declared.values() if own.below is not None]
    size = ids[0].below.size if len(ids) == 1 and ids[0].below is not None else None
    scores = [own for own in read.values() if own.axes and own.axes[-1].size == size]
    if size is not None and size > 1 and len(scores) == 1:
        vocab = Axis(VOCAB, size, ours=True)
        inputs[ids[0].name] = replace(ids[0], below=vocab)
        outputs[scores[0].name] = replace(scores[0], axes=(*scores[0].axes[:-1], vocab))
    return inputs, outputs


def _names(
    inputs: Iterable[str],
    states: Sequence[State],
    reads: Sequence[str],
    called: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, str]]:
    """Return names of the contract by the graph's own: of inputs and states, and of outputs."""
    before = [*inputs, *(state.before for state in states)]
    if unknown := [name for name in called if name not in {*before, *reads}]:
        raise UsageError(
            f"--rename names {unknown[0]!r}, which is no input, state or output; they are "
            f"{', '.join([*before, *reads])}{did_you_mean(unknown[0], [*before, *reads])}"
        )
    given: dict[str, str] = {}
    for name in before:
        given[name] = unlike(called.get(name) or tensor_name(name), given.values())
    made = {state.after: next_name(given[state.before]) for state in states}
    for name in reads:
        own = called.get(name) or tensor_name(name)
        made[name] = unlike(own, (*given.values(), *made.values()))
    return given, made


def _texts(tensors: Mapping[str, Declared], names: Mapping[str, str]) -> dict[str, str]:
    def axis(own: Axis) -> str:
        return own.name if own.size is None else f"{own.name}={own.size}"

    found = {}
    for name, own in tensors.items():
        below = "" if own.below is None else f" below {axis(own.below)}"
        found[names[name]] = f"{own.dtype}[{', '.join(map(axis, own.axes))}]{below}"
    return found


def _output(
    name: str, called: str, runs: Sequence[Mapping[str, np.ndarray]], probes: Sequence[Sizes]
) -> Declared:
    """Return an output with its axes, by how they follow the sizes that go in."""
    shapes = [made[name].shape for made in runs]
    if len({len(shape) for shape in shapes}) > 1:
        raise UsageError(f"the output {name} has {list(map(list, shapes))}: its rank is not fixed")
    axes = []
    for place, sizes in enumerate(zip(*shapes, strict=True)):
        axes.append(_axis(called, place, sizes, probes, rank=len(shapes[0])))
        if axes[-1] is None:
            told = [", ".join(f"{axis} {size}" for axis, size in p.items()) for p in probes]
            raise UsageError(
                f"the output {name} has {list(sizes)} along axis {place} at {told}: neither batch "
                "nor time; say how many frames a step takes, as --inputs "
                '"x: float32[batch, time=4, 40]"'
            )
    dtype = runs[0][name].dtype.name
    return Declared(name, dtype, tuple(axis for axis in axes if axis is not None))


def _axis(
    name: str, place: int, found: tuple[int, ...], probes: Sequence[Sizes], *, rank: int
) -> Axis | None:
    for axis in (BATCH, TIME):
        if list(found) == [sizes.get(axis) for sizes in probes]:
            return Axis(axis)
    return fixed(name, place, found[0], rank) if len(set(found)) == 1 else None


class UntimedError(UsageError):
    """What comes out is of a whole call, so a call is one step."""


def _refuse_untimed(declared: Mapping[str, Declared], read: Mapping[str, Declared]) -> None:
    """Raise UntimedError where frames go in and one value of a whole call comes out."""
    timed = [name for name, own in declared.items() if own.place(TIME) is not None]
    untimed = [name for name, own in read.items() if own.place(TIME) is None]
    if timed and untimed:
        own = declared[timed[0]]
        axes = ", ".join(
            "frames=512"
            if axis.name == TIME
            else axis.name
            if axis.size is None
            else str(axis.size)
            for axis in own.axes
        )
        raise UntimedError(
            f"the output {untimed[0]} has one value a call, however many frames of {timed[0]} go "
            f'in; say how many frames a call takes, as --inputs "{timed[0]}: {own.dtype}[{axes}]"'
        )


def dressed(
    model_proto: onnx.ModelProto, promised: Promised, *, name: str = "step"
) -> onnx.ModelProto:
    """Return the graph with the contract's tensors, under its names and in its order."""
    made = onnx.ModelProto()
    made.CopyFrom(model_proto)
    graph, spec = made.graph, promised.contract.step
    sweep(graph)
    flow = Flow(graph)
    called = {*promised.inputs.values(), *promised.outputs.values()}
    mapping = dict(promised.inputs)
    for output, own in promised.outputs.items():
        if output in flow.makers and output not in mapping:
            mapping[output] = own
        else:  # a constant, or an input as it came
            graph.node.append(helper.make_node("Identity", [output], [own]))
    inner = {n for node in graph.node for n in (*node.input, *node.output)} | {*flow.constants}
    for clash in sorted(inner & called - mapping.keys() - _just_made(graph, called)):
        mapping[clash] = unlike(f"inner_{clash}", inner | called)
    for node in graph.node:
        rename(node, mapping)
    for tensor in graph.initializer:
        tensor.name = mapping.get(tensor.name, tensor.name)
    sizes = promised.contract.sizes
    for field, tensors in ((graph.input, spec.inputs), (graph.output, spec.outputs)):
        del field[:]
        for tensor in tensors:
            shape = [sizes.get(axis, axis) for axis in tensor.axes]
            field.append(helper.make_tensor_value_info(tensor.name, _KINDS[tensor.dtype], shape))
    graph.name = name
    return made


def _just_made(graph: onnx.GraphProto, called: set[str]) -> set[str]:
    return {
        node.output[0]
        for node in graph.node
        if node.op_type == "Identity" and node.output[0] in called and not node.name
    }


def kind_of(dtype: str) -> int:
    """Return ONNX's number of a dtype."""
    return int(_KINDS.get(dtype, TensorProto.UNDEFINED))


def with_states(
    graph: onnx.GraphProto, states: Iterable[State], outer: Mapping[str, Declared]
) -> None:
    """Declare states that the graph has not in its interface as inputs and outputs of it, and its
    own inputs as a caller gives them, in place.
    """
    names = [{value.name for value in field} for field in (graph.input, graph.output)]
    for state in states:
        if state.before not in names[0]:
            kind = kind_of(state.declared.dtype)
            shape = [axis.size or axis.name for axis in state.declared.axes]
            graph.input.append(helper.make_tensor_value_info(state.before, kind, shape))
        if state.after not in names[1]:
            graph.output.append(helper.make_empty_tensor_value_info(state.after))
    for value in graph.input:
        if value.name in outer:
            del value.type.tensor_type.shape.dim[:]
            for axis in outer[value.name].axes:
                dim = value.type.tensor_type.shape.dim.add()
                if axis.size is None:
                    dim.dim_param = axis.name
                else:
                    dim.dim_value = axis.size


def renamed(promised: Promised, own: Iterable[str]) -> dict[str, str]:
    """Return name of the file → name in the contract, of those of ``own`` that differ."""
    both = {**promised.outputs, **promised.inputs}
    return {old: both[old] for old in own if both.get(old, old) != old}
