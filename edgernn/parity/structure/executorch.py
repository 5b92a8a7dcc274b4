"""The structure of an ExecuTorch program: its instructions, in order, and what its delegates
compute; nothing of it runs.

Every size of such a program is fixed, so no operator can depend on one. What is left to prove: it
has one method that computes, jumps nowhere, draws no random numbers, and reads nothing that was
not given or computed in the same call. A state that a program keeps is a value that is read before
anything has written it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import METADATA_KEY, FileContract, first_line
from edgernn.errors import ContractError
from edgernn.parity.structure.reading import StructureReader
from edgernn.parity.structure.shape_rules import unknown
from edgernn.parity.structure.sizes import SizeError
from edgernn.sessions.pte.program import (
    DELEGATE,
    FREE,
    JUMP,
    KERNEL,
    Instruction,
    Method,
    Value,
    read_program,
)
from edgernn.sessions.pte.stored import FORWARD, graphs_of, others, stored_constants
from edgernn.sessions.pte.told import delegation
from edgernn.sessions.pte.xnnpack import BACKEND, Graph

_DRAWS = frozenset(
    (
        *("bernoulli", "dropout", "multinomial", "native_dropout", "normal", "rand", "rand_like"),
        *("randint", "randint_like", "randn", "randn_like", "randperm", "uniform"),
    )
)
_BY_DATA = frozenset(("masked_select", "nonzero", "unique", "unique2"))
_NAMESPACES = frozenset(("aten", "dim_order_ops", "quantized_decomposed"))


class ExecuTorchStructure(StructureReader):
    """Reads ``.pte`` files."""

    def __init__(self, path: Path) -> None:
        self._program = read_program(path)
        if FORWARD not in self._program.by_name:
            raise ContractError(f"{path} has no method {FORWARD!r}")
        self._method = self._program.by_name[FORWARD]
        try:
            self._graphs = graphs_of(self._program, self._method)
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise ContractError(
                f"{path} is not a whole ExecuTorch program: {first_line(error)}"
            ) from error

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``."""
        method = self._method
        if odd := sorted(self._program.by_name.keys() - {FORWARD, METADATA_KEY}):
            raise SizeError(f"it has the methods {odd} beside {FORWARD}, which may share memory")
        for place, value in enumerate(method.values):
            if not value.fixed:
                raise SizeError(f"value {place} has an open size, expected fixed ones")
            if value.constant and value.planned:
                raise SizeError(f"value {place} has a first value and is written: a state it keeps")
        _refuse_draws(method)
        _follow(method, self._graphs)
        _refuse_unknown(method)
        return (
            f"{delegation(method, self._graphs)}; all of fixed sizes, none branches, draws or "
            "keeps anything"
        )

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``; a program has no names of them."""
        constants = stored_constants(self._program, self._graphs)
        matrices = [each for each in constants if each.is_matrix]
        named = (each.as_weight(f"constant {place}") for place, each in enumerate(matrices))
        return (*named, *others(constants))


def _refuse_draws(method: Method) -> None:
    """Refuse an operator that draws, or whose result has a size that depends on data."""
    for operator in method.operators:
        name = operator.partition("::")[2].partition(".")[0]
        if name in _DRAWS:
            raise SizeError(f"{operator} draws random numbers")
        if name in _BY_DATA:
            raise SizeError(f"{operator} has a result whose size depends on data")


def _refuse_unknown(method: Method) -> None:
    """Refuse an operator that is not known to write its results alone."""
    for operator in method.operators:
        namespace, _, rest = operator.partition("::")
        if namespace not in _NAMESPACES or not rest.partition(".")[2].endswith("out"):
            raise unknown(operator)
    for delegate in method.delegates:
        if delegate.backend != BACKEND:
            raise unknown(f"a delegate of {delegate.backend}")


def _follow(method: Method, graphs: Sequence[Graph]) -> None:
    """Refuse a jump, and a value that is read before anything has written it."""
    written = {place for place, value in enumerate(method.values) if not value.dtype}
    written |= {place for place, value in enumerate(method.values) if value.constant}
    written |= set(method.inputs)
    filled = {_memory(method.values[place]) for place in method.inputs} - {None}
    for each in method.instructions:
        if each.kind == JUMP:
            raise SizeError("it jumps to another instruction: it branches or repeats")
        if each.kind == FREE:
            continue
        reads, writes = _reads_and_writes(method, graphs, each)
        for place in reads:
            if place not in written and _memory(method.values[place]) not in filled:
                raise SizeError(
                    f"{_called(method, each)} reads value {place}, which nothing has written: a "
                    "state that the file keeps between calls"
                )
        written |= set(writes)
        filled |= {_memory(method.values[place]) for place in writes} - {None}
        if overwritten := set(writes) & ({*method.inputs} | _constants(method)):
            raise SizeError(
                f"{_called(method, each)} writes to value {min(overwritten)}, an input or a "
                "constant"
            )
    for place in method.outputs:
        if place not in written and _memory(method.values[place]) not in filled:
            raise SizeError(f"it returns value {place}, which nothing has written")


def _memory(value: Value) -> tuple[object, ...] | None:
    """Return the memory of a tensor: one of another shape in the very same, which ExecuTorch makes
    of what a view copies, is written with it. None of what the method does not plan.
    """
    return (value.memory, value.dtype, prod(value.shape)) if value.planned else None


def _constants(method: Method) -> set[int]:
    return {place for place, value in enumerate(method.values) if value.constant}


def _reads_and_writes(
    method: Method, graphs: Sequence[Graph], each: Instruction
) -> tuple[list[int], list[int]]:
    """Return the tensors that an instruction reads and those that it writes: an operator's last
    argument names its results, which stand before it, too.
    """
    if each.kind == DELEGATE:
        graph = graphs[each.index]
        return list(each.arguments[: graph.inputs]), list(each.arguments[graph.inputs :])
    if each.kind != KERNEL:
        return [each.arguments[0]], [each.arguments[1]]
    *given, last = (_members(method, place) for place in each.arguments)
    reads = [place for places in given for place in places if place not in last]
    return [place for place in reads if method.values[place].dtype], last


def _members(method: Method, place: int) -> list[int]:
    members = method.values[place].members
    return [member for member in members if member >= 0] if members else [place]


def _called(method: Method, each: Instruction) -> str:
    if each.kind == KERNEL:
        return method.operators[each.index]
    return "a delegate" if each.kind == DELEGATE else "a move"
