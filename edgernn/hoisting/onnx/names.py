"""Foreign names in the grammar of contracts: tensors as identifiers, axes in small letters."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST = 60  # characters of an axis


def tensor_name(name: str) -> str:
    """Return ``name`` as a tensor of a contract may be called: itself where that can be."""
    made = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "tensor"
    return made if made[0].isalpha() else f"x_{made}"


def axis_name(name: str) -> str:
    """Return ``name`` as an axis may be called."""
    made = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_") or "axis"
    return (made if made[0].isalpha() else f"x_{made}")[-_MOST:].lstrip("_0123456789")


def unlike(name: str, others: Iterable[str]) -> str:
    """Return ``name``, with a number where one of ``others`` has it."""
    taken, number, made = set(others), 1, name
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    return made


def node_path(name: str, op: str) -> str:
    """Return what a node is called after: ``/encoder/rnn/GRU`` is ``encoder_rnn``."""
    parts = [p for p in re.split(r"[/.:]+", name) if p and not p.lower().startswith(op.lower())]
    parts = [part for part in parts if "_branch__" not in part]  # of a branch that was taken
    return tensor_name("_".join(parts)) if parts else op.lower()
