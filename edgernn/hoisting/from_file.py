"""A network from the user's own file to its step, as the command line says it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgernn.errors import UsageError
from edgernn.hoisting.examples import read_examples, read_value
from edgernn.hoisting.hoisted import Hoisted, hoist
from edgernn.hoisting.loading import load_network


def hoist_file(
    text: str,
    *,
    weights: Path | None = None,
    inputs: Iterable[str] = (),
    method: str = "forward",
    context: Iterable[str] = (),
    pairs: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    start: str | None = None,
) -> Hoisted:
    """Run ``FILE.py:NAME`` and take the step out of the network that it gives.

    Args:
        text: see ``load_network``, as ``weights``.
        inputs: see ``read_examples``.
        method, context, pairs, start: see ``hoist``.
        settings: argument → the value that it always has; see ``read_value``.

    Raises:
        UsageError, DataError, CheckpointError, ContractError: see those.
    """
    net = load_network(text, weights)
    if not callable(getattr(net, method, None)):
        raise UsageError(f"{type(net).__name__} has no method {method!r}; --method names the step")
    fixed = {name: read_value(value) for name, value in (settings or {}).items()}
    taken = inspect.signature(getattr(net, method)).parameters
    return hoist(
        net,
        read_examples(inputs, [name for name in taken if name not in fixed]),
        method=method,
        fixed=fixed,
        start=start,
        context=tuple(context),
        pairs=pairs,
    )
