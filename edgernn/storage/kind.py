"""A kind of file or folder, and a row of the tables that tell one from another.

A kind that a command learns to take needs its row changed, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgernn.storage.foreign_files import Peek
from edgernn.wording import argument

# What to do with weights, or a network, that no command takes as they are.
TRAINED_ELSEWHERE = (
    "what can be exported is a run of edgernn train, an ONNX file, or a network in Python with its "
    "weights: edgernn export FILE.py:NAME --weights FILE --inputs AXES --out BUNDLE"
)
# The same for a file that ``edgernn import`` reads.
IMPORT = (
    "take it in with: edgernn import {path} --out RUN; where no family fits, a network in Python "
    "with its weights: edgernn export FILE.py:NAME --weights FILE --inputs AXES --out BUNDLE"
)
# For a file that nothing here reads.
SAVE_ARRAYS = (
    "save its matrices by name with numpy.savez in the program that reads it, then: edgernn import "
    "FILE.npz --map NAMES --out RUN"
)
IMPORTABLE = frozenset(
    {
        "hdf5",
        "json-model",
        "keras",
        "npy",
        "npz",
        "onnx",
        "pickle",
        "pickled-module",
        "safetensors",
        "state-dict",
        "torch7",
        "torchscript",
    }
)
RUN_FIRST = "give what edgernn train, edgernn import or edgernn export wrote"


@dataclass(frozen=True)
class Kind:
    """One kind of file or folder.

    Attributes:
        key: a short name for programs.
        name: what it is, in words that follow "is".
        advice: what to do with it; ``{path}`` stands for where it lies.
    """

    key: str
    name: str
    advice: str

    def advise(self, path: Path) -> str:
        """Return the advice for what lies at ``path``; its commands work as they stand."""
        return self.advice.format(path=argument(path))


Row = tuple[Callable[[Peek], bool], Kind]


def row(test: Callable[[Peek], bool], key: str, name: str, advice: str) -> Row:
    """Return a row: what is true of such a file or folder, and its kind."""
    return test, Kind(key, name, advice)
