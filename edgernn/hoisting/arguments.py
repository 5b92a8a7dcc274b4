"""Which arguments of a method are state, and where their next values come out.

What the user says counts first, then names (keys, fields, what the method's last ``return`` calls
its parts), then the order; every pairing is tried: the network must take back what it gave there,
give the same forms again, and heed it. Where two are left, the user is asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree

from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.attributes import copied, same
from edgernn.hoisting.begin import Begin
from edgernn.hoisting.call import CONSTANT, RETURNED, WRITTEN, Call, Held, Path, Started
from edgernn.hoisting.capture import capture
from edgernn.hoisting.forms import (
    check_dtypes,
    equal,
    forms,
    leaf_names,
    tensors_of,
    unique,
)
from edgernn.hoisting.places import USERS_ERRORS
from edgernn.hoisting.results import (
    inside,
    key_of,
    named,
    offers,
    output_names,
    parts,
    show,
    take,
    words,
)
from edgernn.hoisting.signature import STATE_NAME, asked_by, normal, returned_names
from edgernn.wording import did_you_mean

_MOST_TRIED = 200
_Pairing = dict[str, Path]


def hold_arguments(
    call: Call,
    inputs: Sequence[Tensor],
    started: Started,
    pairs: Mapping[str, str | int],
    begin: Begin,
) -> None:
    """Find which arguments are state, and where the next one comes out; hold them.

    Args:
        call: without arguments held.
        inputs: an example.
        started: first values, where the user or a start method gave them.
        pairs: argument → the result that is its next value, where the user said so.
        begin: where the first values come from; those that the user gave must be state.

    Raises:
        UsageError: several results fit an argument, or none does.
    """
    asked = asked_by(call, {*started, *pairs})
    made = call.run_fresh([inputs], started)[0]
    written = _written(call, inputs, started)
    free = [name for name in asked if name not in written and name not in begin.handed_on]
    pairing = _Search(call, inputs, free, started, made).find(pairs)
    taken = {spec.name for spec in (*begin.inputs.specs, *begin.inputs.start)}
    for name in asked:
        if name in pairing:
            _hold(call, name, take(made, pairing[name]), RETURNED, taken, pairing[name])
        elif name in written:
            _hold(call, name, written[name], WRITTEN, taken)
        elif name in begin.given:
            raise UsageError(
                f"nothing that {call.method} gives has the form of {name}; say which is its next "
                f"value with --state {name}=RESULT (pairs= of hoist)"
            )
        elif name in started:
            _hold(call, name, started[name], CONSTANT, taken)
    used = list(pairing.values())
    whole = () in used
    call.read_outputs = lambda out: [v for p, v in parts(out) if whole or not inside(p, used)]
    kept = [keys for keys, path in named(made) if whole or not inside(path, used)]
    call.output_names = unique(output_names(kept), taken, "out")


def _hold(call: Call, name: str, value: Any, source: str, taken: set[str], path: Path = ()) -> None:
    leaves, spec = tree.tree_flatten(value)
    check_dtypes(f"the argument {name}", leaves)
    ending = "context" if source == CONSTANT else "state"
    names = unique(leaf_names(name, value), taken, ending)
    call.held.append(Held(name, None, spec, names, source, lambda made: take(made, path)))


def _written(call: Call, inputs: Sequence[Tensor], started: Started) -> dict[str, Any]:
    """Return the arguments whose own tensors or entries a call changes, as they are after it."""
    call.run_fresh([inputs], started)
    after = call._arguments
    return {
        name: after[name]
        for name, value in started.items()
        if isinstance(name, str) and tree.tree_leaves(after[name]) and not same(value, after[name])
    }


class _Search:
    def __init__(
        self, call: Call, inputs: Sequence[Tensor], asked: list[str], started: Started, made: Any
    ) -> None:
        self.call, self.inputs, self.asked, self.started, self.made = (
            call, inputs, asked, started, made,
        )  # fmt: skip
        self.given = [name for name in asked if name in started]
        self.named = returned_names(getattr(call.net, call.method), made)

    def find(self, pairs: Mapping[str, str | int]) -> _Pairing:
        """Return argument → path; empty where nothing that comes out is state."""
        told = {name: self._told(name, result) for name, result in pairs.items()}
        if told and not self._works(told):
            said = " ".join(f"--state {name}={result}" for name, result in pairs.items())
            raise UsageError(
                f"{said}: {self.call.method} does not take that back, gives other shapes after it, "
                f"or heeds it not; expected ARGUMENT=RESULT, RESULT being {offers(self.made)}"
            )
        by_name = told | {n: p for n, p in self._by_name().items() if n not in told}
        if by_name and self._works(by_name):
            told = by_name
        left = [name for name in self.asked if name not in told]
        wanted = [name for name in left if name in self.given]
        if not wanted and not told:
            wanted = [name for name in left if STATE_NAME.fullmatch(name)] or left
        for count in range(len(wanted), 0, -1):
            fitting = self._distinct(self._orders(wanted, count, told), told)
            if fitting:
                return told | self._one_of(fitting)
        return told

    def _told(self, name: str, result: str | int) -> Path:
        """Return where a result stands: keys, fields or places, joined by dots, or a name that the
        method's ``return`` has for it.
        """
        for path, known in self.named.items():
            if known == str(result):
                return path
        keys: list[Any] = []
        value = self.made
        for part in str(result).split("."):
            key = key_of(value, part)
            if key is None:
                raise UsageError(
                    f"--state {name}={result}: {self.call.method} gives no {part!r} there; it "
                    f"gives {offers(value)}{did_you_mean(part, words(value))}"
                )
            keys.append(key)
            value = value[key]
        return tuple(keys)

    def _by_name(self) -> _Pairing:
        found = {}
        for name in self.asked:
            fits = [p for p, known in self.named.items() if normal(known) == normal(name)]
            if len(fits) == 1 and tensors_of(take(self.made, fits[0])):
                found[name] = fits[0]
        return found

    def _slots(self) -> list[Path]:
        made = self.made
        if isinstance(made, dict):
            return [(key,) for key in made]
        if not isinstance(made, (tuple, list)):
            return [()]
        return [(at,) for at in range(len(made))]

    def _orders(self, wanted: Sequence[str], count: int, told: _Pairing) -> Iterator[_Pairing]:
        """Yield pairings that keep the order, the likeliest first."""
        groups = [self._slots()]
        for slot in groups[0]:
            part = take(self.made, slot)
            if isinstance(part, (tuple, list)):
                groups.append([(*slot, at) for at in range(len(part))])
        for names in itertools.combinations(wanted, count):
            sure = all(name in self.given or STATE_NAME.fullmatch(name) for name in names)
            if not sure:  # an optional argument of any kind: no state that is the output itself
                groups[0] = [slot for slot in groups[0] if slot not in ((0,), ())]
            for slots in groups:
                choices = list(itertools.combinations(slots, count))
                for chosen in choices if isinstance(self.made, dict) else reversed(choices):
                    if not set(chosen) & set(told.values()):
                        yield dict(zip(names, chosen, strict=True))
            if count == 1 and isinstance(self.made, (tuple, list)):
                rests = [(slice(at, None),) for at in range(1, len(self.made) - 1)]
                yield from ({names[0]: rest} for rest in rests)
                if sure:
                    yield {names[0]: ()}

    def _distinct(self, pairings: Iterator[_Pairing], told: _Pairing) -> list[_Pairing]:
        found: list[_Pairing] = []
        for pairing in itertools.islice(pairings, _MOST_TRIED):
            if self._works(told | pairing) and not any(self._alike(pairing, f) for f in found):
                found.append(pairing)
        return found

    def _alike(self, one: _Pairing, other: _Pairing) -> bool:
        values = [[take(self.made, path) for path in p.values()] for p in (one, other)]
        return list(one) == list(other) and same(*values)

    def _works(self, pairing: _Pairing) -> bool:
        """Whether the network takes back what it gave there, gives the same forms, and heeds it."""
        back: Started = {name: take(self.made, path) for name, path in pairing.items()}
        if any(not tensors_of(value) for value in back.values()):
            return False
        for name, value in back.items():
            if name in self.started and forms(self.started[name]) != forms(value):
                return False
        again = self._after(back)
        if forms(again) != forms(self.made) or equal(again, self.made):
            return False
        optional = [name for name in back if name not in self.started] if len(back) > 1 else []
        return not any(
            equal(again, self._after({n: v for n, v in back.items() if n != name}))
            for name in optional
        )

    def _after(self, back: Started) -> Any:
        """Return what comes out with some arguments given, or None where that is an error."""
        try:
            return self.call.run_fresh([self.inputs], {**self.started, **back})[0]
        except USERS_ERRORS:
            return None

    def _one_of(self, fitting: list[_Pairing]) -> _Pairing:
        """Return the pairing that is left once an output that is made of state is no state.

        Raises:
            UsageError: there are several.
        """
        slots = self._slots()
        fitting = [one for one in fitting if not any(_within(one, other) for other in fitting)]
        if len(fitting) > 1 and len(slots) > 1:
            later = [pairing for pairing in fitting if slots[0] not in pairing.values()]
            if later and self._is_made_of(slots[0], [p for one in later for p in one.values()]):
                fitting = later
        if len(fitting) == 1:
            return fitting[0]
        told = [
            " ".join(f"--state {name}={show(path)}" for name, path in one.items())
            for one in fitting
        ]
        raise UsageError(
            f"several results of {self.call.method} could be the next {', '.join(fitting[0])}; say "
            f"which with {', or with '.join(told)}"
        )

    def _is_made_of(self, first: Path, others: Sequence[Path]) -> bool:
        """Whether what comes out first is computed from one of ``others``, none of which is
        computed from it.
        """
        names = [name for name, value in self.started.items() if isinstance(name, str)]
        leaves, spec = tree.tree_flatten([self.started[name] for name in names])
        count, call = len(self.inputs), self.call

        def run(*tensors: Tensor) -> list[Tensor]:
            given = dict(zip(names, tree.tree_unflatten(list(tensors[count:]), spec), strict=True))
            with call.protected():
                made = call._run(dict(zip(call.inputs, tensors[:count], strict=True)) | given)
                ends = [tensors_of(take(made, path)) for path in (first, *others)]
                return [end[0] for end in ends]

        try:
            graph = capture(run, [*self.inputs, *map(_as_tensor, leaves)], call.net)
        except (*USERS_ERRORS, ContractError):
            return False
        start, *ends = graph.results
        return any(end in _above(start) for end in ends) and not any(
            start in _above(end) for end in ends
        )


def _within(one: _Pairing, other: _Pairing) -> bool:
    """Whether a pairing takes parts of what another takes whole: two rows of a tensor can be read
    as the two tensors of a pair.
    """
    return one != other and all(
        name in other and path[: len(other[name])] == other[name] for name, path in one.items()
    )


def _as_tensor(leaf: Any) -> Tensor:
    return copied(leaf) if isinstance(leaf, Tensor) else torch.tensor(leaf)


def _above(node: Any) -> set[Any]:
    seen, pending = set(), list(node.all_input_nodes)
    while pending:
        one = pending.pop()
        if one not in seen:
            seen.add(one)
            pending += one.all_input_nodes
    return seen
