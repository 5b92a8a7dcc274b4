"""Which arguments of a method are state, and where their next values come out.

An argument is state where a result is its next value (``pairing.Search`` finds which) or where a
call writes into it; another that has a first value is constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils import _pytree as tree

from edgernn.errors import UsageError
from edgernn.hoisting.attributes import same
from edgernn.hoisting.begin import Begin
from edgernn.hoisting.call import CONSTANT, RETURNED, WRITTEN, Call, Held, Path, Started
from edgernn.hoisting.forms import check_dtypes, leaf_names, unique
from edgernn.hoisting.pairing import Search
from edgernn.hoisting.results import inside, named, output_names, parts, take
from edgernn.hoisting.signature import asked_by


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
    pairing = Search(call, inputs, free, started, made).find(pairs)
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
