"""The step contract of a described network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from edgernn.contract import (
    ENCODE,
    STEP,
    TIME,
    Contract,
    GraphSpec,
    TensorSpec,
    first_line,
    next_name,
)
from edgernn.contract.spec import Initial, Role
from edgernn.errors import UsageError
from edgernn.models.layered.building import Built, build, value_of
from edgernn.models.layered.layer import Kept
from edgernn.models.layered.values import Axis, Value
from edgernn.models.undrawn import Undrawn

if TYPE_CHECKING:
    from edgernn.models.layered.description import NetworkConfig

_ONE_WORD_A_CALL = "captioner"  # the family whose steps hold one word each


def described_contract(config: NetworkConfig) -> Contract:
    """Return the contract; the layers are built without memory, as they alone know what they keep.

    Raises:
        UsageError: a layer does not fit, or two parts of the contract do not.
    """
    with torch.device("meta"), Undrawn():
        built = build(config)
    _refuse_unused(config)
    try:
        contract = _Writer(config, built).contract()
    except ValidationError as error:
        raise UsageError(f"the network has no step contract: {first_line(error)}") from error
    for axis, names in config.labels.items():
        if contract.sizes.get(axis) != len(names):
            size = contract.sizes.get(axis, "not in the contract")
            raise UsageError(f"labels names {len(names)} places of {axis}, whose size is {size}")
    return contract


def _refuse_unused(config: NetworkConfig) -> None:
    """Raise UsageError where nothing takes an input of a graph: files would come out without it."""
    taken = {name for layer in (*config.encode, *config.layers) for name in layer.inputs}
    taken |= {*config.outputs.values(), *config.contexts.values(), *config.first.values()}
    given = [port.name for port in (*config.given, *config.inputs)]
    unused = next((name for name in (*given, *config.contexts) if name not in taken), None)
    if unused is not None:
        raise UsageError(f"the network is given {unused}, which no layer takes; leave it out")


class _Writer:
    """Turns values into tensors of the contract, and collects the sizes of their axes."""

    def __init__(self, config: NetworkConfig, built: Built) -> None:
        self.config, self.built = config, built
        self.sizes: dict[str, int] = {}

    def contract(self) -> Contract:
        config, kept = self.config, kept_of(self.built)
        unknown = sorted(config.first.keys() - {state.name for state in kept})
        if unknown:
            known = ", ".join(state.name for state in kept)
            raise UsageError(f"first names {unknown[0]}, expected a state of {known}")
        for state in kept:
            self._refuse_misfit(state)
        states = [self.tensor(state.name, state.value, "state") for state in kept]
        contexts = self.named(config.contexts, self.built.encoded, "context")
        step = GraphSpec(
            name=STEP,
            inputs=(*self.ports(encode=False), *contexts, *states),
            outputs=(
                *self.named(config.outputs, self.built.stepped, "output"),
                *(s.model_copy(update={"name": next_name(s.name)}) for s in states),
            ),
        )
        graphs = [step]
        if config.given:
            first = [state for state in states if state.name in config.first]
            graphs.insert(
                0,
                GraphSpec(name=ENCODE, inputs=self.ports(encode=True), outputs=(*contexts, *first)),
            )
        if self.built.one_step or config.family == _ONE_WORD_A_CALL:
            self.sizes[TIME] = 1
        starts: dict[str, Initial] = {s.name: "stored" for s in kept if s.stored}
        return Contract(
            graphs=tuple(graphs),
            sizes=self.sizes,
            initial_state={**starts, **dict.fromkeys(config.first, ENCODE)},
            latency_frames=config.latency_frames,
        )

    def _refuse_misfit(self, state: Kept) -> None:
        """Raise UsageError where what ``first`` names is no first value of ``state``."""
        if state.name not in self.config.first:
            return
        source = self.config.first[state.name]
        value = value_of(self.built.encoded, source, f"the first value of {state.name}")
        wanted = [axis.size for axis in state.value.axes]
        found = [axis.size for axis in value.axes]
        flat = len(wanted) == len(found) + 1 and value.width == (wanted[0] or 1) * (wanted[2] or 1)
        if not (found == wanted or flat) or not value.is_float:
            raise UsageError(
                f"the state {state.name} is {state.value.told()}, and {source}, which first names "
                f"for it, is {value.told()}; expected those axes, or the layers in one vector"
            )

    def ports(self, *, encode: bool) -> tuple[TensorSpec, ...]:
        """Return the fresh inputs of a graph."""
        ports = self.config.given if encode else self.config.inputs
        values = self.built.encoded if encode else self.built.stepped
        return tuple(self.tensor(port.name, values[port.name], "input") for port in ports)

    def named(
        self, names: dict[str, str], values: dict[str, Value], role: Role
    ) -> list[TensorSpec]:
        """Return the outputs or contexts ``names``, name → value."""
        return [
            self.tensor(name, value_of(values, source, f"the {role} {name}"), role)
            for name, source in names.items()
        ]

    def tensor(self, name: str, value: Value, role: Role) -> TensorSpec:
        """Return one tensor, its axes called as the description says."""
        axes = value.axes
        if (called := self.config.axes.get(name)) is not None:
            if len(called) != len(axes):
                raise UsageError(f"axes gives {name} {list(called)}, it is {value.told()}")
            axes = tuple(Axis(own, axis.size) for own, axis in zip(called, axes, strict=True))
        for axis in (*axes, *(() if value.below is None else (value.below,))):
            if axis.size is not None and self.sizes.setdefault(axis.name, axis.size) != axis.size:
                raise UsageError(
                    f"the axis {axis.name} of {name} has the size {axis.size}, and "
                    f"{self.sizes[axis.name]} elsewhere"
                )
        return TensorSpec(
            name=name,
            role=role,
            dtype=value.dtype,  # type: ignore[arg-type]
            axes=tuple(axis.name for axis in axes),
            below=None if value.below is None else value.below.name,
        )


def kept_of(built: Built) -> list[Kept]:
    """Return the states of the step, in the contract's order."""
    return [state for layer in built.step.values() for state in layer.kept]
