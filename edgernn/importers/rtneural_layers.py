"""The layers of RTNeural's files, by type: from Keras's layouts to torch's.

The equations are Keras's own (``keras.layers``), which are torch's up to the order of rows:

    LSTM   i f c o are torch's i f g o
    GRU    z r h become torch's r z n; both biases are kept apart (``reset_after=True``)
    Conv1D ``[K, I / groups, O]`` becomes ``[O, I / groups, K]``; both multiply without turning
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import CheckpointError
from edgernn.importers.grammar.blocks import TORCH_ROWS, in_order
from edgernn.importers.row import Row

_FUNCTIONS = ("tanh", "relu", "sigmoid", "softmax", "elu")
_EPS = 1e-5


@dataclass(frozen=True, eq=False)
class Said:
    """What a file says, and where in it one is.

    Attributes:
        path: of the file.
        tree: the whole of it.
        layer: the layer that is read.
        place: which it is.
    """

    path: Path
    tree: Mapping[str, Any]
    layer: Mapping[str, Any] = field(default_factory=dict)
    place: int = 0

    def at(self, layer: Mapping[str, Any], place: int) -> Said:
        """Return it at a layer."""
        return replace(self, layer=layer, place=place)

    def refusal(self, why: str) -> CheckpointError:
        """Return the error that says why the file cannot be taken."""
        return CheckpointError(f"{self.path}: {why}; export it again from its training")

    def wrong(self, why: str) -> CheckpointError:
        """Return the error of the layer that is read."""
        return self.refusal(f"layer {self.place} ({self.layer.get('type')}) {why}")

    def number(self, key: str) -> float:
        """Return a number of the file; 0 where it has none."""
        found = self.tree.get(key)
        known = isinstance(found, (int, float)) and not isinstance(found, bool)
        if found is not None and not (known and math.isfinite(found) and abs(found) <= 200):
            raise self.refusal(f"its {key} is {found!r}, expected a number")
        return 0.0 if found is None else float(found)

    def array(self, found: Any, name: str) -> np.ndarray:
        """Return an array of floats; raise CheckpointError where it is none."""
        if not isinstance(found, np.ndarray):
            raise self.refusal(f"{name} is no list of numbers")
        return found.astype(np.float32)

    def weights(self, *axes: int, least: int = 1) -> list[np.ndarray]:
        """Return the layer's arrays, with ``axes`` axes each; the later ones may be missing."""
        found = self.layer.get("weights")
        if not isinstance(found, list) or not least <= len(found) <= len(axes):
            count = len(found) if isinstance(found, list) else 0
            raise self.wrong(f"has {count} arrays of weights, expected {least} to {len(axes)}")
        arrays = [self.array(each, f"weights of layer {self.place}") for each in found]
        if any(array.ndim != n for array, n in zip(arrays, axes, strict=False)):
            shapes = [list(array.shape) for array in arrays]
            raise self.wrong(f"has weights of the shapes {shapes}")
        return arrays

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a size of the layer: a number, or the last of a list, as RTNeural takes it."""
        found = self.layer.get(key, default)
        found = found[-1] if isinstance(found, list) and found else found
        if type(found) is not int or not 1 <= found <= 65_536:
            raise self.wrong(f"has the {key} {found!r}, expected a size")
        return found


def _check(said: Said, row: Row, array: np.ndarray, expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise said.wrong(
            f"has weights {list(array.shape)}, expected {list(expected)} after {row.width} values"
        )


def _dense(said: Said, row: Row) -> None:
    kernel, *bias = said.weights(2, 1)
    _check(said, row, kernel, (row.width, kernel.shape[1]))
    for array in bias:
        _check(said, row, array, (kernel.shape[1],))
    row.linear(kernel.T, bias[0] if bias else None)
    _function(said, row)


def _lstm(said: Said, row: Row) -> None:
    from edgernn.models.cells.blocks import Block

    kernel, recurrent, *bias = said.weights(2, 2, 1, least=2)
    _check_gates(said, row, kernel, recurrent, 4)
    for array in bias:
        _check(said, row, array, (kernel.shape[1],))
    row.recurrent("lstm", [Block(kernel.T, recurrent.T, bias[0] if bias else None)])


def _gru(said: Said, row: Row) -> None:
    from edgernn.models.cells.blocks import Block

    kernel, recurrent, *bias = said.weights(2, 2, 2, least=2)
    _check_gates(said, row, kernel, recurrent, 3)
    for array in bias:
        _check(said, row, array, (2, kernel.shape[1]))
    w_ih, w_hh = _torch_rows(kernel.T), _torch_rows(recurrent.T)
    b_ih, b_hh = map(_torch_rows, bias[0]) if bias else (None, None)
    row.recurrent("gru", [Block(w_ih, w_hh, b_ih, b_hh)])


def _check_gates(
    said: Said, row: Row, kernel: np.ndarray, recurrent: np.ndarray, gates: int
) -> None:
    """Raise CheckpointError where the matrices do not fit, or the cell has another function."""
    hidden = recurrent.shape[0]
    _check(said, row, kernel, (row.width, gates * hidden))
    _check(said, row, recurrent, (hidden, gates * hidden))
    function = said.layer.get("activation", "tanh")
    if function not in ("", "tanh"):
        raise said.wrong(f"has the activation {function!r}, expected tanh, which RTNeural runs")


def _torch_rows(array: np.ndarray) -> np.ndarray:
    return in_order(array, "zrn", TORCH_ROWS["gru"])


def _conv1d(said: Said, row: Row) -> None:
    kernel, *bias = said.weights(3, 1)
    size, dilation, groups = (
        said.whole(key, default)
        for key, default in (("kernel_size", None), ("dilation", 1), ("groups", 1))
    )
    outputs = kernel.shape[2]
    if row.width % groups or outputs % groups or said.whole("strides", 1) != 1:
        raise said.wrong(f"has {groups} groups or strides that are not taken")
    _check(said, row, kernel, (size, row.width // groups, outputs))
    tensors = {"conv.weight": kernel.transpose(2, 1, 0)}  # [O, I / groups, K]
    for array in bias:
        _check(said, row, array, (outputs,))
        tensors["conv.bias"] = array
    sizes = {"width": outputs, "kernel": size, "dilation": dilation, "groups": groups}
    row.layer("convolution", gives=outputs, tensors=tensors, **sizes, bias=bool(bias))
    _function(said, row)


def _batchnorm(said: Said, row: Row) -> None:
    arrays = said.weights(1, 1, 1, 1, least=2)
    if len(arrays) == 2:  # neither scaled nor shifted
        arrays = [np.ones(row.width, np.float32), np.zeros(row.width, np.float32), *arrays]
    for array in arrays:
        _check(said, row, array, (row.width,))
    eps = said.layer.get("epsilon")
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 < eps < 1e6:
        raise said.wrong(f"has the epsilon {eps!r}, expected a number above 0")
    arrays[3] = arrays[3] + np.float32(eps - _EPS)  # of any size, as part of the variance
    names = ("weight", "bias", "running_mean", "running_var")
    tensors = dict(zip(names, arrays, strict=True))
    row.layer("normalise", tensors=tensors, eps=_EPS)


def _prelu(said: Said, row: Row) -> None:
    (alpha,) = said.weights(2)
    slopes = alpha[0] if alpha.shape[0] == 1 else alpha.reshape(-1)
    if slopes.size == 1:
        slopes = np.full(row.width, slopes[0])
    _check(said, row, slopes, (row.width,))
    row.layer("activation", tensors={"weight": slopes}, function="prelu")


def _activation(said: Said, row: Row) -> None:
    if not said.layer.get("activation"):
        raise said.wrong("names no function")
    _function(said, row)


def _function(said: Said, row: Row) -> None:
    """Add the function that the layer names; none where it names none."""
    name = said.layer.get("activation") or ""
    if not name:
        return
    if name not in _FUNCTIONS:
        raise said.wrong(f"has the activation {name!r}, expected one of {', '.join(_FUNCTIONS)}")
    row.layer("activation", function=name)


KINDS: dict[str, Callable[[Said, Row], None]] = {
    "dense": _dense,
    "time-distributed-dense": _dense,
    "lstm": _lstm,
    "gru": _gru,
    "conv1d": _conv1d,
    "batchnorm": _batchnorm,
    "prelu": _prelu,
    "activation": _activation,
}
