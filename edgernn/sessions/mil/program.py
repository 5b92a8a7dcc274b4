"""A Core ML program, compiled once into a list of Python calls and run step by step.

**Values.** Every variable of the program has a slot in a frame, a plain list. What depends on
constants alone is computed when the program is opened; a run starts from a copy of that frame, so
nothing is remembered between runs.

**Rounding.** Every operator's output has the dtype that the program declares. Operators that
compute get float16 inputs widened to float32, compute in float32, and their result is rounded to
float16 once. For a sum, product, quotient or root that IS correctly rounded float16 arithmetic. For
long sums (``linear``, ``matmul``, reductions, recurrent operators) it stands for hardware that
accumulates in more than float16, the least rounding that the program's types allow. ``exp``,
``tanh`` and ``sigmoid`` are those of float32, rounded. A device may fuse operators and skip
roundings, or accumulate and approximate with more error: Core ML promises neither.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgernn.sessions.quiet import quiet

# coremltools prints a line for each missing macOS library, and what executorch does that it imports
with quiet():
    from coremltools.converters.mil.mil import types

from edgernn.contract import first_line
from edgernn.errors import ContractError
from edgernn.sessions.mil.borrowed import COMPRESSED, decompress
from edgernn.sessions.mil.frame import (
    Block,
    Frame,
    Instruction,
    Place,
    assign,
    flat,
    values_at,
    wide_values_at,
)
from edgernn.sessions.mil.table import CONTROL, MOVING, function_of

Values = dict[str, np.ndarray]

_FAILURES = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
)


class Program:
    """One function of a Core ML program, ready to run.

    Args:
        function: the function as coremltools' reader returns it.

    Raises:
        ContractError: it has an operator, an input or an option that is not known here; names it.
    """

    def __init__(self, function: Any) -> None:
        compiler = _Compiler()
        self.inputs: dict[str, int] = {}
        self.states: dict[str, int] = {}
        for name, var in function.inputs.items():
            (self.states if types.is_state(var.sym_type) else self.inputs)[name] = compiler.slot(
                var
            )
        self._dtypes = {name: _dtype(var) for name, var in function.inputs.items()}
        with np.errstate(all="ignore"):
            self._block = compiler.block(function)
        self.outputs = {var.name: compiler.slot(var) for var in function.outputs}
        self._frame = compiler.frame

    def run(
        self, inputs: Mapping[str, np.ndarray], states: Mapping[str, np.ndarray]
    ) -> tuple[Values, Values]:
        """Run the function once.

        Args:
            inputs: an array for each of ``self.inputs``.
            states: an array for each of ``self.states``, what the runtime is to have kept.

        Returns:
            The outputs by name, and what each state holds afterwards, in the program's dtypes.

        Raises:
            ContractError: an input is missing, or an operator cannot take what it is given; names
                it.
        """
        frame = self._frame.copy()
        for kind, slots, given in (("input", self.inputs, inputs), ("state", self.states, states)):
            if slots.keys() != given.keys():
                raise ContractError(
                    f"the program has the {kind}s {sorted(slots)}, it was given {sorted(given)}"
                )
            for name, slot in slots.items():
                frame[slot] = np.asarray(given[name], self._dtypes[name])
        with np.errstate(all="ignore"):  # infinities of float16 are results, not faults
            self._block.run(frame)
        results, after = (
            {name: np.array(frame[slot]) for name, slot in slots.items()}
            for slots in (self.outputs, self.states)
        )
        return results, after


class _Compiler:
    """Gives every variable a slot, and turns operators into instructions."""

    def __init__(self) -> None:
        self.frame: Frame = []
        self._slots: dict[Any, int] = {}
        self._known: set[int] = set()  # slots whose value no run changes
        self._wide: dict[
            int, int
        ] = {}  # slot of a float16 constant → slot of the same numbers in float32

    def slot(self, var: Any) -> int:
        """Return the slot of a variable, a new one where it has none."""
        if var not in self._slots:
            self._slots[var] = self._new_slot(None)
        return self._slots[var]

    def block(self, block: Any) -> Block:
        """Compile a function or a nested block."""
        instructions = [
            found
            for operation in block.operations
            if (found := self._instruction(operation)) is not None
        ]
        inputs = () if isinstance(block.inputs, Mapping) else tuple(map(self.slot, block.inputs))
        return Block(tuple(instructions), inputs, tuple(map(self.slot, block.outputs)))

    def _instruction(self, operation: Any) -> Instruction | None:
        """Return the instruction of an operator, or None where its result is known already."""
        kind = operation.op_type
        if kind == "const" or kind in COMPRESSED:
            with _named(operation):
                self._set(
                    operation, (operation.val.val,) if kind == "const" else decompress(operation)
                )
            return None
        if kind in CONTROL:
            compile_control: Callable[[Any], Instruction] = getattr(self, f"_{kind}")
            return compile_control(operation)
        instruction = self._call(operation)
        used = flat(self._places(operation, wide=False).values())
        if not all(slot in self._known for slot in used):
            return instruction
        instruction(self.frame)
        self._known.update(map(self.slot, operation.outputs))
        return None

    def _call(self, operation: Any) -> Instruction:
        """Return the call of an operator that is a function of its inputs."""
        function = function_of(operation)
        wide = operation.op_type not in MOVING
        places = self._places(operation, wide=wide)
        fetch = functools.partial(wide_values_at if wide else values_at, tuple(places.items()))
        stores = tuple((self.slot(var), _dtype(var)) for var in operation.outputs)

        def call(frame: Frame) -> None:
            try:
                result = function(**fetch(frame))
                results = result if isinstance(result, tuple) else (result,)
                for (slot, dtype), value in zip(stores, results, strict=True):
                    frame[slot] = value if dtype is None else np.asarray(value, dtype)
            except _FAILURES as error:
                raise _failure(operation, error) from error

        return call

    def _while_loop(self, operation: Any) -> Instruction:
        first = [self.slot(var) for var in operation.loop_vars]
        condition, body = (self.block(block) for block in operation.blocks)
        (going_on,) = condition.outputs
        last = [self.slot(var) for var in operation.outputs]

        def loop(frame: Frame) -> None:
            values = [frame[slot] for slot in first]
            while True:
                assign(frame, condition.inputs, values)
                condition.run(frame)
                if not frame[going_on].item():
                    break
                assign(frame, body.inputs, values)
                body.run(frame)
                values = [frame[slot] for slot in body.outputs]
            assign(frame, last, values)

        return loop

    def _cond(self, operation: Any) -> Instruction:
        chosen = self.slot(operation.pred)
        when_true, when_false = (self.block(block) for block in operation.blocks)
        last = [self.slot(var) for var in operation.outputs]

        def branch(frame: Frame) -> None:
            block = when_true if frame[chosen].item() else when_false
            block.run(frame)
            assign(frame, last, [frame[slot] for slot in block.outputs])

        return branch

    def _read_state(self, operation: Any) -> Instruction:
        state, read = self.slot(operation.input), self.slot(operation.outputs[0])

        def read_state(frame: Frame) -> None:
            frame[read] = frame[state]

        return read_state

    def _coreml_update_state(self, operation: Any) -> Instruction:
        """Compile a ``write_state``, which coremltools' reader joins with the ``read_state`` that
        may follow it.
        """
        state, value, read = (
            self.slot(operation.state),
            self.slot(operation.value),
            self.slot(operation.outputs[0]),
        )

        def write_state(frame: Frame) -> None:
            frame[state] = frame[read] = frame[value]

        return write_state

    def _places(self, operation: Any, *, wide: bool) -> dict[str, Place]:
        """Return where the inputs are; constants of float16 in float32 where ``wide``."""
        place = self._wide_slot if wide else self.slot
        return {
            name: [place(var) for var in given]
            if isinstance(given, (list, tuple))
            else place(given)
            for name, given in operation.inputs.items()
        }

    def _wide_slot(self, var: Any) -> int:
        slot = self.slot(var)
        value = self.frame[slot]
        if (
            slot not in self._known
            or not isinstance(value, np.ndarray)
            or value.dtype != np.float16
        ):
            return slot
        if slot not in self._wide:
            self._wide[slot] = self._new_slot(value.astype(np.float32))
            self._known.add(self._wide[slot])
        return self._wide[slot]

    def _set(self, operation: Any, values: Sequence[Any]) -> None:
        for var, value in zip(operation.outputs, values, strict=True):
            self.frame[self.slot(var)] = (
                value if isinstance(value, str) else np.asarray(value, _dtype(var))
            )
            self._known.add(self.slot(var))

    def _new_slot(self, value: Any) -> int:
        self.frame.append(value)
        return len(self.frame) - 1


def _dtype(var: Any) -> np.dtype[Any] | None:
    """Return the dtype that the program declares for a variable; None for lists and texts, which
    have none.
    """
    if types.is_list(var.sym_type) or types.is_str(var.dtype):
        return None
    declared: np.dtype[Any] = np.dtype(types.nptype_from_builtin(var.dtype))
    return declared


@contextlib.contextmanager
def _named(operation: Any) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise _failure(operation, error) from error


def _failure(operation: Any, error: Exception) -> ContractError:
    return ContractError(
        f"the operator {operation.op_type!r} ({operation.name}) failed: {first_line(error)}"
    )
