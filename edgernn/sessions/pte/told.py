"""What an ExecuTorch program runs where, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgernn.sessions.pte.program import KERNEL, Method
from edgernn.sessions.pte.xnnpack import Graph
from edgernn.wording import counted


def delegation(method: Method, graphs: Sequence[Graph]) -> str:
    """Say how many operators XNNPACK runs, and which are left to ExecuTorch's portable ones, each
    with how often it is called.
    """
    calls = Counter(method.operators[e.index] for e in method.instructions if e.kind == KERNEL)
    portable = ", ".join(f"{name} ({count})" for name, count in sorted(calls.items())) or "none"
    inner = sum(len(graph.operators) for graph in graphs)
    return (
        f"{counted(len(graphs), 'delegate')} of XNNPACK with {counted(inner, 'operator')}, "
        f"portable operators: {portable}"
    )
