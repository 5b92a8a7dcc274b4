"""Random numbers that a network draws while it runs, and whether what it gives hangs on them.

One number drawn to steer a branch, as teacher forcing does, is given by us: once the smallest,
once the largest. Where both runs do the same, it does not matter. Every other draw is refused.
"""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import torch
from torch import fx
from torch.overrides import TorchFunctionMode

from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.places import line_of

SMALLEST, LARGEST = 0.0, 1.0 - 2.0**-24  # of float32 in [0, 1)


class RandomDraws(TorchFunctionMode):
    """While it holds, ``torch.rand(())`` and ``random.random()`` give ``number``.

    ``seen`` says whether any was asked for.
    """

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number, self.seen = number, False
        self._patch = mock.patch.object(random, "random", self._draw)

    def _draw(self) -> float:
        self.seen = True
        return self._number

    def __enter__(self) -> RandomDraws:
        self._patch.start()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._patch.stop()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.rand and _count(args) == 1:
            return _Number(self._draw())
        return func(*args, **(kwargs or {}))


class _Number(float):
    """A number of Python that can be read as a tensor with one number is."""

    def item(self) -> float:
        """Return the number."""
        return float(self)

    def __getitem__(self, index: Any) -> _Number:
        return self


def _count(sizes: tuple[Any, ...]) -> int:
    flat = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    count = 1
    for size in flat:
        count *= int(size)
    return count


def draw_in(graph_module: fx.GraphModule) -> str | None:
    """Return why the graph is no function of its inputs, or None where it draws nothing."""
    for node in graph_module.graph.nodes:
        tags = getattr(operator_of(node), "tags", ())
        if (
            node.op == "call_function"
            and torch.Tag.nondeterministic_seeded in tags
            and _draws(node)
        ):
            return (
                f"{line_of(node)} draws random numbers at every call, in eval mode too, so two "
                "runs on the same input differ. Take the dropout or the noise out, or let the "
                "numbers be an input"
            )
    return None


def _draws(node: fx.Node) -> bool:
    """Operators that only may draw say so by an argument: ``train``, ``dropout_p``."""
    schema = operator_of(node)._schema
    given = (
        dict(zip((a.name for a in schema.arguments), operands(node), strict=False)) | node.kwargs
    )
    told = {a.name: given.get(a.name, a.default_value) for a in schema.arguments}
    if "train" in told and ("p" in told or "dropout" in told):
        return bool(told["train"] and told.get("p", told.get("dropout")))
    return bool(told["dropout_p"]) if "dropout_p" in told else True
