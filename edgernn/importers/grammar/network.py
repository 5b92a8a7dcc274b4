"""Which of a file's tensors are the network's, under which prefix, with their modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from edgernn.containers.content import Stub
from edgernn.errors import UsageError
from edgernn.importers.base import Opened
from edgernn.wording import some

T = TypeVar("T")
# what training keeps beside a network, as one of the first two parts of a dotted name
_BESIDE = re.compile(
    r"\w*optim\w*|opt|\w*schedulers?|\w*scaler|\w*sampler|criterion|loss\w*|\w*rng\w*|callbacks"
)
# of a prefix: that its weights are an average of those of another one, kept beside it
_AVERAGE = re.compile(r"(^|[._])(\w*_)?(ema|swa|averaged?|avg|shadow|teacher|target)(_|[._]|\d*$)")
ROOT, ROOT_SAYS = "root", "what the names of the network's tensors start with"


@dataclass(frozen=True, eq=False)
class Network:
    """One network of a file.

    Attributes:
        root: the prefix of its names in the file, with its dot; often empty.
        tensors: by the names without the prefix.
        modules: the stubs of its modules likewise; empty where the file has tensors alone.
    """

    root: str
    tensors: dict[str, np.ndarray]
    modules: dict[str, Stub]


def network(opened: Opened, root: str) -> Network:
    """Return the network whose names in the file start with ``root``."""
    return Network(root, _under(root, of_network(opened)), _under(root, opened.modules))


def of_network(opened: Opened) -> dict[str, np.ndarray]:
    """Return the tensors of the file without what training keeps beside a network, and under the
    prefix that the user named alone where one was.
    """
    root = opened.wishes.settings.get(ROOT, "")
    start = f"{root}." if root else ""
    return {
        name: array
        for name, array in opened.tensors.items()
        if name.startswith(start) and not any(map(_BESIDE.fullmatch, name.split(".")[:2]))
    }


def only(roots: Iterable[str]) -> str:
    """Return the one prefix of ``roots``; raise UsageError where there are several."""
    first, *more = roots
    if more:
        found = averages_last(root.rstrip(".") for root in (first, *more))
        shown = [root or "(no prefix)" for root in found]
        raise UsageError(
            f"the file holds {len(shown)} such networks, under {some(shown)}; choose one by "
            f"{root_of(found)}"
        )
    return first


def averages_last(roots: Iterable[str]) -> list[str]:
    """Return prefixes, each once: those of networks, then those of averages of their weights."""
    return sorted(dict.fromkeys(roots), key=lambda root: _AVERAGE.search(root) is not None)


def root_of(roots: Sequence[str]) -> str:
    """Return the option that chooses one of several prefixes: the last that is no average."""
    named = [root for root in roots if root]
    networks = [root for root in named if not _AVERAGE.search(root)]
    return f"--set {ROOT}={(networks or named)[-1]}"


def _under(root: str, named: Mapping[str, T]) -> dict[str, T]:
    return {n.removeprefix(root): value for n, value in named.items() if n.startswith(root)}
