"""A call of a network as a function: inputs and state in, outputs and next state out.

State that the network takes as arguments and gives back is found by giving back what came out
(``arguments.py``); state that it keeps in itself, by looking at what calls change. Both are
flattened as trees: tuples, lists, dicts, named tuples, dataclasses and numbers become named
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from edgernn.errors import ContractError
from edgernn.hoisting.attributes import (
    Own,
    Place,
    Snapshot,
    changed,
    copied,
    held_by,
    protect,
    restore,
    same,
    snapshot,
)
from edgernn.hoisting.forms import (
    check_dtypes,
    forms,
    leaf_names,
    learn_dataclasses,
    tensor_of,
    tensors_of,
    unique,
)

_CALLS = (1, 2, 3, 4, 8, 9, 16, 17, 32, 33)  # in a row, until a queue has filled
Path = tuple[Any, ...]  # into what a method gives: (1, 0) is the first part of the second result
Started = dict[str | Place, Any]  # what a run begins with: by argument, and by place
RETURNED, WRITTEN, CONSTANT = "returned", "written", "constant"


@dataclass(frozen=True)
class Held:
    """Where a part of the state is: an argument, or a place in the network; and how it is made of
    tensors. The next value of an argument is returned, written into it, or the same all along.
    """

    argument: str | None
    place: Place | None
    spec: tree.TreeSpec
    names: tuple[str, ...]
    source: str = RETURNED
    read: Callable[[Any], Any] = field(default=lambda made: made)

    @property
    def where(self) -> str:
        """Return where it is, in words."""
        return f"the argument {self.argument}" if self.place is None else self.place.path

    @property
    def key(self) -> str | Place:
        """What ``Started`` calls it."""
        return self.place if self.place is not None else self.argument or ""


@dataclass
class Call:
    """A network's step method with its inputs by name.

    Attributes:
        net: the network; each call leaves it as it was, object by object.
        method: the method that is called.
        inputs: names of the arguments that are new at every call, in the contract's order.
        fixed: argument → value, the same at every call.
        held: where the state is, in order.
        output_names: of the tensors that come out, state left out.
        example: rows → inputs of a call.
        settled_calls: how many calls it takes until the state has its form.
        split: (outputs, inputs) → the outputs with an axis for rows and one for frames.
        settled: what the first call changes once and for all, as a flag that it was made.
        growing: what has another form after every call; state it cannot be.
    """

    net: nn.Module
    method: str
    inputs: tuple[str, ...]
    fixed: dict[str, Any] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    output_names: tuple[str, ...] = ()
    example: Callable[[int], list[Tensor]] | None = None
    settled_calls: int = 1
    settled: Snapshot = field(default_factory=dict)
    growing: set[Place] = field(default_factory=set)
    read_outputs: Callable[[Any], list[Tensor]] = field(default=tensors_of)
    split: Callable[[list[Tensor], Sequence[Tensor]], list[Tensor]] = field(
        default=lambda outputs, inputs: outputs
    )

    def __post_init__(self) -> None:
        learn_dataclasses(held_by(self.net).values(), self.net)
        self.fresh, self._own = held_by(self.net), Own.of(self.net)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The state's tensors, in order."""
        return tuple(name for held in self.held for name in held.names)

    @contextmanager
    def protected(self) -> Iterator[None]:
        """While it holds, the network may be changed: it gets back everything that it had."""
        protect(self.net, self.fresh)
        try:
            yield
        finally:
            self._own.put_back()
            restore(self.net, self.fresh)

    def __call__(self, inputs: Sequence[Tensor], state: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs and then the next state, as tensors."""
        arguments = dict(zip(self.inputs, inputs, strict=True))
        left = list(state)
        with self.protected():
            for place, value in self.settled.items():
                place.write(self.net, value)
            for held in self.held:
                leaves, left = left[: len(held.names)], left[len(held.names) :]
                if held.source == WRITTEN:
                    leaves = [leaf.clone() for leaf in leaves]
                value = tree.tree_unflatten(leaves, held.spec)
                if held.place is None:
                    arguments[held.argument or ""] = value
                else:
                    held.place.write(self.net, value)
            made = self._run(arguments)
            outputs = self.split(self.read_outputs(made), inputs)
            nexts = [self._leaves(held, self._next(held, made, arguments)) for held in self.held]
        return [*outputs, *(leaf for leaves in nexts for leaf in leaves)]

    def _next(self, held: Held, made: Any, arguments: Mapping[str, Any]) -> Any:
        if held.place is not None:
            return held.place.read(self.net)
        return held.read(made) if held.source == RETURNED else arguments[held.argument or ""]

    def _leaves(self, held: Held, value: Any) -> list[Tensor]:
        leaves, spec = tree.tree_flatten(value)
        if spec != held.spec:
            raise ContractError(
                f"{held.where} has another form after a call than before it: a state that grows or "
                "changes its form cannot be carried; keep it in a container of fixed size"
            )
        return [tensor_of(leaf) for leaf in leaves]

    def _run(self, arguments: Mapping[str, Any]) -> Any:
        with torch.no_grad():
            made = getattr(self.net, self.method)(**self.fixed, **arguments)
        learn_dataclasses([made], None)
        return made

    def run_fresh(
        self, sequence: Sequence[Sequence[Tensor]], started: Started | None = None
    ) -> list[Any]:
        """Call the untouched network on one set of inputs after the other, and return what each
        call gave; what came out as state goes in again.
        """
        begun = started or {}
        state = {key: copied(value) for key, value in begun.items() if isinstance(key, str)}
        made = []
        with self.protected():
            for key, value in begun.items():
                if isinstance(key, Place):
                    key.write(self.net, copied(value))
            for inputs in sequence:
                given = [tensor.clone() for tensor in inputs]
                out = self._run({**dict(zip(self.inputs, given, strict=True)), **state})
                for held in self.held:
                    if held.argument is not None:
                        state[held.argument] = self._next(held, out, state)
                made.append(copied(out))
            self._after, self._arguments = snapshot(self.net), copied(state)
        return made

    def outputs_alone(self, inputs: Sequence[Tensor], started: Started) -> list[Tensor]:
        """Return what the first call of a run gives, state left out: to be captured."""
        with self.protected():
            for key, value in started.items():
                if isinstance(key, Place):
                    key.write(self.net, value)
            arguments = {key: value for key, value in started.items() if isinstance(key, str)}
            made = self._run({**dict(zip(self.inputs, inputs, strict=True)), **arguments})
            return list(self.read_outputs(made))

    # Finding state

    def find_attributes(self, inputs: Sequence[Sequence[Tensor]], started: Started) -> None:
        """Look at what calls change in the network, and hold it as state from then on.

        Raises:
            ContractError: it is of a kind that cannot be state.
        """
        before, after = self._settled(inputs, started)
        taken = {*self.inputs, *self.state_names}
        for place in changed(self.fresh, after):
            if place in self.growing:
                continue
            value = after[place]
            leaves, spec = tree.tree_flatten(value)
            if not tensors_of(value) and same(before.get(place), value):
                self.settled[place] = value
                continue
            if any(leaf is None for leaf in leaves):
                raise ContractError(f"{place.path} is None after a call, in part; give it a value")
            check_dtypes(place.path, leaves)
            names = unique(leaf_names(place.name, value), taken, "state")
            self.held.append(Held(None, place, spec, names))

    def _settled(
        self, inputs: Sequence[Sequence[Tensor]], started: Started
    ) -> tuple[Snapshot, Snapshot]:
        """Call until what the network holds keeps its form: a queue may have to fill. Return what
        it held after fewer calls, and after those; what never does is ``growing``.
        """
        before: Snapshot = {}
        moves: list[tuple[int, Snapshot, set[Place]]] = []
        for count in _CALLS:
            self.run_fresh([inputs[at % len(inputs)] for at in range(count)], started)
            after = self._after
            moving = {p for p in after if forms(before.get(p)) != forms(after[p])}
            if moves:
                moves.append((count, before, moving))
                if not moving:
                    break
            else:
                moves.append((count, before, set(after)))
            before = after
        self.growing = moves[-1][2]
        still = (at for at, move in enumerate(moves) if at and move[2] <= self.growing)
        self.settled_calls, before, _ = moves[next(still)]
        return before, self._after

    @property
    def grows(self) -> str:
        """Say that what grows cannot be carried; for where something hangs on it."""
        where = min(place.path for place in self.growing)
        return (
            f"{where} has another form after every call: a state that grows cannot be carried in "
            "a step; keep it in a container of fixed size"
        )

    @property
    def unseen(self) -> str:
        """Say that later calls hang on earlier ones by something that cannot be looked into."""
        lost = [place.path for place in self.fresh if place not in self._after]
        where = ", ".join(lost) or self.method
        return (
            f"{where} keeps state between calls where it was not seen; make it in the constructor, "
            "of tensors in attributes, tuples, lists, dicts or dataclasses"
        )

    def seen_state(self, rows: int, started: Started | None = None) -> list[Tensor]:
        """Return the state that a call on ``rows`` rows leaves; its shapes are what counts."""
        assert self.example is not None
        return self.state_after([self.example(rows)] * self.settled_calls, started)

    def state_after(
        self, inputs: Sequence[Sequence[Tensor]], started: Started | None = None
    ) -> list[Tensor]:
        """Return the state that calls on ``inputs`` in a row leave, from the untouched network."""
        self.run_fresh(inputs, started)
        values = [
            self._arguments[held.argument or ""] if held.place is None else self._after[held.place]
            for held in self.held
        ]
        return [
            tensor_of(leaf).detach().clone() for value in values for leaf in tree.tree_leaves(value)
        ]
