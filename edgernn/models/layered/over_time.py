"""The layer of a description that goes over time: a recurrent one, or what stands in its place."""

from __future__ import annotations

from typing import Any

from edgernn.errors import UsageError
from edgernn.models.layered.table import OVER_TIME


def over_time(
    name: str, given: str, *, cell: str, hidden: int, layers: int, **more: Any
) -> dict[str, Any]:
    """Return the layer ``name`` of a description, which takes the value ``given``.

    Args:
        name, given: as a description has them.
        cell: a row of ``models.cells.table``, or of ``OVER_TIME``, which is a kind of its own.
        hidden: H, the width of what it gives.
        layers: L.
        more: further options of the kind; those that are None are left out, and so is a ``between``
            of ``plain``.

    Raises:
        UsageError: ``between`` of a kind that has a way of its own past each layer.
    """
    told = {key: value for key, value in more.items() if value is not None}
    if told.get("between") == "plain":
        told.pop("between")
    own = {"hidden": hidden, "layers": layers, **told}
    if cell not in OVER_TIME:
        return {
            "name": name,
            "kind": "recurrent",
            "inputs": [given],
            "options": {"cell": cell, **own},
        }
    if "between" in told:
        raise UsageError(
            f"{cell} has a way past each of its layers of its own; leave {told['between']} out"
        )
    return {"name": name, "kind": cell, "inputs": [given], "options": own}
