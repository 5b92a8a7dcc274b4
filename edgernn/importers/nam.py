"""neural-amp-modeler's ``.nam`` files of the architecture LSTM: a network of sound, sample by
sample.

The weights are one list of numbers (``nam/models/recurrent.py``, ``_export_weights``): of each
layer ``[W_ih W_hh]`` side by side, row by row ``[4H, I + H]`` in torch's order of gates (i f g o),
one bias ``[4H]``, the first h ``[H]``, the first c ``[H]``; then the head's ``W [1, H]`` and bias.

The list does not have the start that was learned: upstream writes the state that its LSTM has
after 48,000 samples of silence from zeros, and its plugins begin there. So does the import.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.errors import CheckpointError
from edgernn.importers.base import BY_CLASS, Imported, Importer, Match, Opened
from edgernn.importers.row import Row

_KEYS = {"architecture", "config", "weights"}
_MOST_LAYERS, _MOST_WIDTH = 64, 65_536
_START = (
    "the first state is the one in the file: upstream stores what its LSTM has after 48,000 "
    "samples of silence, not the start that was trained, so the first moments differ from those of "
    "the Python module"
)


class NeuralAmpModeler(Importer):
    """``.nam`` files; of their architectures LSTM alone."""

    word = "nam"
    about = "neural-amp-modeler, a recurrent model of an amplifier (.nam)"
    differs = (_START,)

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        tree = opened.content.tree
        if not isinstance(tree, dict) or not tree.keys() >= _KEYS:
            return None
        if not isinstance(tree["architecture"], str) or not isinstance(tree["config"], dict):
            return None
        return Match(BY_CLASS, f"it says architecture {tree['architecture']}")

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        from edgernn.models.cells.blocks import Block

        path, tree = opened.content.path, opened.content.tree
        if tree["architecture"] != "LSTM":
            raise CheckpointError(
                f"{path} has the architecture {tree['architecture']}, expected LSTM: the others of "
                "neural-amp-modeler are convolutions; take the network in from its Python: edgernn "
                "export FILE.py:NAME --inputs AXES --out BUNDLE"
            )
        inputs, hidden, layers = (
            _size(opened, key, most)
            for key, most in (
                ("input_size", _MOST_WIDTH),
                ("hidden_size", _MOST_WIDTH),
                ("num_layers", _MOST_LAYERS),
            )
        )
        numbers = _Numbers(opened)
        numbers.expect(_count(inputs, hidden, layers))
        row, blocks = Row(inputs), []
        first: dict[str, list[np.ndarray]] = {"h": [], "c": []}
        for layer in range(layers):
            width = inputs if layer == 0 else hidden
            both = numbers.take(4 * hidden, width + hidden)  # [4H, I + H]
            blocks.append(Block(both[:, :width], both[:, width:], numbers.take(4 * hidden)))
            for key in ("h", "c"):
                first[key].append(numbers.take(hidden))
        row.recurrent("lstm", blocks, {key: np.stack(parts) for key, parts in first.items()})
        row.linear(numbers.take(1, hidden), numbers.take(1))
        return Imported(row.config(), row.sketch.tensors, told=(_START, *_rate(tree)))


class _Numbers:
    """The list of weights, taken from the front."""

    def __init__(self, opened: Opened) -> None:
        found = opened.content.tree["weights"]
        self._path = opened.content.path
        if not isinstance(found, np.ndarray) or found.ndim != 1:
            raise CheckpointError(
                f"{self._path} has weights that are no flat list of numbers; download it again"
            )
        self._left: np.ndarray = found.astype(np.float32)

    def expect(self, count: int) -> None:
        """Raise CheckpointError where there are not ``count`` numbers."""
        if self._left.size != count:
            raise CheckpointError(
                f"{self._path} has {self._left.size:,} weights, its config asks for {count:,}; "
                "download it again"
            )

    def take(self, *shape: int) -> np.ndarray:
        """Return the next numbers in a shape."""
        count = int(np.prod(shape))
        taken, self._left = self._left[:count], self._left[count:]
        return taken.reshape(shape)


def _count(inputs: int, hidden: int, layers: int) -> int:
    """Return how many numbers such a network has."""
    first = 4 * hidden * (inputs + hidden + 1) + 2 * hidden
    more = 4 * hidden * (2 * hidden + 1) + 2 * hidden
    return first + (layers - 1) * more + hidden + 1


def _size(opened: Opened, key: str, most: int) -> int:
    found = opened.content.tree["config"].get(key, 1 if key in {"input_size", "num_layers"} else 0)
    if type(found) is not int or not 1 <= found <= most:
        raise CheckpointError(
            f"{opened.content.path} has the {key} {found!r}, expected 1 to {most:,}; download it "
            "again"
        )
    return found


def _rate(tree: dict[str, Any]) -> tuple[str, ...]:
    rate = tree.get("sample_rate")
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not rate > 0:
        return ("the file does not say its rate; neural-amp-modeler trains at 48,000 samples a s",)
    return (f"a step is a sample of sound at {rate:,.0f} samples a second",)
