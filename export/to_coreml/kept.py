"""What the exporter of the form whose state Core ML keeps proves of a package that it saved: every
state is written once a step, and with its own next value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from edgernn.contract import ENCODE, PICTURE, FileContract
from edgernn.errors import ContractError
from edgernn.formats.coreml import COREML, COREML_MLSTATE
from edgernn.sessions.mil.kept import kept_problems
from edgernn.sessions.mil.session import MilSession, read_spec, saved_operations

_FAR, _CLEARLY = 0.05, 0.5  # relative distances; 4-bit weights leave 0.3 between a state and itself
_WIDTH = 32  # what the Neural Engine wants of a kept state's last axis to be a multiple of


def refuse_lost_states(
    path: Path, file_contract: FileContract, step: nn.Module, examples: Mapping[str, Tensor]
) -> None:
    """Raise ContractError for the first state that the package at ``path`` does not keep, or that
    gets another state's next value.

    Args:
        path: the saved package.
        file_contract: what it promises.
        step: what it was converted from: the caller's inputs, then the states, to the outputs,
            then the next states.
        examples: an input of ``step`` for each name, in its order.
    """
    interface = file_contract.interface()
    names = [tensor.name for tensor in interface.states]
    operations = list(saved_operations(read_spec(path)[1].mlProgram))
    problems = kept_problems(operations, names)
    given = [*(tensor.name for tensor in interface.inputs), *names]
    if not problems and PICTURE not in (tensor.dtype for tensor in interface.inputs):
        results: Sequence[Tensor] = step(*(examples[name] for name in given))
        expected = {
            name: tensor.numpy() for name, tensor in zip(names, results[-len(names) :], strict=True)
        }
        problems = _crossed(_after_one_step(path, file_contract, examples), expected)
    if problems:
        raise ContractError(
            f"coremltools lost a state in {path.name}: {problems[0]}; export to {COREML.name}, "
            "where the state goes in and out"
        )


def _after_one_step(
    path: Path, file_contract: FileContract, examples: Mapping[str, Tensor]
) -> dict[str, np.ndarray]:
    """Return the states after one step of the package, interpreted."""
    session = MilSession.open(path, file_contract)
    states = [spec.name for spec in file_contract.spec.states]
    arrays = {
        spec.name: examples[spec.name].numpy().astype(spec.dtype)
        for spec in file_contract.spec.inputs
    }
    fresh = {name: array for name, array in arrays.items() if name not in states}
    return session.step(fresh, {name: arrays[name] for name in states})[1]


def _crossed(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> list[str]:
    """Return in words which states are far from their own next value and near another's."""
    problems = []
    for name, after in found.items():
        far = _distance(after, expected[name])
        for other, value in expected.items():
            same = other != name and value.shape == after.shape
            if far > _FAR and same and _distance(after, value) < _CLEARLY * far:
                problems.append(f"the state {name} is given the next value of {other}")
    return problems


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the distance of two arrays, relative to the second's norm."""
    wide, wanted = one.astype(np.float64), other.astype(np.float64)
    return float(np.linalg.norm(wide - wanted)) / max(float(np.linalg.norm(wanted)), 1e-12)


def kept_notes(file_contract: FileContract) -> tuple[str, ...]:
    """Return what whoever ships a package with kept states must know of it, a line each."""
    notes, contract = [], file_contract.contract
    narrow = [
        f"{tensor.name} {list(tensor.shape or ())}"
        for tensor in file_contract.interface().states
        if tensor.shape and isinstance(tensor.shape[-1], int) and tensor.shape[-1] % _WIDTH
    ]
    if narrow:
        notes.append(
            f"{COREML_MLSTATE.name} keeps {', '.join(narrow)}, whose last size is no multiple of "
            f"{_WIDTH}: the Neural Engine fails on such kept states, the CPU and the GPU take "
            f"them; give the network another width, or use {COREML.name} there"
        )
    first = {word: [spec.name for spec in contract.starting(word)] for word in ("stored", ENCODE)}
    if named := [f"{', '.join(names)} ({word})" for word, names in first.items() if names]:
        notes.append(
            f"Core ML begins every kept state with zeros, and the contract says otherwise of "
            f"{' and '.join(named)}: an app writes the first values before the first step, as "
            "runtime_examples/ios does"
        )
    return tuple(notes)
