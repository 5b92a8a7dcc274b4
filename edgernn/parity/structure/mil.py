"""The structure of a Core ML package: its program as it is saved, operator by operator; nothing of
it runs.

Every size of such a program is fixed, so no operator can depend on one. What is left to prove: it
neither branches nor repeats, draws no random numbers, has only operators that the interpreter
knows, and keeps the contract's states alone, each read and then written once a step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.parity.structure.mil_stored import stored_weights
from edgernn.parity.structure.reading import StructureReader
from edgernn.parity.structure.shape_rules import unknown
from edgernn.parity.structure.sizes import SizeError
from edgernn.sessions.mil.kept import READ, WRITE, kept_problems
from edgernn.sessions.mil.session import read_spec, saved_operations
from edgernn.sessions.mil.table import KNOWN

_REFUSED = {
    **dict.fromkeys(("cond", "while_loop"), "branches or repeats"),
    **dict.fromkeys(
        ("random_bernoulli", "random_categorical", "random_normal", "random_uniform"),
        "draws random numbers",
    ),
    **dict.fromkeys(
        ("non_zero", "non_maximum_suppression"), "has a result whose size depends on data"
    ),
}
_KNOWN = KNOWN | {READ, WRITE}


class MilStructure(StructureReader):
    """Reads ``.mlpackage`` folders, whether the caller or the runtime keeps the state."""

    def __init__(self, path: Path) -> None:
        self._program = read_spec(path)[1].mlProgram
        self._operations = list(saved_operations(self._program))

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``."""
        states = {tensor.name for tensor in file_contract.interface().states}
        for operation in self._operations:
            kind = operation.type
            what = (
                f"{kind} ({operation.outputs[0].name if operation.outputs else 'without a result'})"
            )
            if kind in _REFUSED:
                raise SizeError(f"{what} {_REFUSED[kind]}")
            if kind not in _KNOWN:
                raise unknown(what)
        if problems := kept_problems(self._operations, sorted(states)):
            raise SizeError(problems[0])
        _refuse_open(self._program)
        kept_words = (
            f"reads and writes {', '.join(sorted(states))} once" if states else "keeps nothing"
        )
        return (
            f"{len(self._operations)} operators of fixed sizes, none branches or draws; "
            f"{kept_words}"
        )

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``."""
        return stored_weights(self._operations)


def _refuse_open(program: Any) -> None:
    """Refuse a tensor whose size is open; a program of ours has none."""
    for function in program.functions.values():
        for value in function.inputs:
            for dimension in value.type.tensorType.dimensions:
                if dimension.WhichOneof("dimension") != "constant":
                    raise SizeError(f"the input {value.name} has an open size, expected fixed ones")
