"""What was seen in a checkpoint, in words: its container, the classes that it names, its recurrent
layers, its tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgernn.containers.content import Content, Stub
from edgernn.containers.walk import plain_attributes, walk
from edgernn.importers.base import Opened
from edgernn.wording import counted

_SHOWN = 4
_QUANTISED = re.compile(r"torch\.(ao\.)?nn\.quantized\.|torch\._utils\._rebuild_qtensor$")
# of a tensor's name: that it is a recurrent layer's, whichever library named it
_RECURRENT = re.compile(r"weight_hh|recurrent_kernel|(^|[._])h2h([._]|$)|(^|[._/])(lstm|gru|rnn)")


def seen_in(opened: Opened) -> str:
    """Return what ``opened`` holds in one line: ``a torch zip with …``."""
    parts = [opened.content.container]
    if classes := class_names(opened.content):
        parts.append(f"of {_some(classes, 'class', 'classes')}")
    arrays = opened.tensors
    recurrent = [name for name in arrays if _RECURRENT.search(name)]
    if recurrent:
        parts.append(f"with the recurrent {_listed(arrays, recurrent)}")
    elif arrays:
        parts.append(f"with no tensor that is called as of a recurrent layer, {_listed(arrays)}")
    else:
        parts.append("without any tensor")
    return " ".join(parts)


def class_names(content: Content) -> list[str]:
    """Return the names of the classes and functions that stand as stubs in it, each once, in their
    order.
    """
    names = (value.name for _, value in walk(content) if isinstance(value, Stub))
    return list(dict.fromkeys(names))


def quantised(content: Content) -> bool:
    """Whether it holds weights, or modules, that torch quantised."""
    return any(map(_QUANTISED.match, class_names(content)))


def settings_of(opened: Opened) -> dict[str, dict[str, Any]]:
    """Return the plain attributes of those of its modules whose class is not torch's: module →
    name → value; the outermost is ``""``.
    """
    found = {}
    for name, stub in opened.modules.items():
        if stub.name.startswith("torch."):
            continue
        own = {k: v for k, v in plain_attributes(stub).items() if k != "training" and k[0] != "_"}
        if own:
            found[name] = own
    return found


def layout_of(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return each array's dtype and shape."""
    return {name: (str(array.dtype), array.shape) for name, array in arrays.items()}


def _listed(arrays: Mapping[str, np.ndarray], names: Iterable[str] | None = None) -> str:
    shown = list(arrays if names is None else names)
    told = ", ".join(f"{name} {list(arrays[name].shape)}" for name in shown[:_SHOWN])
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    total = f" of {counted(len(arrays), 'tensor')}" if len(shown) < len(arrays) else ""
    return f"{'tensor' if len(shown) == 1 else 'tensors'} {told}{more}{total}"


def _some(names: list[str], one: str, many: str) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"the {one if len(names) == 1 else many} {', '.join(names[:_SHOWN])}{more}"
