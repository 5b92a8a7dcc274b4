"""A foreign ONNX file to a step with its state in and out: read, fold, find, make explicit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from edgernn.contract import BATCH, Contract
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.axes import Declared, declare, texts_of
from edgernn.hoisting.onnx.editing import bind
from edgernn.hoisting.onnx.explicit import (
    State,
    give_context,
    give_hidden,
    left_context,
    of_pairs,
    outer_of,
    widened,
)
from edgernn.hoisting.onnx.flow import Flow
from edgernn.hoisting.onnx.folding import fold, refuse_open_branches
from edgernn.hoisting.onnx.hidden import find_hidden
from edgernn.hoisting.onnx.interface import Interface
from edgernn.hoisting.onnx.pairing import BY_SHAPE, find_pairs, unpaired_likeness
from edgernn.hoisting.onnx.promising import (
    Promised,
    UntimedError,
    dressed,
    promise,
    renamed,
    with_states,
)
from edgernn.hoisting.onnx.reading import read_foreign
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.settling import Settled, settle, single_frames
from edgernn.hoisting.onnx.sizes import feeds, probes_of
from edgernn.hoisting.onnx.unexposed import (
    drop_copies_of_states,
    drop_full_lengths,
    give_unexposed,
)
from edgernn.hoisting.onnx.unflatten import unflatten
from edgernn.wording import counted


@dataclass(frozen=True)
class Wishes:
    """What a user may say of a foreign file.

    Attributes:
        inputs: axes of inputs, as ``x: float32[batch, time, 40]``.
        settings: input → the value that it is bound to.
        states: pairs ``IN=OUT``.
        left_context: input → how many of its frames before stand in front of each call.
        keep_restarts: leave operators that begin anew at every call as they are.
        renamed: input, state or output → what it is called in the contract.
    """

    inputs: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    states: tuple[str, ...] = ()
    left_context: Mapping[str, int] = field(default_factory=dict)
    keep_restarts: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ForeignStep:
    """A step made of a foreign file.

    Attributes:
        contract: of the step.
        model_proto: the step, with the contract's names.
        reference: the same without anything folded, where every state is in the file's interface.
        original: the file's own graph, bound and with its open axes open, under its own names.
        declared: the inputs of ``original``.
        states: what was found, in the contract's order.
        promised: the graph's names in the contract.
        first_state: state of the contract → its stored first value, one row.
        context: input of the file → axis and number of the past frames in front of it.
        warnings: what a user should know, a line each.
        by_prefix: whether what the file gives after some frames is its run over all of them.
    """

    contract: Contract
    model_proto: onnx.ModelProto
    reference: onnx.ModelProto
    original: onnx.ModelProto
    declared: Mapping[str, Declared]
    states: tuple[State, ...]
    promised: Promised
    first_state: Mapping[str, np.ndarray]
    context: Mapping[str, tuple[int, int]]
    warnings: tuple[str, ...]
    by_prefix: bool = False

    @property
    def renamed(self) -> dict[str, str]:
        """Name in the file → name in the contract, of those that differ."""
        graph = self.original.graph
        return renamed(self.promised, [value.name for value in (*graph.input, *graph.output)])


def read_step(path: Path, wishes: Wishes | None = None) -> ForeignStep:
    """Read the file at ``path`` and make its state explicit.

    Raises:
        UsageError: the file cannot be read, or is no step, or something is to be said of it; says
            what, and which option does.
        ContractError: onnxruntime does not run it.
    """
    wishes = wishes or Wishes()
    original = read_foreign(path)
    bind(original.graph, wishes.settings)
    declared = declare(original.graph, wishes.inputs)
    context = left_context(declared, wishes.left_context)
    outer, inner = widened(declared, context, told=texts_of(wishes.inputs))
    refuse_open_branches(original.graph, inner)
    settled = settle(original, inner)
    made = onnx.ModelProto()
    made.CopyFrom(original)
    fold(made, settled.declared, settled.probes)
    states, changed, warnings = _states(made, settled, wishes)
    outer = {
        name: outer_of(own, outer[name], context[name][0]) if name in context else own
        for name, own in settled.declared.items()
    }
    states += give_context(made.graph, outer, context, [*outer, *(s.before for s in states)])
    if not states:
        raise UsageError(_stateless(made, settled))
    with_states(made.graph, states, outer)
    promised, untimed = _promised(made, outer, states, settled, wishes)
    whole = made if changed else _with_context(original, states, outer=outer, context=context)
    return ForeignStep(
        contract=promised.contract,
        model_proto=dressed(made, promised),
        reference=dressed(whole, promised),
        original=original,
        declared=settled.declared,
        states=tuple(states),
        promised=promised,
        first_state={promised.inputs[s.before]: s.first for s in states if s.first is not None},
        context=context,
        warnings=(*settled.notes, *warnings, *([untimed] if untimed else [])),
        by_prefix=bool(untimed),
    )


def _promised(
    model_proto: onnx.ModelProto,
    outer: Mapping[str, Declared],
    states: Sequence[State],
    settled: Settled,
    wishes: Wishes,
) -> tuple[Promised, str]:
    """Return the contract, and in words why a step takes one frame; empty where it takes any
    number.
    """
    called = wishes.renamed
    given = {n: own for n, own in outer.items() if n not in {s.before for s in states}}
    try:
        return promise(model_proto, given, states, settled.probes, called=called), ""
    except UntimedError as error:  # what comes out is of the last frame
        given = single_frames(given)
        with_states(model_proto.graph, states, given)
        promised = promise(model_proto, given, states, probes_of(given), called=called)
        each = max(axis.each for own in outer.values() for axis in own.axes)
        return promised, f"a step takes {counted(each, 'frame')}: {error}"


def _with_context(
    original: onnx.ModelProto,
    states: Sequence[State],
    *,
    outer: Mapping[str, Declared],
    context: Mapping[str, tuple[int, int]],
) -> onnx.ModelProto:
    """Return the file's own graph with past frames in front, and nothing else changed."""
    whole = onnx.ModelProto()
    whole.CopyFrom(original)
    names = [*outer, *(state.before for state in states if state.own)]
    give_context(whole.graph, outer, context, names)
    with_states(whole.graph, states, outer)
    return whole


def _states(
    model_proto: onnx.ModelProto, settled: Settled, wishes: Wishes
) -> tuple[list[State], bool, list[str]]:
    """Find the states and make the hidden ones explicit, in place; return them, whether the graph
    was changed, and what to tell.
    """
    drop_full_lengths(model_proto, settled.declared, settled.probes)
    flattened = unflatten(model_proto, settled.declared, settled.probes)
    interface = _interface(model_proto, settled)
    pairs = find_pairs(interface, wishes.states)
    paired = frozenset(pair.input for pair in pairs)
    states = of_pairs(pairs, settled.declared)
    states += give_unexposed(model_proto, settled.declared, settled.probes, paired=paired)
    known = frozenset(state.before for state in states)
    hidden, restarts = find_hidden(model_proto, settled.declared, settled.probes, states=known)
    warnings = [f"the output {name} has batch and time apart here" for name in flattened]
    warnings += [f"{where} begins anew at every call, as the file has it" for where in restarts]
    if hidden and wishes.keep_restarts:
        raise UsageError(
            f"{hidden[0].where}, and frames may come in calls of any number: say how many a call "
            'takes, as --inputs "x: float32[batch, frames=16, 40]", or leave --keep-restarts out'
        )
    warnings += unpaired_likeness(interface, pairs)
    warnings += [
        f"{pair.input} goes on as {pair.output} by its shape alone; if it does not, say what does "
        "with --state"
        for pair in pairs
        if pair.how == BY_SHAPE
    ]
    batched = any(own.place(BATCH) is not None for own in settled.declared.values())
    names = {n for node in model_proto.graph.node for n in (*node.input, *node.output)}
    if hidden and states:
        warnings += [
            f"{state.where} at every call of the file, has a state of its own here"
            for state in hidden
        ]
    states += give_hidden(model_proto.graph, hidden, {*names, *settled.declared}, batched=batched)
    copies = drop_copies_of_states(model_proto.graph, states) if hidden else []
    warnings += [f"the output {name} is a state, and no output beside it" for name in copies]
    changed = bool(flattened) or any(state.inner for state in states)
    return states, changed, warnings


def _interface(model_proto: onnx.ModelProto, settled: Settled) -> Interface:
    run = Runner(model_proto)
    found = tuple(run(feeds(settled.declared, sizes)) for sizes in settled.probes)
    return Interface(Flow(model_proto.graph), settled.declared, settled.probes, found)


def _stateless(model_proto: onnx.ModelProto, settled: Settled) -> str:
    interface = _interface(model_proto, settled)
    alike = unpaired_likeness(interface, [])
    if alike:
        return f"nothing says what the state of the file is: {'; '.join(alike)}"
    begins = find_hidden(model_proto, settled.declared, settled.probes, states=frozenset())[1]
    if begins:
        return (
            f"{begins[0]} begins anew at every call, and no input has a time axis along which it "
            'could go on; say which it is, as --inputs "x: float32[batch, time, 40]"'
        )
    return (
        "the file has no state: no input goes on as an output, and no recurrent operator goes over "
        'time; say which pair it is, as --state "hx=hx_out"'
    )
