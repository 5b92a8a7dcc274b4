"""Which result of a method is the next value of which argument.

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
from edgernn.hoisting.call import Call, Path, Started
from edgernn.hoisting.capture import capture
from edgernn.hoisting.forms import equal, forms, tensors_of
from edgernn.hoisting.places import USERS_ERRORS
from edgernn.hoisting.results import key_of, offers, show, take, words
from edgernn.hoisting.signature import STATE_NAME, normal, returned_names
from edgernn.wording import did_you_mean

_MOST_TRIED = 200
_Pairing = dict[str, Path]


class Search:
    """Tries which results a method takes back as which arguments."""

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
