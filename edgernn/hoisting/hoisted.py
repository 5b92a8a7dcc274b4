"""A hoisted network: its step, its contract and its first state."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgernn.contract import BATCH, ENCODE, TIME, Contract, GraphSpec, TensorSpec
from edgernn.contract.build import build_contract
from edgernn.contract.spec import Initial
from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.begin import begin_of
from edgernn.hoisting.call import Call
from edgernn.hoisting.evaluating import evaluating, plain_network
from edgernn.hoisting.inputs import Inputs, axes_text, read_inputs
from edgernn.hoisting.network import Network
from edgernn.hoisting.places import told_by_place
from edgernn.hoisting.result import Made, State, Step
from edgernn.hoisting.rows import refuse_mixed_rows
from edgernn.hoisting.start import find_state
from edgernn.hoisting.stepping import stepping, steps_already
from edgernn.hoisting.streaming import streaming
from edgernn.hoisting.unmerged import unmerge
from edgernn.wording import expected_one_of


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
        self.first_state = _first_rows(found.states)
        self.contract: Contract = contract_of(network.inputs, found)

    def forward(
        self, inputs: Tensor | Mapping[str, Tensor], state: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Run one call.

        Args:
            inputs: by name, contexts among them; a tensor where there is one input.
            state: by name; None starts anew.

        Returns:
            The outputs and the next state, by name.
        """
        spec = self.contract.step
        if isinstance(inputs, Tensor):
            inputs = {spec.fresh_inputs[0].name: inputs}
        if state is None:
            state = self.initial_state(_rows(spec, inputs))
        given = {**inputs, **state}
        made = self.step(*(given[tensor.name] for tensor in spec.inputs))
        count = len(spec.read_outputs)
        outputs = dict(zip((t.name for t in spec.read_outputs), made[:count], strict=True))
        return outputs, dict(zip((t.name for t in spec.states), made[count:], strict=True))

    def initial_state(self, batch: int = 1) -> dict[str, Tensor]:
        """Return the state before the first step, by name, for ``batch`` rows; what encode gives is
        left out.
        """
        return {
            spec.name: _repeated(self.first_state.get(spec.name), spec, self.contract, batch)
            for spec in self.contract.step.states
            if self.contract.initial_state.get(spec.name) != ENCODE
        }


def _rows(spec: GraphSpec, inputs: Mapping[str, Tensor]) -> int:
    for tensor in spec.caller_inputs:
        if (place := tensor.axis(BATCH)) is not None:
            return int(inputs[tensor.name].shape[place])
    return 1


def _repeated(value: Tensor | None, spec: TensorSpec, contract: Contract, batch: int) -> Tensor:
    shape = contract.shape(spec, batch=batch)
    if value is None:
        return torch.zeros(shape, dtype=getattr(torch, spec.dtype))
    return value.expand(shape).clone()


def _first_rows(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the first values that are not zeros, one row of each."""
    found = {}
    for state in states:
        if state.first is None or not state.first.any():
            continue
        value = state.first
        if state.batch is not None:
            value = value.narrow(state.batch, 0, 1)
            if not torch.equal(value.expand_as(state.first), state.first):
                raise ContractError(
                    f"the first value of {state.name} ({state.where}) differs from row to row; "
                    "give it as an input of its own"
                )
        found[state.name] = value.detach().clone()
    return found


def contract_of(inputs: Inputs, found: Step) -> Contract:
    """Return the contract of a step that was found.

    Raises:
        UsageError: an input of the step has an axis of any size, which nothing chooses.
    """
    _refuse_open(inputs, found)
    fixed = inputs.sizes
    starts: dict[str, Initial] = {s.name: ENCODE for s in found.states if s.first is None}
    starts |= dict.fromkeys(_first_rows(found.states), "stored")

    def text(name: str) -> str:
        spec = inputs.named(name)
        axes = [f"{axis}={fixed[axis]}" if axis in fixed else axis for axis in spec.axes]
        below = "" if spec.below is None else f" below {spec.below}={fixed[spec.below]}"
        return f"{spec.dtype}[{', '.join(axes)}]{below}"

    return build_contract(
        inputs={name: text(name) for name in found.inputs},
        contexts={made.name: _made_text(made) for made in found.contexts},
        encode_inputs={name: text(name) for name in found.encode_inputs},
        states={state.name: _state_text(state) for state in found.states},
        outputs={made.name: _made_text(made) for made in found.outputs},
        initial_state=starts,
        step_frames=found.frames,
        latency_frames=found.latency,
    )


def _refuse_open(inputs: Inputs, found: Step) -> None:
    chosen = {axis for name in found.encode_inputs for axis in inputs.named(name).axes}
    for name in found.inputs:
        if axes := [
            a for a in inputs.named(name).axes if a in inputs.open_axes and a not in chosen
        ]:
            raise UsageError(
                f"{name} has the axis {axes[0]} of any size, and a step takes batch and time alone "
                f"so; say its size, as {axes[0]}=20, or, where {name} is constant over a run, "
                f"--context {name}"
            )


def _made_text(made: Made) -> str:
    return axes_text(made.name, _dtype(made.seen.dtype), list(made.axes), tuple(made.seen.shape))


def _state_text(state: State) -> str:
    axes: list[str | int | None] = [None] * len(state.shape)
    if state.batch is not None:
        axes[state.batch] = BATCH
    return axes_text(state.name, _dtype(state.dtype), axes, state.shape)


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


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
