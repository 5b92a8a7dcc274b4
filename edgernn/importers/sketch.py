"""A network described by layers while it is put together: its inputs, the layers of both graphs,
and their parameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgernn.contract import BATCH, TIME, TOKENS, Decoding
from edgernn.families.step import VOCAB

if TYPE_CHECKING:
    from edgernn.models.cells.blocks import Block
    from edgernn.models.layered.description import NetworkConfig

Graph = Literal["encode", "layers"]
Tensors = dict[str, np.ndarray]
_LONGEST_NAME = 32


class Sketch:
    """What there is so far of a ``NetworkConfig``, and the parameters by the network's own names.

    Attributes:
        inputs, given: the inputs of the step and of encode, in the order in which they were named.
        encode, layers: of the two graphs, in the order in which they run.
        outputs, contexts, first, axes: see ``NetworkConfig``.
        sizes: axis → size.
        tensors: parameter → value.
        told: sentences for the user.
    """

    def __init__(self) -> None:
        self.inputs: list[dict[str, Any]] = []
        self.given: list[dict[str, Any]] = []
        self.encode: list[dict[str, Any]] = []
        self.layers: list[dict[str, Any]] = []
        self.outputs: dict[str, str] = {}
        self.contexts: dict[str, str] = {}
        self.first: dict[str, str] = {}
        self.axes: dict[str, tuple[str, ...]] = {}
        self.sizes: dict[str, int] = {}
        self.tensors: Tensors = {}
        self.told: list[str] = []
        self._taken: set[str] = set()

    def free(self, wanted: str) -> str:
        """Return a name for a port, a layer or an output, like ``wanted`` and given to no other."""
        base = re.sub(r"[^a-z0-9_]+", "_", wanted.lower()).strip("_")[:_LONGEST_NAME] or "layer"
        base = base if base[0].isalpha() else f"layer_{base}"
        found, number = base, 1
        while found in self._taken:
            number += 1
            found = f"{base}_{number}"
        self._taken.add(found)
        return found

    def numbered(self, word: str) -> str:
        """Return ``word`` and how many layers of the step are called so: a name for the next."""
        return f"{word}{sum(layer['name'].startswith(word) for layer in self.layers)}"

    def takes_ids(self, size: int, *, name: str = TOKENS, below: str = VOCAB) -> str:
        """Name an input of the step, ids ``[B, T]`` from 0 to ``size - 1``; return its name."""
        axes = (BATCH, TIME)
        self.inputs.append({"name": name, "dtype": "int64", "axes": axes, "below": below})
        self.sizes[below] = size
        return name

    def takes_frames(self, name: str, width: int, *, axis: str) -> str:
        """Name an input of the step, floats ``[B, T, width]``; return its name."""
        self.inputs.append({"name": name, "axes": (BATCH, TIME, axis)})
        self.sizes[axis] = width
        return name

    def add(
        self,
        kind: str,
        name: str,
        *inputs: str,
        graph: Graph = "layers",
        tensors: Mapping[str, np.ndarray] | None = None,
        **options: Any,
    ) -> str:
        """Add a layer; return its name, which is that of its value.

        Args:
            kind: a row of ``models.layered.table``.
            name: of the layer.
            inputs: the values that it takes.
            graph: in which it runs.
            tensors: its parameters by their own names.
            options: of the kind.
        """
        layers = self.encode if graph == "encode" else self.layers
        layers.append({"name": name, "kind": kind, "inputs": inputs, "options": options})
        self.tensors |= {f"{graph}.{name}.{part}": array for part, array in (tensors or {}).items()}
        return name

    def linear(
        self,
        name: str,
        taken: str,
        weight: np.ndarray,
        bias: np.ndarray | None,
        *,
        graph: Graph = "layers",
        width: int | str | None = None,
        **options: Any,
    ) -> str:
        """Add ``W x + b``: ``weight [O, I]``, ``bias [O]`` or none; ``width`` may name O's axis."""
        tensors = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        options = {"width": width or len(weight), "bias": bias is not None, **options}
        return self.add("linear", name, taken, graph=graph, tensors=tensors, **options)

    def recurrent(
        self,
        name: str,
        cell: str,
        blocks: Sequence[Block],
        *inputs: str,
        cell_options: Mapping[str, str] | None = None,
        first: Mapping[str, np.ndarray] | None = None,
    ) -> str:
        """Add recurrent layers of one cell and one width to the step.

        Args:
            name: of the layer.
            cell: a row of ``models.cells.table``.
            blocks: of each of its L layers, from the input up.
            inputs: what it takes, and what is added to its gates where that is given.
            cell_options: of the cell.
            first: state → its stored first value ``[L, H]``; zeros where there is none.

        Raises:
            UsageError: matrices whose rows do not fit the cell.
        """
        from edgernn.models.cells.blocks import hidden_of
        from edgernn.models.layered.tensors import recurrent_tensors

        options: dict[str, Any] = {"cell": cell, "hidden": hidden_of(cell, blocks[0])}
        if len(blocks) > 1:
            options["layers"] = len(blocks)
        if cell_options:
            options["cell_options"] = dict(cell_options)
        if first:
            options["first"] = "stored"
        made = recurrent_tensors(name, cell, blocks, cell_options=cell_options, first=first)
        self.tensors |= made
        return self.add("recurrent", name, *inputs, **options)

    def config(
        self,
        family: Literal["language", "captioner", "module"],
        outputs: Mapping[str, str],
        *,
        writes: Decoding | None = None,
    ) -> NetworkConfig:
        """Return the network.

        Args:
            family: what kind of model it is.
            outputs: of the step, before those of ``self.outputs``: name → the value that it is.
            writes: how a host writes text with it.

        Raises:
            UsageError: its layers do not fit one another.
        """
        from edgernn.models.layered.description import NetworkConfig

        config = NetworkConfig.model_validate(
            {
                "family": family,
                "inputs": self.inputs,
                "given": self.given,
                "sizes": self.sizes,
                "encode": self.encode,
                "layers": self.layers,
                "outputs": {**outputs, **self.outputs},
                "contexts": self.contexts,
                "first": self.first,
                "axes": self.axes,
                "writes": writes,
            }
        )
        config.contract()  # which knows what each kind takes
        return config
