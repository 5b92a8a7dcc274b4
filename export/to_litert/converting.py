"""What runs in the environment ``litert``: litert-torch, which makes a ``.tflite`` file of a
program of torch's, and ai-edge-quantizer, which rounds its weights.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from edgernn import storage
from edgernn.errors import ContractError
from edgernn.export import environments
from edgernn.export.to_litert.rules import rules_for
from edgernn.sessions.litert.model_file import parse
from edgernn.sessions.quiet import quiet

ENVIRONMENT = "litert"
_HERE = Path(__file__).resolve().parent
_CONVERT, _QUANTIZE = _HERE / "convert.py", _HERE / "quantize.py"
_SECONDS = 3600
_LAST: dict[str, bytes] = {}  # digest of the program that was converted last → its file
_PROGRESS = ("(", "I0", "W0", "WARNING", "INFO")  # as lines of progress begin


def convert(program: torch.export.ExportedProgram) -> bytes:
    """Return the file of ``program``, whose sizes are those of its example.

    Raises:
        ContractError: litert-torch cannot convert it; tells its line.
        UnavailableError: the environment is not made; says the command that makes it.
    """
    environments.python_of(ENVIRONMENT)
    with storage.scratch() as folder:
        source, target = folder / "program.pt2", folder / "program.tflite"
        digest = _digest(program)
        if digest not in _LAST:  # every precision begins with the same program
            with quiet():
                torch.export.save(program, str(source))
            made = _made(_CONVERT, source, target, [], "litert-torch could not convert the step")
            _LAST.clear()
            _LAST[digest] = made
        return _LAST[digest]


def rounded(data: bytes, precision: str) -> bytes:
    """Return the file of which ``data`` are the bytes with its weights in ``precision``.

    Raises:
        ContractError: the quantiser fails; tells its line.
        UnavailableError: see ``convert``.
    """
    with storage.scratch() as folder:
        source, target, rules = (folder / name for name in ("f.tflite", "r.tflite", "rules.json"))
        storage.write_bytes(source, data)
        storage.write_json(rules, rules_for(parse(data, "the file"), precision))
        failed = "ai-edge-quantizer could not round the weights"
        return _made(_QUANTIZE, source, target, [str(rules)], failed)


def _digest(program: torch.export.ExportedProgram) -> str:
    """Return what stands for a program: its operators, and every value in it."""
    found = hashlib.sha256(program.graph_module.code.encode())
    for name, value in sorted({**program.state_dict, **program.constants}.items()):
        found.update(name.encode())
        if isinstance(value, torch.Tensor):
            array = value.detach().contiguous().flatten()
            found.update(f"{value.dtype} {tuple(value.shape)}".encode())
            found.update(array.view(torch.uint8).numpy().tobytes() if array.numel() else b"")
    for example in program.example_inputs[0] if program.example_inputs else ():
        found.update(f"{example.dtype} {tuple(example.shape)}".encode())
    return found.hexdigest()


def _made(script: Path, source: Path, target: Path, more: list[str], failed: str) -> bytes:
    """Run ``script`` from ``source`` to ``target``; return what it wrote."""
    arguments = [str(script), str(source), str(target), *more]
    done = environments.run(ENVIRONMENT, arguments, seconds=_SECONDS)
    if done.returncode or not target.is_file():
        raise ContractError(f"{failed}: {_reason(done.stderr)}; export to another format")
    return storage.read_bytes(target)


def _reason(told: str) -> str:
    """Return the line that says what was wrong: that of the exception, with the operator."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    lines = [line for line in lines if not line.startswith(_PROGRESS)]
    return (errors or lines or ["no reason"])[-1]
