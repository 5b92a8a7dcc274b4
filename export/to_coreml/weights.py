"""Core ML weights in 8 and 4 bits: how a program's matrices are compressed, and what a saved
package stores.

The rounding and the storage are those of coremltools' own optimiser
(``coremltools.optimize.coreml``); this file chooses how each matrix is cut, so that every one of
them is compressed, whatever its width. Biases stay float16: they are small.

    int8         w ≈ q · s           one scale for each row
    int4         w ≈ (q - z) · s     one scale and one zero for each block of about 32 values of a
                                     row; as int8 where there are ``NARROW`` rows or fewer
    palettized4  w ≈ palette[q]      one palette of 16 values, by k-means, for rows that hold about
                                     1024 values together
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import log2, prod
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.bundle.stored_weights import FROM_STATE, OTHERS, StoredWeight
from edgernn.errors import ContractError
from edgernn.formats.promise import NARROW
from edgernn.sessions.mil.session import read_function
from edgernn.sessions.quiet import quiet

# coremltools prints one line per missing macOS library, and what executorch does that it imports
with quiet():
    import coremltools as ct
    import coremltools.optimize.coreml as cto
    from coremltools.converters.mil.mil import types

BLOCK, PALETTE_VALUES = 32, 1024
_PALETTE, _ROUNDS, _SETTLED = 16, 40, 1e-4
_FEWEST = (
    10  # coremltools keeps smaller constants in the program's text, where nothing is compressed
)
_FLOAT_BYTES = 4
_MATRICES = {
    "conv": {"weight"},
    "linear": {"weight"},
    "matmul": {"x", "y"},
    "gather": {"x"},
}  # operator → inputs
# inputs that hold bytes
_STORED = frozenset(("data", "indices", "lut", "offset", "quantized_data", "scale", "zero_point"))
_ADDED = (
    "_quantized",
    "_palettized",
    "_to_fp16",
)  # by coremltools to a constant's name, the last first
# a matrix of torch's layer over a sequence, by layer and direction
_OVER_TIME = re.compile(r"(.+)_weight_(ih|hh|hr)_(l\d+(?:_reverse)?)")
_PARTS = {"ih": "from_input", "hh": "from_hidden", "hr": "projection"}
_DTYPES = {types.fp16: "float16", types.fp32: "float32"}


@dataclass(frozen=True)
class Scheme:
    """How one precision is made.

    Attributes:
        optimiser: the name of coremltools' pass.
        target: the oldest system whose Core ML reads what it writes.
        configure: from a matrix ``[rows, columns, …]`` to the pass's configuration for it.
    """

    optimiser: str
    target: str
    configure: Callable[[np.ndarray], Any]


def compression(program: Any, precision: str) -> Any:
    """Return the passes that compress every matrix of ``program`` to ``precision``; none where that
    is a float.
    """
    pipeline = ct.PassPipeline([], f"edgernn {precision}")
    if precision not in SCHEMES:
        return pipeline
    scheme, config = SCHEMES[precision], cto.OptimizationConfig()
    for operation in _matrices(program.functions["main"]):
        config.set_op_name(operation.name, scheme.configure(operation.outputs[0].val))
    pipeline.append_pass(scheme.optimiser)
    pipeline.set_options(scheme.optimiser, {"config": config})
    return pipeline


def palette(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the 16 values that stand best for ``values``, by k-means in one dimension (Lloyd 1982).

    The start is halfway between even steps and even counts, from which 16 means settle 5 to 10 %
    above the least error.

    Args:
        values: float16 of any shape.

    Returns:
        The palette, float16 ``[16]`` in rising order, and for each value the place of the nearest
        one, uint8, flat.
    """
    flat = values.astype(np.float64).ravel()
    ordered = np.sort(flat)
    sums = np.concatenate(([0.0], np.cumsum(ordered)))
    counted = ordered[((np.arange(_PALETTE) + 0.5) / _PALETTE * len(ordered)).astype(int)]
    means = (np.linspace(ordered[0], ordered[-1], _PALETTE) + counted) / 2  # [16]
    for _ in range(_ROUNDS):
        edges = np.concatenate(
            ([0], np.searchsorted(ordered, (means[1:] + means[:-1]) / 2), [len(ordered)])
        )
        counts = np.diff(edges)
        before, means = (
            means,
            np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), means),
        )
        if np.abs(means - before).max() <= _SETTLED * (ordered[-1] - ordered[0]):
            break
    table = means.astype(values.dtype)
    halves = (table[1:].astype(np.float64) + table[:-1]) / 2
    return table, np.searchsorted(halves, flat).astype(np.uint8)


def part_near(size: int, wanted: int, *, each: int = 1) -> int:
    """Return the divisor of ``size`` with which a part of ``each`` values a piece comes nearest, as
    a ratio, to ``wanted``.

    coremltools leaves a matrix that its block does not divide uncompressed.
    """
    divisors = [part for part in range(1, size + 1) if size % part == 0]
    return min(divisors, key=lambda part: (abs(log2(part * each / wanted)), part))


def _int8(matrix: np.ndarray) -> Any:
    return cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=0)


def _int4(matrix: np.ndarray) -> Any:
    if len(matrix) <= NARROW:
        return _int8(matrix)
    block = part_near(matrix.shape[1], BLOCK, each=prod(matrix.shape[2:]))
    return cto.OpLinearQuantizerConfig(
        mode="linear", dtype="int4", granularity="per_block", block_size=block, weight_threshold=0
    )


def _palettized4(matrix: np.ndarray) -> Any:
    """Bring the palettes along: coremltools' own k-means needs scikit-learn for matrices of less
    than 10 000 values.
    """
    group = part_near(len(matrix), PALETTE_VALUES, each=matrix[0].size)
    return cto.OpPalettizerConfig(
        mode="custom",
        lut_function=palette,
        granularity="per_grouped_channel",
        group_size=group,
        weight_threshold=0,
    )


SCHEMES = {
    "int8": Scheme("compression::linear_quantize_weights", "iOS17", _int8),
    "int4": Scheme("compression::linear_quantize_weights", "iOS18", _int4),
    "palettized4": Scheme("compression::palettize_weights", "iOS18", _palettized4),
}


def weight_table(path: Path, *, layers: Iterable[str] = ()) -> tuple[StoredWeight, ...]:
    """Return every matrix of a saved package in the program's order, and what is left as one last
    entry.

    Args:
        path: an ``.mlpackage``.
        layers: the names of the model's layers, with dots; a file has them without, and what
            matches none keeps its own.

    Raises:
        ContractError: the package is damaged or holds no mlprogram.
    """
    function = read_function(path)
    # the longest is found last
    known = {f"{layer.replace('.', '_')}_weight": layer for layer in sorted(layers, key=len)}
    matrices = list(_matrices(function))
    inside = {
        id(var)
        for operation in matrices
        for var in (operation.outputs[0], *operation.inputs.values())
    }
    rest = [
        operation.outputs[0]
        for operation in function.operations
        if operation.op_type == "const"
        and operation.outputs[0].dtype in _DTYPES
        and id(operation.outputs[0]) not in inside
    ]
    size, whole = sum(map(_bytes, rest)), sum(prod(var.shape) for var in rest) * _FLOAT_BYTES
    others = [StoredWeight(OTHERS, (), _DTYPES[rest[0].dtype], whole, size, size)] if rest else []
    return (*(_stored(operation, known) for operation in matrices), *others)


def refuse_floats(table: Iterable[StoredWeight], precision: str) -> None:
    """Raise ContractError where ``precision`` was asked for and a matrix of ``table`` is stored in
    floats; name them all.
    """
    floats = [
        weight
        for weight in table
        if weight.dtype in _DTYPES.values() and prod(weight.shape) >= _FEWEST and weight.shape
    ]
    if precision in SCHEMES and floats:
        named = ", ".join(f"{weight.name} {list(weight.shape)}" for weight in floats)
        raise ContractError(
            f"coremltools left {named} in floats, expected {precision}; export another precision"
        )


def _matrices(function: Any) -> Iterator[Any]:
    """Yield the operators whose output is a constant matrix, kernel or table that another operator
    reads as such.
    """
    for operation in function.operations:
        if operation.op_type != "const" and not operation.op_type.startswith("constexpr_"):
            continue
        var = operation.outputs[0]
        read = any(
            child.inputs.get(name) is var
            for child in var.child_ops
            for name in _MATRICES.get(child.op_type, ())
        )
        if read and var.rank > 1 and var.dtype in _DTYPES and prod(var.shape) >= _FEWEST:
            yield operation


def _stored(operation: Any, known: dict[str, str]) -> StoredWeight:
    """Describe one matrix; ``known`` is from the end of a constant's name to the layer's."""
    var = operation.outputs[0]
    parts = [
        given for name, given in operation.inputs.items() if name in _STORED and given is not None
    ]
    compressed = operation.op_type != "const"
    size = sum(map(_bytes, parts)) if compressed else _bytes(var)
    looked_up = {child.op_type for child in var.child_ops} == {"gather"}
    name = _layer(operation.name, known)
    return StoredWeight(
        name=name,
        shape=tuple(var.shape),
        dtype=_dtype(operation),
        float32_bytes=prod(var.shape) * _FLOAT_BYTES,
        bytes=size,
        touched_bytes=size // var.shape[0] if looked_up else size,
        recurrent=name.rpartition(".")[2] in FROM_STATE,
        block_size=prod(var.shape) // _scales(operation) if compressed else 0,
    )


def _layer(name: str, known: dict[str, str]) -> str:
    for added in _ADDED:
        name = name.removesuffix(added)
    if over_time := _OVER_TIME.fullmatch(name):
        own, part, place = over_time.groups()
        return f"{_layer(f'{own}_weight', known)}.{place}.{_PARTS[part]}"
    return next(
        (layer for end, layer in reversed(known.items()) if f"_{name}".endswith(f"_{end}")), name
    )


def _dtype(operation: Any) -> str:
    given = operation.inputs
    if operation.op_type == "constexpr_lut_to_dense":
        return f"palettized{int(log2(given['lut'].shape[-2]))}"
    stored = given.get("data") or given.get("quantized_data")
    return (
        _DTYPES[operation.outputs[0].dtype]
        if stored is None
        else types.builtin_to_string(stored.dtype)
    )


def _scales(operation: Any) -> int:
    """Return how many scales, or palettes, an operator's matrix has."""
    if operation.op_type == "constexpr_lut_to_dense":
        return int(prod(operation.inputs["lut"].shape[:-2]))
    return int(prod(operation.inputs["scale"].shape))


def _bytes(var: Any) -> int:
    """Return the bytes of a constant, its values packed to their bits."""
    bits = int(prod(var.shape)) * int(var.dtype.get_bitwidth())
    return -(-bits // 8)
