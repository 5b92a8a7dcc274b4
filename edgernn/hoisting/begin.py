"""What a run begins with: values that the user gave, or what a method of the network makes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.attributes import Place, changed, copied, same, snapshot
from edgernn.hoisting.call import Call, Started
from edgernn.hoisting.forms import learn_dataclasses
from edgernn.hoisting.inputs import Inputs
from edgernn.hoisting.signature import STATE_NAME, asked_by, needed_by, parameters_of
from edgernn.wording import expected_one_of

METHODS = (
    "start",
    "initial_state",
    "init_state",
    "init_hidden",
    "get_initial_state",
    "initialize_state",
    "get_init_state",
    "zero_state",
    "begin_state",
    "initial_hidden",
    "init_hidden_state",
    "init_hidden_states",
    "initialize_hidden_state",
    "create_state",
    "make_state",
    "empty_state",
    "encode",
    "reset",
    "reset_state",
    "reset_states",
    "reset_hidden",
    "reset_hidden_state",
    "reset_hidden_states",
)


@dataclass
class Begin:
    """What gives the first values, by argument and by place in the network.

    Attributes:
        call: of the network.
        inputs: what it is fed, and what its start method is.
        given: argument → a value that the user gave, or a function of the rows that makes it.
        method: the start method, or None.
        places: what the method changes in the network.
        names: the arguments, or the attribute, that its result is for.
        handed_on: inputs of the method that the step takes, too, the same all along.
    """

    call: Call
    inputs: Inputs
    given: Mapping[str, Any]
    method: str | None = None
    places: list[Place] = field(default_factory=list)
    names: tuple[str | Place, ...] = ()
    handed_on: tuple[str, ...] = ()
    _drawn: dict[Any, dict[str, Tensor]] = field(default_factory=dict)

    def __call__(
        self, rows: int, sizes: Mapping[str, int] | None = None, given: Sequence[Tensor] = ()
    ) -> Started:
        """Return the first values for ``rows`` rows, made of ``given`` inputs of the method or of
        an example at ``sizes``.
        """
        started: Started = {
            name: value(rows) if callable(value) else value for name, value in self.given.items()
        }
        if self.method is None:
            return started
        named = self.drawn(rows, sizes or {})
        named |= {spec.name: t for spec, t in zip(self.inputs.start, given, strict=False)}
        with self.call.protected(), torch.no_grad():
            value = self._make(rows, named)
            learn_dataclasses([value], None)
            started |= {place: place.read(self.call.net) for place in self.places}
        handed_on = {name: named[name] for name in self.handed_on}
        return started | handed_on | self._shared_out(value)

    def _shared_out(self, value: Any) -> Started:
        """Return a method's result by the arguments that it is for."""
        if value is None or not self.names:
            return {}
        if len(self.names) == 1:
            return {self.names[0]: value}
        if isinstance(value, dict) and set(value) >= set(self.names):
            return {name: value[str(name)] for name in self.names}
        if not isinstance(value, (tuple, list)) or len(value) != len(self.names):
            raise UsageError(
                f"{self.method} makes {type(value).__name__}, not a value for each of "
                f"{', '.join(map(str, self.names))}; name another method with --start, or give "
                "the others as inputs"
            )
        return dict(zip(self.names, value, strict=True))

    def drawn(self, rows: int, sizes: Mapping[str, int], *, seed: int = 0) -> dict[str, Tensor]:
        """Return an example of every input, of the step and of the method; the same one again for
        the same sizes, so that none is drawn while a graph is captured.
        """
        measured = {"time": 1, **self.inputs.measured(), **sizes, "batch": rows}
        key = (seed, *measured.items())
        if key not in self._drawn:
            specs = (*self.inputs.specs, *self.inputs.start)
            tensors = [
                *self.inputs.draw(measured, seed=seed),
                *self.inputs.draw_start(measured, seed=seed),
            ]
            self._drawn[key] = {s.name: t for s, t in zip(specs, tensors, strict=True)}
        return dict(self._drawn[key])

    def _make(self, rows: int, named: Mapping[str, Tensor]) -> Any:
        maker = getattr(self.call.net, self.method or "")
        return maker(**_arguments(self.call, maker, rows, named, bool(self.inputs.start)))

    def _shared(self, rows: int) -> str | None:
        """Return the input of the step that the method's result hangs on."""
        maker = getattr(self.call.net, self.method or "")
        drawn, other = self.drawn(rows, {}), self.drawn(rows, {}, seed=1)
        for spec in self.inputs.specs:
            if spec.name not in inspect.signature(maker).parameters:
                continue
            made = []
            for given in (drawn, {**drawn, spec.name: other[spec.name]}):
                torch.manual_seed(0)
                with self.call.protected(), torch.no_grad():
                    made.append([copied(self._make(rows, given)), snapshot(self.call.net)])
            if not same(made[0][0], made[1][0]) or changed(made[0][1], made[1][1]):
                return spec.name
        return None

    def look(self, rows: int) -> None:
        """Find what the method changes in the network.

        Raises:
            UsageError: its result hangs on what is new at every step.
            ContractError: it makes something else every time.
        """
        if self.method is None:
            return
        with self.call.protected(), torch.no_grad():
            self._make(rows, self.drawn(rows, {}))
            after = snapshot(self.call.net)
        if shared := self._shared(rows):
            raise UsageError(
                f"{self.method} makes the first state of {shared}, which {self.call.method} takes "
                f"at every step, too; where it is the same over a run, say so: --context {shared}"
            )
        self.places = [p for p in changed(self.call.fresh, after) if after[p] is not None]
        one, other = self(rows), self(rows)
        if any(not same(one[key], other[key]) for key in one):
            raise ContractError(
                f"{self.method} makes another first state every time: it draws random numbers; "
                "give the first value as one of your own (state= of hoist), or start at zeros"
            )


def begin_of(
    call: Call,
    inputs: Inputs,
    given: Mapping[str, Any],
    start: str | None,
    contexts: Sequence[str] = (),
    *,
    wanted: bool = False,
) -> Begin:
    """Return what gives the first values: the user's, the method named ``start``, or one of
    ``METHODS`` where an argument asks for a first value, or where one is ``wanted``.

    Where the method takes one of ``contexts``, all of them are its inputs, and are handed on to the
    step: ``call`` is left without them.

    Raises:
        UsageError: there is no such method, or none that takes the inputs which the step does not.
    """
    begin = Begin(call, inputs, given)
    names = needed_by(call, given)
    if not names:
        optional = [name for name in asked_by(call, given) if name not in given]
        names = [name for name in optional if STATE_NAME.fullmatch(name)] or optional
    own = [spec.name for spec in inputs.start]
    if start is not None:
        if not callable(getattr(call.net, start, None)):
            raise UsageError(
                f"the network has no method {start}; --start names the one that makes the first "
                "state"
            )
        begin.method = start
    elif needed_by(call, given) or own or wanted:
        begin.method = next((n for n in METHODS if _takes(call, n, own)), None)
    if begin.method is None and own:
        raise UsageError(
            f"{call.method} takes no {own[0]!r}, and no method that makes a first state does; "
            f"{expected_one_of(own[0], parameters_of(call))}; or name the method with --start"
        )
    begin.names = tuple(names)
    if begin.method is not None and any(_takes(call, begin.method, [name]) for name in contexts):
        call.inputs = tuple(name for name in call.inputs if name not in contexts)
        begin.inputs, begin.handed_on = inputs.split(call.inputs), tuple(contexts)
    return begin


def _takes(call: Call, method: str, names: Sequence[str]) -> bool:
    maker = getattr(call.net, method, None)
    if not callable(maker) or method == call.method:
        return False
    return set(names) <= set(inspect.signature(maker).parameters)


def _arguments(
    call: Call, maker: Callable[..., Any], rows: int, named: Mapping[str, Tensor], told: bool
) -> dict[str, Any]:
    """Return what a start method is called with: its inputs, constants, and the number of rows."""
    made: dict[str, Any] = {}
    told = told or bool(set(named) & set(inspect.signature(maker).parameters))
    for name, p in inspect.signature(maker).parameters.items():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        if name in named or name in call.fixed:
            made[name] = copied(named.get(name, call.fixed.get(name)))
        elif re.search("device|dtype", name):
            if p.default is p.empty:
                made[name] = torch.device("cpu") if "device" in name else torch.float32
        elif re.search(r"batch|rows|bsz|size|^n$|^b$|^bs$|num", name) or not told:
            if told and p.default is not p.empty and not re.search("batch|bsz|rows", name):
                continue
            made[name], told = rows, True
        elif p.default is p.empty:
            raise UsageError(
                f"{maker.__name__} needs {name}, which is none of the inputs; give it as one, or "
                f"as a constant (--set {name}=…)"
            )
    return made
