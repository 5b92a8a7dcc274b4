"""tract, an engine in Rust, by its package for Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from _elsewhere import IN_THE_HOST, PORTABLE, Runtime

ORDER = 3
RUNTIMES = (
    Runtime(
        "tract", "tract", ("tract==0.23.9",),
        advice=(IN_THE_HOST, *PORTABLE),
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import tract

    model = tract.onnx().load(path).into_model().into_runnable()
    names = [each["name"] for each in case["outputs"]]
    inputs = case["inputs"]

    def run(feeds: dict[str, Any]) -> dict[str, Any]:
        found = model.run([feeds[each] for each in inputs])
        return {each: value.to_numpy() for each, value in zip(names, found, strict=True)}

    return run


def line(error: BaseException) -> str:
    """Return the first line without the number and the name of a node, which each file has anew."""
    return re.sub(r'node #\d+ "\w+" |node /\S+ ', "a node ", str(error).splitlines()[0])
