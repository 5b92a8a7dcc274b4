"""Evaluations that coremltools brings itself: compressed weights, and rare operators.

coremltools evaluates operators whose inputs are constants. That serves here for the operators of
``BORROWED``, whose evaluations were read and are tested against other sources. It is no general
fallback: some of the others ignore options (``concat`` its ``interleave``, ``scatter_along_axis``
its ``mode``, ``topk`` a ``k`` of -1), fail (``cumsum`` where exclusive, ``squeeze`` of longer axes)
or change their inputs (``thresholded_relu``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgernn.sessions.quiet import quiet

# coremltools prints a line for each missing macOS library, and what executorch does that it imports
with quiet():
    from coremltools.converters.mil.mil import types

Array = np.ndarray

BORROWED = frozenset(
    (
        "argsort",
        "band_part",
        "einsum",
        "erf",
        "flatten2d",
        "gelu",
        "non_zero",
        "pad",
        "prelu",
        "quantize",
        "scaled_dot_product_attention",
        "softplus_parametric",
    )
)
COMPRESSED = frozenset(
    (
        "constexpr_affine_dequantize",
        "constexpr_blockwise_shift_scale",
        "constexpr_cast",
        "constexpr_lut_to_dense",
        "constexpr_lut_to_sparse",
        "constexpr_sparse_blockwise_shift_scale",
        "constexpr_sparse_to_dense",
    )
)


def decompress(operation: Any) -> tuple[Array, ...]:
    """Return the weights that a ``constexpr_*`` operator stands for, one array per output."""
    values = operation.materialized_val_inference()
    return values if isinstance(values, tuple) else (values,)


def borrow(operation: Any) -> Callable[..., Any]:
    """Return coremltools' own evaluation of ``operation`` as a function of the inputs that it is
    given by name.
    """

    def evaluate(**inputs: Array | str | Sequence[Array]) -> Any:
        stand_in = copy.copy(operation)
        given = {
            name: tuple(map(_constant, value)) if isinstance(value, list) else _constant(value)
            for name, value in inputs.items()
        }
        stand_in._input_vars = {name: given.get(name) for name in operation._input_vars}
        vars(stand_in).update(stand_in._input_vars)
        return stand_in.value_inference()

    return evaluate


def _constant(value: Any) -> SimpleNamespace:
    """Return what an evaluation asks of a constant input."""
    if isinstance(value, str):
        return SimpleNamespace(val=value, sym_val=value)
    known = (
        value if value.ndim else value[()]
    )  # evaluations expect scalars, not arrays without axes
    kind = types.numpy_type_to_builtin_type(value.dtype)
    return SimpleNamespace(val=known, sym_val=known, shape=value.shape, rank=value.ndim, dtype=kind)
