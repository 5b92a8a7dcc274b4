"""Whether a session holds on to memory that is its caller's.

A host makes its buffers once: it writes a frame and a state into them, calls, and writes the next
ones over them, often before it has read what came out. What came out is the caller's too. So each
call here is given the same buffers, whose values are others than before; they are filled with NaN
when the call has returned, and only then are the results read; then the results are filled with NaN
as well, and the next call is made. A result that is a view of what went in, a cache by the place in
memory, an output that is not written whole: each gives NaN, or what an earlier call gave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.parity.drift import Drift, drifts
from edgernn.parity.memory import Call, Results, made_of
from edgernn.sessions.base import Arrays, Session

_SEED = 71


def poisoned(session: Session, calls: Sequence[Call]) -> tuple[Drift, ...]:
    """Compare what calls give, each with arrays of its own, with what they give in a shuffled order
    from buffers that all calls of a layout share and that hold NaN whenever no call is running.
    """
    expected = [
        {name: array.copy() for name, array in made_of(session, _own(call)).items()}
        for call in calls
    ]
    order = np.random.default_rng(_SEED).permutation([*range(len(calls))] * 2)
    buffers = dict[tuple[tuple[int, ...], ...], Call]()
    found = list[tuple[Results, Results]]()
    for index in map(int, order):
        call = calls[index]
        own = buffers.setdefault(_layout(call), _own(call))
        for into, values in ((own.inputs, call.inputs), (own.state, call.state)):
            for name, array in into.items():
                np.copyto(array, values[name])
        made = made_of(session, own)
        for given in (own.inputs, own.state):
            _poison(given)
        found.append((expected[index], {name: array.copy() for name, array in made.items()}))
        _poison(made)
    return drifts(iter(found))


def _own(call: Call) -> Call:
    """Return the call with arrays of its own."""
    return Call(*({n: np.array(a) for n, a in each.items()} for each in (call.inputs, call.state)))


def _layout(call: Call) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape for each in (call.inputs, call.state) for array in each.values())


def _poison(arrays: Arrays) -> None:
    """Fill arrays with NaN, those of whole numbers with the largest one, of truth values with their
    opposites; what may not be written is left.
    """
    for array in arrays.values():
        if not array.flags.writeable:
            continue
        if array.dtype.kind == "f":
            array.fill(np.nan)
        elif array.dtype.kind == "b":
            np.logical_not(array, out=array)
        else:
            array.fill(np.iinfo(array.dtype).max)
