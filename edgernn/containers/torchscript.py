"""TorchScript archives: the tree of attributes as nested modules, the code beside it not looked at.

The pickle ``data.pkl`` holds the outermost module, an object of a class ``__torch__.…`` whose state
is its attributes: tensors, values and modules side by side. They are sorted here as ``nn.Module``
sorts them, so that its tensors have the names of the state dict. Constants of the code lie in
``constants.pkl``; they become the attribute ``constants`` of the outermost module.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edgernn.containers.content import Content, Stub
from edgernn.containers.source import Source
from edgernn.containers.torch_zip import Records

_OWN = "__torch__."
_MANGLED = re.compile(r"___torch_mangle_\d+\.")


def read_torchscript(source: Source) -> Content:
    """Return the attributes of a TorchScript module and of those in it.

    Raises:
        DataError: it is damaged, or none that torch writes.
    """
    try:
        records = Records(source)
        tree = records.load("data.pkl", "data/")
        constants = records.load("constants.pkl", "constants/")
    except ValueError as error:
        raise source.damaged(str(error)) from error
    _sort(tree)
    if isinstance(tree, Stub) and isinstance(tree.state, dict) and constants:
        tree.state["constants"] = constants
    return Content(source.path, "TorchScript", tree)


def _sort(tree: Any) -> None:
    """Sort the attributes of every module in ``tree`` into parameters, modules and others."""
    pending, seen = [tree], set[int]()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (list, tuple)):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, Stub) and isinstance(value.state, dict):
            pending += value.state.values()
            if _is_module(value):
                value.state = _sorted(value.state)
                value.name = _MANGLED.sub("", value.name.removeprefix(_OWN))


def _is_module(value: Any) -> bool:
    """Whether it is an object of the file's own classes, not one of torch's that have no code."""
    return (
        isinstance(value, Stub)
        and isinstance(value.state, dict)
        and value.name.startswith(_OWN)
        and not value.name.startswith(f"{_OWN}torch.classes.")
    )


def _sorted(state: dict[Any, Any]) -> dict[Any, Any]:
    parameters = {name: v for name, v in state.items() if isinstance(v, np.ndarray)}
    modules = {
        name: v
        for name, v in state.items()
        if _is_module(v) or (isinstance(v, Stub) and "_modules" in v.attributes)
    }
    others = {n: v for n, v in state.items() if n not in parameters and n not in modules}
    return {**others, "_parameters": parameters, "_buffers": {}, "_modules": modules}
