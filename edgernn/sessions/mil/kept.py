"""The states that a Core ML program keeps, as its saved text reads and writes them.

coremltools leaves an update out where the step reads the state through an operator that changes
nothing, as ``.float()`` or ``.contiguous()``, and says no word: the package then steps from the
same value for ever. The text shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

READ, WRITE = "read_state", "write_state"  # coremltools saves coreml_update_state as write_state
_KEEPERS = frozenset((READ, WRITE))


def kept_problems(operations: Sequence[Any], states: Iterable[str]) -> list[str]:
    """Return in words how a program does not keep ``states``, or keeps others; nothing where each
    is read, and then written once over what was read of it.

    Args:
        operations: of a saved program, in order (``session.saved_operations``).
        states: the names of the contract's states.
    """
    expected = list(states)
    places: dict[tuple[str, str], list[int]] = {}
    for place, operation in enumerate(operations):
        if operation.type in _KEEPERS:
            places.setdefault((operation.type, argument_of(operation, "input")), []).append(place)
    problems = [
        f"it keeps the state {name}, expected {', '.join(sorted(expected)) or 'none'}"
        for name in sorted({name for _, name in places} - set(expected))
    ]
    made = {output.name: operation for operation in operations for output in operation.outputs}
    for name in expected:
        reads, writes = places.get((READ, name), []), places.get((WRITE, name), [])
        if not reads:
            problems.append(f"the state {name} is never read")
        if len(writes) != 1:
            problems.append(f"the state {name} is written {len(writes)} times, expected once")
        elif max(reads, default=-1) > writes[0]:
            problems.append(f"the state {name} is read after it is written")
        elif (other := _written_over(operations[writes[0]], made)) not in (name, ""):
            problems.append(f"the state {name} is given what is made for {other}")
    return problems


def argument_of(operation: Any, argument: str) -> str:
    """Return the name of what an operator of a saved program takes as ``argument``, or nothing."""
    bindings = operation.inputs[argument].arguments
    return str(bindings[0].name) if bindings else ""


def _written_over(write: Any, made: dict[str, Any]) -> str:
    """Return the state whose old value is overwritten by what ``write`` is given: an assignment
    to the whole of a state is saved as ``slice_update`` over what was read of it. Nothing where
    the text has another form.
    """
    operation = made.get(argument_of(write, "data"))
    if operation is None or operation.type != "slice_update":
        return ""
    source = made.get(argument_of(operation, "x"))
    while source is not None and source.type == "cast":
        source = made.get(argument_of(source, "x"))
    return "" if source is None or source.type != READ else argument_of(source, "input")
