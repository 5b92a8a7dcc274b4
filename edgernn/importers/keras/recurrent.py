"""Recurrent layers of Keras in torch's layout.

    LSTM    kernel [I, 4H], recurrent_kernel [H, 4H], bias [4H], gates i, f, c, o
    GRU     kernel [I, 3H], recurrent_kernel [H, 3H], gates z, r, h; bias [3H], and where the reset
            gate acts after the product [2, 3H], that of the input and that of the state
    CuDNN   CuDNNLSTM and CuDNNGRU, and what was loaded from them: a bias of 8H and 6H, in both
            kernels each gate's block in the memory order of its transpose
    Keras 1 a matrix, a recurrent matrix and a bias for each gate: i, c, f, o and z, r, h

A bias that is not there is zeros, which add nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.errors import CheckpointError
from edgernn.importers.grammar.blocks import TORCH_ROWS, in_order

if TYPE_CHECKING:
    from edgernn.models.cells.blocks import Block

_ROWS = {"LSTM": "ifgo", "GRU": "zrn", "SimpleRNN": "h"}  # Keras' gates, by torch's letters
_KERAS1 = {12: (0, 6, 3, 9), 9: (0, 3, 6)}  # variables → the matrices of Keras 2's gates in order
_CELLS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}
_BLOCKS = ("CuDNN", "Cell", "V1", "V2")  # what else a class's name may say
_FUNCTIONS = ("activation", "recurrent_activation")
_DEFAULTS = {"activation": "tanh", "recurrent_activation": "sigmoid"}
_OLD_NAMES = {"inner_activation": "recurrent_activation", "output_dim": "units"}  # of Keras 1
_RENAMED = {"swish": "silu"}
Array = np.ndarray


@dataclass(frozen=True)
class Recurrent:
    """One layer in torch's layout.

    Attributes:
        cell: a row of ``models.cells.table``.
        options: the cell's.
        block: its matrices and biases.
    """

    cell: str
    options: dict[str, str]
    block: Block


def base_of(kind: str) -> str | None:
    """Return which of ``LSTM``, ``GRU``, ``SimpleRNN`` a class of Keras is; None where none."""
    for word in _BLOCKS:
        kind = kind.replace(word, "")
    return kind if kind in _ROWS else None


def variable_count(kind: str, config: Mapping[str, Any]) -> int:
    """Return how many variables such a cell has."""
    return 3 if config.get("use_bias", True) or kind.startswith("CuDNN") else 2


def recurrent_of(
    kind: str, config: Mapping[str, Any], variables: Sequence[Array], *, version: int
) -> Recurrent:
    """Return a recurrent layer or cell of Keras in torch's layout.

    Args:
        kind: its class.
        config: its configuration.
        variables: its kernel, its recurrent kernel and, where it has one, its bias.
        version: of Keras, which decides what ``hard_sigmoid`` is.

    Raises:
        CheckpointError: it does something that its step cannot, or its shapes do not fit.
    """
    from edgernn.models.cells.blocks import Block

    base = base_of(kind)
    assert base is not None
    config = {_OLD_NAMES.get(key, key): value for key, value in config.items()}
    if len(variables) in _KERAS1:
        variables = _joined(variables)
    gates, name = len(_ROWS[base]), config.get("name", kind)
    if len(variables) not in (2, 3) or variables[0].ndim != 2:
        raise CheckpointError(
            f"the layer {name!r} has {len(variables)} variables, expected a kernel, a recurrent "
            "kernel and a bias; the weights are of another model"
        )
    hidden = int(variables[1].shape[0])
    rows, bias = gates * hidden, variables[2] if len(variables) == 3 else None
    cudnn = bias is not None and bias.shape in ((2 * rows,), (rows,)) and kind.startswith("CuDNN")
    cudnn = cudnn or (bias is not None and bias.shape == (2 * rows,) and base != "SimpleRNN")
    if variables[0].shape[1] != rows or variables[1].shape[1] != rows:
        shapes = [list(each.shape) for each in variables]
        raise CheckpointError(
            f"the layer {name!r} is a {kind} with variables {shapes}, which do not fit {gates} "
            f"gates of {hidden}; the weights are of another model"
        )
    kernels = [_from_cudnn(each, gates, place) for place, each in enumerate(variables[:2])]
    kernels = kernels if cudnn else list(variables[:2])
    two = bias is not None and bias.size == 2 * rows
    w_ih, w_hh, b_ih, b_hh = (
        in_order(each, _ROWS[base], TORCH_ROWS[_CELLS[base]])
        for each in (*(kernel.T for kernel in kernels), *_biases(bias, rows, name))
    )
    _refuse_other(config, name, hidden, bias, two=two and not cudnn and base == "GRU")
    after = base != "GRU" or two or cudnn or bool(config.get("reset_after", False))
    cell, others = _CELLS[base], {}
    if not after:  # the candidate's recurrent rows stand apart
        cell, apart = "gru_before", 2 * hidden
        others = {"from_reset.weight": w_hh[apart:], "from_reset.bias": b_hh[apart:]}
        w_hh, b_hh = w_hh[:apart], b_hh[:apart]
    return Recurrent(
        cell=cell,
        options=_options(base, config, version),
        block=Block(w_ih, w_hh, b_ih, b_hh, others),
    )


def _refuse_other(
    config: Mapping[str, Any], name: str, hidden: int, bias: Array | None, *, two: bool
) -> None:
    """Raise CheckpointError where the weights are not those that the configuration asks for."""
    says = {
        "units": config.get("units", hidden) == hidden,
        "use_bias": config.get("use_bias", True) is not False or bias is None,
        "reset_after": config.get("reset_after") is not False or not two,
    }
    wrong = next((key for key, fits in says.items() if not fits), None)
    if wrong is not None:
        found = "none" if bias is None else list(bias.shape)
        raise CheckpointError(
            f"the layer {name!r} has {wrong} {config[wrong]!r}, and weights of {hidden} units with "
            f"the bias {found}; the weights are of another model"
        )


def _biases(bias: Array | None, rows: int, name: str) -> tuple[Array, Array]:
    """Return the bias that goes with the input and that of the state, each ``[gH]``."""
    zeros = np.zeros(rows, np.float32)
    if bias is None:
        return zeros, zeros
    if bias.size == rows:
        return bias.reshape(rows), zeros
    if bias.size == 2 * rows:
        first, second = bias.reshape(2, rows)
        return first, second
    raise CheckpointError(
        f"the layer {name!r} has a bias {list(bias.shape)}, expected {rows} or twice as many "
        "values; the weights are of another model"
    )


def _from_cudnn(kernel: Array, gates: int, place: int) -> Array:
    """Return a kernel of a CuDNN layer ``[I, gH]`` in the layout of the others.

    Each gate's block of an input kernel holds, row by row, the values of its transpose; the block
    of a recurrent kernel is the transpose itself.
    """
    blocks = np.split(kernel, gates, axis=1)  # [I, H] each
    if place:
        return np.concatenate([block.T for block in blocks], 1)
    return np.concatenate([block.T.reshape(block.shape, order="F") for block in blocks], 1)


def _joined(variables: Sequence[Array]) -> list[Array]:
    """Return the kernel, the recurrent kernel and the bias of Keras 1's separate ones."""
    places = _KERAS1[len(variables)]
    return [np.concatenate([variables[place + part] for place in places], -1) for part in range(3)]


def _options(base: str, config: Mapping[str, Any], version: int) -> dict[str, str]:
    """Return the functions that are others than the cell's own."""
    found = {}
    for key in _FUNCTIONS[: 1 if base == "SimpleRNN" else 2]:
        default = (
            "hard_sigmoid" if version < 2 and key == "recurrent_activation" else _DEFAULTS[key]
        )
        function = function_name(config.get(key, default), version, config.get("name", base))
        if function != _DEFAULTS[key]:
            found[key] = function
    return found


def function_name(said: Any, version: int, name: str) -> str:
    """Return a function of Keras by the name that cells and layers give it.

    Raises:
        CheckpointError: it is one of the user's own.
    """
    from edgernn.models.activations import ACTIVATIONS

    if said is None:
        return "linear"
    if isinstance(said, Mapping):  # of Keras 3, of an object
        said = said.get("config") if isinstance(said.get("config"), str) else said.get("class_name")
    if not isinstance(said, str):
        raise CheckpointError(f"the layer {name!r} has a function of your own, {said!r}: not taken")
    found = _RENAMED.get(said, said)
    if found == "hard_sigmoid" and version < 3:
        return "hard_sigmoid_fifth"
    if found not in (*ACTIVATIONS, "softmax"):
        raise CheckpointError(f"the layer {name!r} has the function {said!r}, which is not known")
    return found
