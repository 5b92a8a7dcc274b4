"""Runs in the environment ``litert``, apart from edgernn: a program of ``torch.export`` in, a
``.tflite`` file out.

It imports nothing of edgernn, and is called by its place: ``python convert.py PROGRAM.pt2
FILE.tflite``. What goes wrong is told in the last line on stderr.
"""

from __future__ import annotations

import sys
import warnings


def main(program: str, target: str) -> None:
    """Convert ``program``, whose inputs have the sizes of its own example, to ``target``."""
    warnings.simplefilter("ignore")
    import litert_torch
    import torch

    with torch.no_grad():
        loaded = torch.export.load(program)
        examples, _ = loaded.example_inputs
        litert_torch.convert(loaded.module(), examples).export(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
