"""Runs in the environment ``litert``, apart from edgernn: a program of ``torch.export`` in, a
``.tflite`` file out.

It imports nothing of edgernn, and is called by its place: ``python convert.py PROGRAM.pt2
FILE.tflite``. What goes wrong is told in the last line on stderr.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any


def main(program: str, target: str) -> None:
    """Convert ``program``, whose inputs have the sizes of its own example, to ``target``."""
    warnings.simplefilter("ignore")
    import litert_torch
    import torch

    with torch.no_grad():
        loaded = torch.export.load(program)
        examples, _ = loaded.example_inputs
        module = loaded.module()
        spread(module.graph)
        module.recompile()
        litert_torch.convert(module, examples).export(target)


def spread(graph: Any) -> None:
    """Write maps that stand for every row (``[1, C, H, W]`` expanded to ``[B, C, H, W]``) as B of
    them, joined: beside convolutions the converter turns the maps, and not the shape that they are
    expanded to.
    """
    import torch

    for node in graph.find_nodes(op="call_function", target=torch.ops.aten.expand.default):
        given, made = node.args[0].meta["val"].shape, node.meta["val"].shape
        if len(given) == len(made) == 4 and given[0] == 1 < made[0] and given[1:] == made[1:]:
            with graph.inserting_before(node):
                parts = [node.args[0]] * int(made[0])
                joined = graph.call_function(torch.ops.aten.cat.default, (parts, 0))
            joined.meta = dict(node.meta)
            node.replace_all_uses_with(joined)
            graph.erase_node(node)


if __name__ == "__main__":
    main(*sys.argv[1:])
