"""From tensors by name to blocks: what the public's names of recurrent layers mean.

A recurrent layer is ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh`` and ``weight_hr``, of a
module or of a cell, with the ending ``_l{k}`` of a layer or without, ``_reverse`` of the second
direction, and ``_raw`` of the matrix from which weight dropping makes the one it multiplies by
(Merity et al. 2018). A file may hold both; then the raw one is meant, for the other may be a draw
of the dropping.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from edgernn.containers.content import Stub
from edgernn.errors import CheckpointError
from edgernn.importers.grammar.blocks import (
    CELL_OF,
    Blocks,
    Layer,
    Matrix,
    Stack,
    check,
    check_chain,
    gates_of,
)

_RECURRENT = re.compile(
    r"(?:(?P<module>.+)\.)?(?P<part>(?:weight|bias)_(?:ih|hh|hr))"
    r"(?:_l(?P<layer>\d{1,4}))?(?P<reverse>_reverse)?(?P<raw>_raw)?"
)
_WRAPPED = ".module"  # the layer inside a wrapper that drops weights
_COUNTER = "num_batches_tracked"  # of batch normalisation; nothing is computed with it
_KINDS = {
    "torch.nn.modules.sparse.Embedding": "embedding",
    "torch.nn.modules.linear.Linear": "linear",
}
_MODES = {"RNN_TANH": "rnn", "RNN_RELU": "rnn_relu", "tanh": "rnn", "relu": "rnn_relu"}
_PLACE = re.compile(r"\d{1,9}")  # of a module in a list
_SEQUENTIAL = "torch.nn.modules.container.Sequential"
_FUNCTIONS = {  # of torch's modules; of those that do nothing in evaluation none
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.SiLU": "silu",
    "torch.nn.modules.activation.Softsign": "softsign",
    "torch.nn.modules.dropout.Dropout": "",
    "torch.nn.modules.linear.Identity": "",
}

_Key = tuple[int, bool]  # which layer, and whether it runs backwards


def parse(tensors: Mapping[str, np.ndarray], modules: Mapping[str, Stub] | None = None) -> Blocks:
    """Return the blocks among ``tensors``.

    Args:
        tensors: by dotted name, without the prefix of the network.
        modules: their modules' stubs by the same names, where the file has them: they tell an
            embedding from a linear layer, and tanh from relu.

    Raises:
        CheckpointError: a recurrent layer lacks a tensor, or its sizes do not fit.
    """
    stubs = modules or {}
    parts: dict[str, dict[_Key, dict[str, np.ndarray]]] = {}
    plain: dict[str, np.ndarray] = {}
    for name in sorted(tensors, key=lambda name: name.endswith("_raw")):  # which replaces the other
        found = _RECURRENT.fullmatch(name)
        if found is None:
            plain[name] = tensors[name]
            continue
        _refuse_integers(name, tensors[name])
        module = f".{found['module'] or ''}".removesuffix(_WRAPPED).removeprefix(".")
        key = (int(found["layer"] or 0), bool(found["reverse"]))
        parts.setdefault(module, {}).setdefault(key, {})[found["part"]] = tensors[name]
    stacks = {
        module: _stack(module, parts[module], _one_gate(module, stubs))
        for module in _in_order_of(tensors, parts)
    }
    matrices, others = _matrices(plain, stubs)
    return Blocks(matrices, stacks, others)


def _in_order_of(tensors: Mapping[str, np.ndarray], modules: Iterable[str]) -> list[str]:
    """Return ``modules`` in the order in which the file names them."""
    names = list(tensors)
    start = {
        module: next(
            at for at, name in enumerate(names) if name.startswith(f"{module}.".lstrip("."))
        )
        for module in modules
    }
    return sorted(start, key=start.__getitem__)


def _stack(module: str, found: Mapping[_Key, Mapping[str, np.ndarray]], one_gate: str) -> Stack:
    """Return the layers of one module, each complete."""
    depth = max(layer for layer, _ in found) + 1
    directions = sorted({reverse for _, reverse in found})
    layers = []
    for place in range(depth):
        for reverse in directions:
            name = f"{module or 'the network'} layer {place}" + (" backwards" if reverse else "")
            layers.append(_layer(name, found.get((place, reverse), {}), one_gate, reverse))
    stack = Stack(module, tuple(layers))
    if not stack.bidirectional:
        check_chain(stack.layers)
    return stack


def _layer(name: str, parts: Mapping[str, np.ndarray], one_gate: str, reverse: bool) -> Layer:
    missing = sorted({"weight_ih", "weight_hh"} - parts.keys())
    biases = sorted({"bias_ih", "bias_hh"} & parts.keys())
    if len(biases) == 1:
        missing.append({"bias_ih": "bias_hh", "bias_hh": "bias_ih"}[biases[0]])
    if missing:
        raise CheckpointError(
            f"{name} has no {' and no '.join(missing)}, only "
            f"{', '.join(sorted(parts)) or 'nothing'}: the file is cut, or names it otherwise; "
            "give the names by --map"
        )
    flat = [part for part, array in parts.items() if array.ndim != (1 if "bias" in part else 2)]
    if flat:
        raise CheckpointError(
            f"{flat[0]} of {name} has the shape {list(parts[flat[0]].shape)}, expected "
            f"{'one axis' if 'bias' in flat[0] else 'two axes'}: the file is damaged"
        )
    w_hh, w_hr = parts["weight_hh"], parts.get("weight_hr")
    gates = gates_of(f"weight_hh of {name}", w_hh, None if w_hr is None else w_hr.shape[1])
    layer = Layer(
        name,
        one_gate if gates == 1 else CELL_OF[gates],
        parts["weight_ih"],
        w_hh,
        parts.get("bias_ih"),
        parts.get("bias_hh"),
        w_hr,
        reverse,
    )
    check(layer)
    return layer


def _one_gate(module: str, stubs: Mapping[str, Stub]) -> str:
    """Return which cell of one gate ``module`` has; tanh, as torch, where the file says nothing."""
    return _said(module, stubs) or "rnn"


def functions_between(below: str, above: str, stubs: Mapping[str, Stub]) -> list[str] | None:
    """Return the names of the functions between two modules of one ``Sequential``; None where they
    are not of one, or one of those between is no function of torch that is known.
    """
    (parent, _, first), (other, _, last) = below.rpartition("."), above.rpartition(".")
    container = stubs.get(parent)
    if parent != other or container is None or container.name != _SEQUENTIAL:
        return None
    if not (_PLACE.fullmatch(first) and _PLACE.fullmatch(last)):
        return None
    keys = [name.rpartition(".")[2] for name in stubs if name.rpartition(".")[0] == parent]
    places = (key for key in keys if _PLACE.fullmatch(key))
    inner = [key for key in places if int(first) < int(key) < int(last)]
    names = [stubs[f"{parent}.{key}".lstrip(".")].name for key in inner]
    if any(name not in _FUNCTIONS for name in names):
        return None
    return [_FUNCTIONS[name] for name in names if _FUNCTIONS[name]]


def _said(module: str, stubs: Mapping[str, Stub]) -> str | None:
    for name in (module, f"{module}{_WRAPPED}"):
        if name in stubs:
            attributes = stubs[name].attributes
            for mode in (attributes.get("nonlinearity"), attributes.get("mode")):
                if isinstance(mode, str) and mode in _MODES:
                    return _MODES[mode]
    return None


def is_recurrent(name: str) -> bool:
    """Whether a tensor of that name is a recurrent layer's."""
    return _RECURRENT.fullmatch(name) is not None


def says_function(module: str, stubs: Mapping[str, Stub]) -> bool:
    """Whether the file says which function the cells of ``module`` have; of a list ``rnns.*`` its
    first one.
    """
    first = module.replace("*", "0")
    return _said(first, stubs) is not None


def _refuse_integers(name: str, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        raise CheckpointError(
            f"{name} is {array.dtype}, expected floats: the file is quantised, or of something "
            "else; give the checkpoint as its training wrote it"
        )


def _matrices(
    plain: Mapping[str, np.ndarray], stubs: Mapping[str, Stub]
) -> tuple[dict[str, Matrix], dict[str, np.ndarray]]:
    """Return the matrices with their biases, and the tensors that are none of them."""
    matrices: dict[str, Matrix] = {}
    others = {name: array for name, array in plain.items() if not name.endswith(_COUNTER)}
    for name, weight in plain.items():
        if weight.ndim != 2 or not f".{name}".endswith(".weight"):
            continue
        _refuse_integers(name, weight)
        module = name.removesuffix("weight").removesuffix(".")
        bias = plain.get(f"{module}.bias".lstrip("."))
        del others[name]
        if bias is not None:
            others.pop(f"{module}.bias".lstrip("."), None)
            if bias.shape != weight.shape[:1]:
                raise CheckpointError(
                    f"{module}.bias has the shape {list(bias.shape)}, expected "
                    f"{list(weight.shape[:1])} beside its weight {list(weight.shape)}: the file is "
                    "damaged"
                )
        kind = _KINDS.get(stubs[module].name, "") if module in stubs else ""
        matrices[module] = Matrix(module, weight, bias, kind)
    return matrices, others
