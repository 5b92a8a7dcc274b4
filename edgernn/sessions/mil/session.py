"""The reference interpreter of Core ML packages: runs a SAVED program operator by operator in
numpy, on any machine.

It answers whether the file computes what the model computes, rolled out over many steps, where no
Mac is at hand: wrong weights, a wrong gate order, a mis-wired state and float16 overflow all show.
It is not Core ML: how a device fuses operators, orders its sums and approximates ``tanh`` is not
modelled (``program`` says what is). The report of a verification names it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.sessions.quiet import quiet

# coremltools prints a line for each missing macOS library, and what executorch does that it imports
with quiet():
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load

from edgernn.contract import PICTURE, FileContract, TensorSpec, first_line, next_name
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.coreml import CoreMLSession
from edgernn.sessions.mil.program import Program
from edgernn.sessions.mil.table import KNOWN

_SAVED_ONLY = frozenset(("write_state",))  # coremltools' reader turns it into coreml_update_state


class MilSession(Session):
    """A session of the interpreter; for packages with explicit states and for those whose runtime
    keeps them.
    """

    runtime = "the MIL interpreter, not Core ML itself"

    def __init__(
        self, program: Program, file_contract: FileContract, first_state: Arrays | None = None
    ) -> None:
        super().__init__(file_contract, first_state)
        self._program = program

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``."""
        return CoreMLSession.describe(path)

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> MilSession:
        """See ``Session.open``; an operator that the interpreter does not know is a ContractError
        that names it.
        """
        program = read_program(path)
        interface = file_contract.interface()
        for kind in ("inputs", "outputs", "states"):
            found, expected = (
                sorted(getattr(program, kind)),
                sorted(t.name for t in getattr(interface, kind)),
            )
            if found != expected:
                raise ContractError(
                    f"{path} has the {kind} {found}, its contract promises {expected}; export "
                    "it again"
                )
        return cls(program, file_contract, first_state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        states = {name: feeds[name] for name in self._program.states}
        inputs = {
            spec.name: self._native(spec, feeds[spec.name])
            for spec in self.spec.inputs
            if spec.name not in states
        }
        outputs, after = self._program.run(inputs, states)
        return {**outputs, **{next_name(name): array for name, array in after.items()}}

    def _native(self, spec: TensorSpec, array: np.ndarray) -> np.ndarray:
        """Return an input as the program takes it: a picture ``[1, H, W, 3]`` as colour planes
        ``[1, 3, H, W]``.
        """
        return array.transpose(0, 3, 1, 2) if self.file_contract.dtype(spec) == PICTURE else array


def read_program(path: Path) -> Program:
    """Read the program of a saved ``.mlpackage``, ready to run; raises as ``read_function``."""
    return Program(read_function(path))


def read_function(path: Path) -> Any:
    """Return the ``main`` function of a saved ``.mlpackage``, or its only one, as coremltools'
    reader gives it.

    Raises:
        ContractError: the package is damaged, holds no mlprogram, or uses an operator that is not
            known here; names it.
    """
    model, spec = read_spec(path)
    unknown = sorted(
        {operation.type for operation in saved_operations(spec.mlProgram)} - KNOWN - _SAVED_ONLY
    )
    if unknown:
        raise ContractError(
            f"{path} uses operators that the interpreter does not know: {', '.join(unknown)}"
        )
    with _reading(path), np.errstate(all="ignore"):
        program = load(
            spec,
            specification_version=spec.specificationVersion,
            file_weights_dir=model.weights_dir,
        )
    functions = program.functions
    name = "main" if "main" in functions else next(iter(functions), "")
    if not name or (name != "main" and len(functions) > 1):
        raise ContractError(
            f"{path} has the functions {sorted(functions)}, expected one, or one named main"
        )
    return functions[name]


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    # coremltools raises bare Exception and whatever else a damaged package makes it run into
    except Exception as error:
        raise ContractError(
            f"{path} is not a Core ML package that coremltools can open: {first_line(error)}"
        ) from error


def read_spec(path: Path) -> tuple[Any, Any]:
    """Return the package at ``path``, not compiled, and its specification, which must be that of an
    mlprogram.

    Raises:
        ContractError: the package is damaged, or holds no mlprogram.
    """
    with _reading(path):
        model = ct.models.MLModel(str(path), skip_model_load=True)
        spec = model.get_spec()
    kind = spec.WhichOneof("Type")
    if kind != "mlProgram":
        raise ContractError(
            f"{path} holds {kind or 'nothing'}, expected mlProgram; convert the model to that"
        )
    return model, spec


def saved_operations(program: Any) -> Iterator[Any]:
    """Yield the operators of a saved program in order, those of nested blocks last."""
    pending = [
        block
        for function in program.functions.values()
        for block in function.block_specializations.values()
    ]
    while pending:
        for operation in pending.pop(0).operations:
            yield operation
            pending += operation.blocks
