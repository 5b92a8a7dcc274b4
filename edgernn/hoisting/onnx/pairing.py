"""Which input is which output of the call before: the states that a foreign file has in its
interface.

By dataflow first: what reaches the initial state of a recurrent operator and what is reached from
its last state. Then by names, then by what carries a value on with products and sums alone, then
by shape where nothing else fits; else it is asked. Shape alone pairs wrongly in three of eight
files: an input often fits an activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgernn.contract import TIME
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.flow import RECURRENT, Flow, ordered_unique
from edgernn.hoisting.onnx.interface import Interface, Pair
from edgernn.hoisting.onnx.state_names import names_fit
from edgernn.wording import did_you_mean

_CARRIES = frozenset(("Add", "Sub", "Mul", "Where", "Sum"))
TOLD, BY_SHAPE = "as told", "shape alone"


def find_pairs(interface: Interface, told: Iterable[str]) -> list[Pair]:
    """Return the states of the interface, in the order of the inputs.

    Args:
        interface: the file.
        told: pairs that are known, each ``IN=OUT``.

    Raises:
        UsageError: a pair that was told does not fit; a state grows; two pairings fit (the
            candidates, and the option that decides).
    """
    pairs = [_told(interface, text) for text in told]
    for finder in (_by_flow, _by_shifting, _by_names, _by_shape):
        pairs += finder(interface, pairs)
    _refuse_growing(interface, pairs)
    order = list(interface.declared)
    return sorted(pairs, key=lambda pair: order.index(pair.input))


def _told(interface: Interface, text: str) -> Pair:
    name, equals, output = (part.strip() for part in text.partition("="))
    if not equals:
        raise UsageError(f"--state is {text!r}, expected IN=OUT, as hx=hx_out")
    for word, known, kind in (
        (name, interface.declared, "input"),
        (output, interface.flow.outputs, "output"),
    ):
        if word not in known:
            raise UsageError(
                f"--state names {word!r}, which is no {kind} of the file; it has "
                f"{', '.join(known)}{did_you_mean(word, known)}"
            )
    if not interface.same_shape(name, output):
        raise UsageError(_misfit(interface, name, output))
    return Pair(name, output, TOLD)


def _misfit(interface: Interface, name: str, output: str) -> str:
    own, shape = interface.declared[name], interface.found[0][output].shape
    before = own.shape(interface.probes[0])
    longer = [b < a for b, a in zip(before, shape, strict=False)]
    if len(before) == len(shape) and any(longer):
        return (
            f"the state {name} grows: it goes in as {list(before)} and comes out as {output} "
            f"{list(shape)}; it keeps all of the past, so there is no step of a fixed state"
        )
    return (
        f"the state {name} is {list(before)} and {output} is {list(shape)}; a state comes out in "
        "the shape in which it goes in"
    )


def _left(interface: Interface, pairs: list[Pair]) -> tuple[list[str], list[str]]:
    """Return the inputs and outputs that are in no pair and may be: a state has no time."""
    taken = {name for pair in pairs for name in (pair.input, pair.output)}
    return (
        [n for n, own in interface.declared.items() if n not in taken and own.place(TIME) is None],
        [name for name in interface.flow.outputs if name not in taken],
    )


def _by_flow(interface: Interface, pairs: list[Pair]) -> list[Pair]:
    """Pair what reaches the initial state of a recurrent operator with what its last state
    reaches.
    """
    flow, (inputs, outputs) = interface.flow, _left(interface, pairs)
    votes: dict[tuple[str, str], list[str]] = {}
    for node in flow.graph.node:
        if node.op_type not in RECURRENT:
            continue
        for begin, end in ((5, 1), (6, 2)):
            given = node.input[begin] if len(node.input) > begin else ""
            if not given:
                continue
            starts = [name for name in inputs if name in flow.moved_from(given)]
            left = node.output[end] if len(node.output) > end else ""
            reached = flow.moved_to(left) if left else set()
            if begin == 5 and not reached & {*outputs}:
                reached = flow.moved_to(node.output[0]) if node.output[0] else set()
            starts = starts or _computed_from(interface, given, reached, inputs)
            for name in starts:
                for output in (o for o in outputs if o in reached):
                    votes.setdefault((name, output), []).append(node.name or node.op_type)
    return _unambiguous(interface, votes, "the recurrent operators")


def _computed_from(
    interface: Interface, given: str, reached: set[str], inputs: list[str]
) -> list[str]:
    """Return the one input of which an initial state is computed, as one that is reset by a mask
    is, where it fits what the last state reaches.
    """
    outputs = [output for output in interface.flow.outputs if output in reached]
    sources = interface.flow.sources.get(given, frozenset())
    fitting = [
        name
        for name in inputs
        if name in sources and any(interface.fits(name, output) for output in outputs)
    ]
    return fitting if len(fitting) == 1 else []


def _by_shifting(interface: Interface, pairs: list[Pair]) -> list[Pair]:
    """Pair an input with the output that holds elements of it beside newer ones, moved on."""
    flow, (inputs, outputs) = interface.flow, _left(interface, pairs)
    votes: dict[tuple[str, str], list[str]] = {}
    for output in outputs:
        moved = flow.moved_from(output)
        held = [name for name in inputs if name in moved and interface.fits(name, output)]
        if len(held) == 1 and flow.sources[output] != {held[0]}:
            votes[held[0], output] = [output]
    found = _unambiguous(interface, votes, "what moves it on")
    return found if _leaves_some(interface, [*pairs, *found]) else []


def _unambiguous(
    interface: Interface, votes: Mapping[tuple[str, str], list[str]], how: str
) -> list[Pair]:
    """Return the pairs of ``votes`` that fit; raise UsageError where an input has two."""
    found: dict[str, str] = {}
    for name in ordered_unique(pair[0] for pair in votes):
        outputs = [out for inp, out in votes if inp == name]
        fitting = [output for output in outputs if interface.fits(name, output)]
        best = [
            o for o in fitting if len(votes[name, o]) == max(len(votes[name, f]) for f in fitting)
        ]
        if not fitting:
            raise UsageError(_misfit(interface, name, outputs[0]))
        if len(best) > 1:
            best = [output for output in best if names_fit(name, output)] or best
        if len(best) > 1:
            raise UsageError(_question(name, best))
        found[name] = best[0]
    if crossed := [o for o in found.values() if [*found.values()].count(o) > 1]:
        names = [name for name, output in found.items() if output == crossed[0]]
        raise UsageError(
            f"{' and '.join(names)} both go on as {crossed[0]}; say which, as --state "
            f'"{names[0]}={crossed[0]}"'
        )
    return [Pair(name, output, how) for name, output in found.items()]


def _by_names(interface: Interface, pairs: list[Pair]) -> list[Pair]:
    """Pair inputs and outputs whose names belong together."""
    inputs, outputs = _left(interface, pairs)
    matches = {
        name: [output for output in outputs if output != name and names_fit(name, output)]
        for name in inputs
    }
    made = []
    for name, found in matches.items():
        mutual = [o for o in found if [*matches.values()].count([o]) <= 1 or found == [o]]
        fitting = [output for output in mutual if interface.fits(name, output)]
        if len(fitting) > 1:
            raise UsageError(_question(name, fitting))
        if fitting:
            made.append(Pair(name, fitting[0], "names"))
    return made if _leaves_some(interface, [*pairs, *made]) else []


def _refuse_growing(interface: Interface, pairs: list[Pair]) -> None:
    """Raise UsageError where an output is an input with more joined on: all of the past."""
    inputs, outputs = _left(interface, pairs)
    for name in inputs:
        for output in outputs:
            if _grows(interface, name, output):
                raise UsageError(_misfit(interface, name, output))


def _grows(interface: Interface, name: str, output: str) -> bool:
    """Whether ``output`` is the input ``name`` with more joined on."""
    before, after = interface.declared[name].shape(interface.probes[0]), interface.found[0][output]
    return (
        len(before) == after.ndim
        and name in interface.flow.moved_from(output)
        and sum(a > b for a, b in zip(after.shape, before, strict=True)) == 1
    )


def _leaves_some(interface: Interface, pairs: list[Pair]) -> bool:
    """Whether something is left that goes in anew, and something that is read."""
    taken = {name for pair in pairs for name in (pair.input, pair.output)}
    return not (taken >= interface.declared.keys() or taken >= {*interface.flow.outputs})


def _by_shape(interface: Interface, pairs: list[Pair]) -> list[Pair]:
    """Pair the rest of a graph without recurrent operators: what products and sums alone carry on,
    as the cell state of an LSTM, then what is left of a shape.

    Raises:
        UsageError: two pairings fit, or nothing would be left that goes in anew.
    """
    recurrent = any(node.op_type in RECURRENT for node in interface.flow.graph.node)
    if recurrent or any(pair.how != TOLD for pair in pairs):
        return []
    made = _carrying(interface, pairs)
    inputs, outputs = _left(interface, [*pairs, *made])
    fitting = {name: [o for o in outputs if interface.fits(name, o)] for name in inputs}
    fitting = {name: found for name, found in fitting.items() if found}
    for name, found in fitting.items():
        rivals = [other for other, theirs in fitting.items() if other != name and theirs == found]
        if len(found) > 1 or rivals:
            raise UsageError(_question(name, found, rivals))
    made += [Pair(name, found[0], BY_SHAPE) for name, found in fitting.items()]
    if made and not _leaves_some(interface, [*pairs, *made]):
        if pairs:
            return []
        candidates = ", ".join(f"{pair.input} as {pair.output}" for pair in made)
        raise UsageError(
            f"any of these may go on, by shape: {candidates}; and one goes in anew: say which is "
            f'a state, as --state "{made[-1].input}={made[-1].output}"'
        )
    return made


def _carrying(interface: Interface, pairs: list[Pair]) -> list[Pair]:
    inputs, outputs = _left(interface, pairs)
    carried = {
        name: [
            o for o in outputs if interface.fits(name, o) and o in _carried(interface.flow, name)
        ]
        for name in inputs
    }
    return [
        Pair(name, found[0], "what carries it on")
        for name, found in carried.items()
        if len(found) == 1 and [*carried.values()].count(found) == 1
    ]


def _carried(flow: Flow, name: str) -> set[str]:
    seen, pending = set[str](), [name]
    while pending:
        if (at := pending.pop()) in seen:
            continue
        seen.add(at)
        for node in flow.readers.get(at, []):
            if node.op_type in _CARRIES or at in flow.moved_from(node.output[0]):
                pending += filter(None, node.output)
    return seen


def _question(name: str, outputs: list[str], rivals: Iterable[str] = ()) -> str:
    others = f", and so may {', '.join(rivals)}" if rivals else ""
    return (
        f"{name} may go on as {' or '.join(outputs)}{others}; say which, as --state "
        f'"{name}={outputs[0]}"'
    )


def unpaired_likeness(interface: Interface, pairs: list[Pair]) -> list[str]:
    """Return in words which input and output have one shape and were left apart."""
    inputs, outputs = _left(interface, pairs)
    return [
        f'{name} and {output} have one shape; if that is a state, say --state "{name}={output}"'
        for name in inputs
        for output in outputs
        if interface.fits(name, output)
    ]
