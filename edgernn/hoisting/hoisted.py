"""A hoisted network: its step, its contract and its first state."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from edgernn.contract import BATCH, ENCODE, TIME, Contract, TensorSpec
from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.begin import begin_of
from edgernn.hoisting.call import Call
from edgernn.hoisting.evaluating import evaluating, plain_network
from edgernn.hoisting.given import Sizes, as_tensors, check_given
from edgernn.hoisting.in_turn import frames_of, in_turn
from edgernn.hoisting.inputs import Inputs, read_inputs
from edgernn.hoisting.network import Network
from edgernn.hoisting.places import told_by_place
from edgernn.hoisting.result import Step
from edgernn.hoisting.rows import refuse_mixed_rows
from edgernn.hoisting.start import find_state
from edgernn.hoisting.step_contract import contract_of, first_rows
from edgernn.hoisting.stepping import stepping, steps_already
from edgernn.hoisting.streaming import streaming
from edgernn.hoisting.unmerged import unmerge
from edgernn.wording import expected_one_of, whole

Given = Mapping[str, Any]  # tensors or arrays by name
_NOTHING: Given = MappingProxyType({})


class Hoisted(nn.Module):
    """A step with its state in and out, which equals the network that it was taken from.

    Attributes:
        contract: every tensor that goes in and out.
        step: ``(*inputs, *contexts, *states) -> (*outputs, *next states)``.
        encode: ``(*inputs) -> (*contexts, *first states)``, or None.
        first_state: state → its first value with one row, where that is not zeros.
        network: what it was taken from.
    """

    def __init__(self, network: Network, found: Step) -> None:
        super().__init__()
        self.network, self.found = network, found
        self.step, self.encode = found.module, found.encode
        self.first_state = first_rows(found.states)
        self.contract: Contract = contract_of(network.inputs, found)

    def forward(
        self, inputs: Given | Tensor, state: Given | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Run one call.

        Args:
            inputs: tensors or arrays by name, contexts among them; a tensor where there is one
                input. The inputs of encode may stand in place of the contexts, which are then made
                anew.
            state: by name; None begins a sequence.

        Returns:
            The outputs and the next state, by name. Of several steps an output without time is the
            last one's.

        Raises:
            ContractError: a tensor is missing, unknown, or of another dtype or shape.
            UsageError: a value is no tensor, or the frames are no multiple of what a step takes.
        """
        spec, sizes = self.contract.step, Sizes()
        if not isinstance(inputs, Mapping):
            inputs = {spec.fresh_inputs[0].name: inputs}
        given, first = self._begun(as_tensors(inputs, "inputs"), state is None)
        check_given(self.contract, given, spec.caller_inputs, "input", sizes)
        if state is None:
            state = first or self.initial_state(sizes.get(BATCH, (1, ""))[0])
        states = as_tensors(state, "state")
        check_given(self.contract, states, spec.states, "state", sizes)
        tensors = [{**given, **states}[tensor.name] for tensor in spec.inputs]
        if self.found.open_time or frames_of(self.contract, tensors) in (None, self.found.frames):
            made = self.step(*tensors)
        else:
            made = in_turn(self.step, self.contract, tensors)
        count = len(spec.read_outputs)
        outputs = dict(zip((t.name for t in spec.read_outputs), made[:count], strict=True))
        return outputs, dict(zip((t.name for t in spec.states), made[count:], strict=True))

    def begin(
        self, inputs: Given = _NOTHING, batch: int | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Begin a sequence.

        Args:
            inputs: every input of encode by name; nothing where there is no such graph.
            batch: how many rows begin; those of ``inputs`` where they have some, else 1.

        Returns:
            The contexts by name, which every call takes among its inputs, and the state before the
            first step.

        Raises:
            ContractError, UsageError: see ``forward``.
        """
        graph, given = self.contract.encode, as_tensors(inputs, "inputs")
        if self.encode is None or graph is None:
            if given:
                raise ContractError(
                    f"unknown input {sorted(given)}: the network has no part that runs once a "
                    "sequence, so it begins with nothing"
                )
            return {}, self.initial_state(1 if batch is None else whole(batch, "batch"))
        sizes: Sizes = {} if batch is None else {BATCH: (whole(batch, "batch"), "batch")}
        check_given(self.contract, given, graph.inputs, "input", sizes)
        made = self.encode(*(given[tensor.name] for tensor in graph.inputs))
        named = dict(zip((t.name for t in graph.outputs), made, strict=True))
        first = self.initial_state(sizes.get(BATCH, (1, ""))[0])
        first |= {t.name: named[t.name] for t in self.contract.starting(ENCODE)}
        return (
            {t.name: named[t.name] for t in self.contract.step.contexts},
            {t.name: first[t.name] for t in self.contract.step.states},
        )

    def _begun(
        self, given: dict[str, Tensor], anew: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the inputs of a step, contexts among them, and the first state where encode makes
        some of it and the sequence is begun ``anew``.
        """
        network, graph, step = self.network.inputs, self.contract.encode, self.contract.step
        taken = {spec.name for spec in step.caller_inputs}
        unread = {spec.name for spec in (*network.specs, *network.start)} - taken
        own = {name: value for name, value in given.items() if name not in unread}
        once = {t.name for t in graph.inputs} if graph is not None else set()
        lacking = any(t.name not in own for t in step.contexts)
        needed = (lacking or self.contract.starting(ENCODE)) if anew else lacking
        if graph is None or not needed or not (anew or given.keys() & once - taken):
            return own, {}
        contexts, first = self.begin({n: v for n, v in given.items() if n in once})
        return {**contexts, **own}, first if anew else {}

    @property
    def warmup_frames(self) -> dict[str, int]:
        """Output → how many of the first frames bring results that the network does not have, where
        those are more than it is late by: a convolution without padding needs them to begin.
        """
        late = self.contract.latency_frames
        return {made.name: made.unlike for made in self.found.outputs if made.unlike > late}

    def initial_state(self, batch: int = 1) -> dict[str, Tensor]:
        """Return the state before the first step, by name, for ``batch`` rows; what encode gives is
        left out.
        """
        return {
            spec.name: _repeated(self.first_state.get(spec.name), spec, self.contract, batch)
            for spec in self.contract.step.states
            if self.contract.initial_state.get(spec.name) != ENCODE
        }


def _repeated(value: Tensor | None, spec: TensorSpec, contract: Contract, batch: int) -> Tensor:
    shape = contract.shape(spec, batch=batch)
    if value is None:
        return torch.zeros(shape, dtype=getattr(torch, spec.dtype))
    return value.expand(shape).clone()


def hoist(
    net: nn.Module,
    example: Mapping[str, Any] | Tensor,
    *,
    method: str = "forward",
    fixed: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
    start: str | None = None,
    context: str | Sequence[str] = (),
    pairs: Mapping[str, str | int] | None = None,
) -> Hoisted:
    """Take the step out of a trained network: its state in and out, wherever it keeps it.

    The network is left as it is. What is found is told in ``Hoisted.found``.

    Args:
        net: in any mode; it is looked at in evaluation mode.
        example: input name → its dtype and axes as text, ``"float32[batch, time, 40]"``, or a
            tensor; see ``read_inputs``. A tensor alone is the first input.
        method: the method that is the step, or that runs over the whole sequence.
        fixed: argument → a value that it always has.
        state: argument → a first value of state that the method takes, or a function of the rows
            that makes it.
        start: the method that makes the first state; found by its name where it is needed. Inputs
            that it takes, and ``method`` does not, are given once a run.
        context: inputs that are constant over a run: what hangs on them alone is computed once,
            by ``encode``. Where other inputs have time, each input without it is one.
        pairs: argument → the result that is its next value: a key, a field, or a place, and with
            dots what is inside, ``"1.h"``.

    Raises:
        UsageError: arguments that do not fit the network.
        ContractError: the network has no step: it needs the future, branches on values, draws
            random numbers, or its state grows; says where.
    """
    net = plain_network(net)
    if not callable(getattr(net, method, None)):
        raise UsageError(f"the network has no method {method!r}")
    parameters = inspect.signature(getattr(net, method)).parameters
    if isinstance(example, Tensor):
        example = {next(iter(parameters)): example}
    contexts = (context,) if isinstance(context, str) else tuple(context)
    inputs = read_inputs(example, contexts)
    _refuse_contexts(inputs, contexts)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        inputs = inputs.split(parameters)
    with evaluating(net), told_by_place(method):
        call = Call(net, method, tuple(spec.name for spec in inputs.specs), dict(fixed or {}))
        begin = begin_of(call, inputs, state or {}, start, contexts)
        begin, first = find_state(call, begin, pairs or {})
        contexts = tuple(name for name in contexts if name in call.inputs)
        network = Network(call, begin.inputs, first, begin, contexts)
        unmerge(network)
        stepped = not network.inputs.has_time or steps_already(network)
        hoisted = Hoisted(network, stepping(network) if stepped else streaming(network))
        refuse_mixed_rows(hoisted)
        return hoisted


def _refuse_contexts(inputs: Inputs, contexts: Sequence[str]) -> None:
    """Raise UsageError for contexts that are no inputs without time, or leave nothing to step."""
    names = [spec.name for spec in inputs.specs]
    for name in contexts:
        if name not in names:
            raise UsageError(f"--context {name} is no input; {expected_one_of(name, names)}")
        if inputs.named(name).axis(TIME) is not None:
            raise UsageError(
                f"--context {name} is constant over a run and has the axis time; call that axis "
                f'otherwise, as "{name}: {inputs.named(name).dtype}[batch, source, …]"'
            )
    if set(contexts) == set(names):
        raise UsageError(f"--context {', '.join(contexts)} leaves no input that a step takes")
