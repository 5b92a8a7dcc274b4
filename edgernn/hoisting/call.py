"""A call of a network as a function: inputs and state in, outputs and next state out.

State that the network takes as arguments and gives back is found by giving back what came out;
state that it keeps in itself, by looking at what a call changed. Both are flattened as trees:
tuples, lists, dicts, named tuples and numbers become named tensors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from edgernn.errors import ContractError
from edgernn.hoisting.attributes import Place, Snapshot, changed, restore, snapshot

_CALLS = (1, 2, 3, 4, 8, 9, 16, 17, 32, 33)  # in a row, until a queue has filled


@dataclass(frozen=True)
class Held:
    """Where a part of the state is: an argument, or an attribute; and how it is made of tensors."""

    argument: str | None
    place: Place | None
    spec: tree.TreeSpec
    names: tuple[str, ...]

    @property
    def where(self) -> str:
        """Return where it is, in words."""
        return f"the argument {self.argument}" if self.place is None else self.place.path


@dataclass
class Call:
    """A network's step method with its inputs by name.

    Attributes:
        net: the network; each call leaves it as it was.
        method: the method that is called.
        inputs: names of the arguments that are new at every call, in the contract's order.
        fixed: argument → value, the same at every call.
        held: where the state is, in order.
        output_names: of the tensors that come out, state left out.
        example: rows → inputs of a call.
        settled_calls: how many calls it takes until the state has its form.
    """

    net: nn.Module
    method: str
    inputs: tuple[str, ...]
    fixed: dict[str, Any] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    output_names: tuple[str, ...] = ()
    example: Callable[[int], list[Tensor]] | None = None
    settled_calls: int = 1
    _fresh: Snapshot = field(default_factory=dict)
    _read_state: Callable[[Any], dict[str, Any]] = field(default=lambda made: {})
    _read_outputs: Callable[[Any], Any] = field(default=lambda made: made)

    def __post_init__(self) -> None:
        self._fresh = snapshot(self.net)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The state's tensors, in order."""
        return tuple(name for held in self.held for name in held.names)

    def __call__(self, inputs: Sequence[Tensor], state: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs and then the next state, as tensors."""
        arguments = dict(zip(self.inputs, inputs, strict=True))
        left = list(state)
        try:
            for held in self.held:
                leaves, left = left[: len(held.names)], left[len(held.names) :]
                value = tree.tree_unflatten(leaves, held.spec)
                if held.place is None:
                    arguments[held.argument or ""] = value
                else:
                    held.place.write(self.net, value)
            made = self._run(arguments)
            outputs = tensors(self._read_outputs(made))
            after = self._read_state(made)
            nexts = [
                self._leaves(
                    held,
                    after[held.argument or ""] if held.place is None else held.place.read(self.net),
                )
                for held in self.held
            ]
        finally:
            restore(self.net, self._fresh)
        return [*outputs, *(leaf for leaves in nexts for leaf in leaves)]

    def _leaves(self, held: Held, value: Any) -> list[Tensor]:
        leaves, spec = tree.tree_flatten(value)
        if spec != held.spec:
            raise ContractError(
                f"{held.where} has another form after a call than before it: a state that grows or "
                "changes its form cannot be carried; keep it in a container of fixed size"
            )
        return [_tensor(leaf) for leaf in leaves]

    def _run(self, arguments: Mapping[str, Any]) -> Any:
        with torch.no_grad():
            return getattr(self.net, self.method)(**self.fixed, **arguments)

    def run_fresh(self, sequence: Sequence[Sequence[Tensor]], **first: Any) -> list[Any]:
        """Call the untouched network on one set of inputs after the other, and return what each
        call gave; what came out as state goes in again.
        """
        made, state = [], dict(first)
        try:
            for inputs in sequence:
                made.append(self._run({**dict(zip(self.inputs, inputs, strict=True)), **state}))
                state = {**state, **self._read_state(made[-1])}
            self._after = snapshot(self.net)
        finally:
            restore(self.net, self._fresh)
        return made

    # Finding state

    def find_attributes(self, inputs: Sequence[Sequence[Tensor]], **first: Any) -> None:
        """Look at what calls change in the network, and hold it as state from then on.

        Raises:
            ContractError: it has another form after every call.
        """
        after = self._settled(inputs, **first)
        for place in changed(self._fresh, after):
            value = after[place]
            leaves, spec = tree.tree_flatten(value)
            if any(leaf is None for leaf in leaves):
                raise ContractError(f"{place.path} is None after a call, in part; give it a value")
            names = _names(place.path.removeprefix("self."), value)
            self.held.append(Held(None, place, spec, names))

    def _settled(self, inputs: Sequence[Sequence[Tensor]], **first: Any) -> Snapshot:
        """Call until what the network holds keeps its form: a queue may have to fill."""
        before: Snapshot = {}
        for count in _CALLS:
            self.run_fresh([inputs[at % len(inputs)] for at in range(count)], **first)
            moving = [
                place for place in self._after if _moved(before.get(place), self._after[place])
            ]
            if before and not moving:
                self.settled_calls = count
                return self._after
            before = self._after
        raise ContractError(
            f"{moving[0].path} has another form after every call: a state that grows cannot be "
            "carried in a step; keep it in a container of fixed size"
        )

    def seen_state(self, rows: int) -> list[Tensor]:
        """Return the state that a call on ``rows`` rows leaves; its shapes are what counts."""
        assert self.example is not None
        return self.state_after([self.example(rows)] * self.settled_calls)

    def state_after(self, inputs: Sequence[Sequence[Tensor]], **first: Any) -> list[Tensor]:
        """Return the state that calls on ``inputs`` in a row leave, from the untouched network."""
        made = self.run_fresh(inputs, **first)
        given = self._read_state(made[-1])
        values = [
            given[held.argument or ""] if held.place is None else self._after[held.place]
            for held in self.held
        ]
        return [
            _tensor(leaf).detach().clone() for value in values for leaf in tree.tree_leaves(value)
        ]

    def hold_arguments(
        self,
        pairs: Mapping[str, Any],
        made: Any,
        read: Mapping[str, Callable[[Any], Any]],
        rest: Callable[[Any], Any],
    ) -> None:
        """Hold arguments as state: argument → an example, and how the next one is read."""
        for argument, example in pairs.items():
            spec = tree.tree_structure(example)
            self.held.append(Held(argument, None, spec, _names(argument, example)))
        self._read_state = lambda out: {argument: take(out) for argument, take in read.items()}
        self._read_outputs = rest


def forms(value: Any) -> Any:
    """Return the form of a value: its tree, and the shape and dtype of each tensor in it."""
    leaves, spec = tree.tree_flatten(value)
    return spec, [(tuple(v.shape), v.dtype) if isinstance(v, Tensor) else type(v) for v in leaves]


def _moved(one: Any, other: Any) -> bool:
    return bool(forms(one) != forms(other))


def _names(path: str, value: Any) -> tuple[str, ...]:
    found = tree.tree_flatten_with_path(value)[0]
    return tuple(word(path + tree.keystr(keys)) for keys, _ in found)


def word(path: str) -> str:
    """Return a path into a value as a name."""
    return re.sub(r"\W+", "_", path).strip("_") or "state"


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors of a value, in order."""
    return [leaf for leaf in tree.tree_leaves(value) if isinstance(leaf, Tensor)]


def output_names(value: Any) -> tuple[str, ...]:
    """Return a name for each tensor of what a network gives: keys, fields, or places."""
    found = [
        (keys, v) for keys, v in tree.tree_flatten_with_path(value)[0] if isinstance(v, Tensor)
    ]
    if len(found) == 1:
        key = word(tree.keystr(found[0][0]))
        return ("y" if key == "state" or key.isdigit() else key,)
    return tuple(
        f"y_{key}" if (key := word(tree.keystr(keys)))[0].isdigit() else key for keys, _ in found
    )


def _tensor(leaf: Any) -> Tensor:
    return leaf if isinstance(leaf, Tensor) else torch.tensor(leaf)
