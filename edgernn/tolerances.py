"""What each format and precision promises against the float32 reference, each number with its reason.

The measure is the largest absolute difference of a tensor over a whole chained run, divided by the larger of 1 and the
reference's largest absolute value in that tensor: absolute for small values, relative for large ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgernn.errors import ContractError


@dataclass(frozen=True)
class Tolerance:
    """The largest scaled difference that a chained run may show, and why that much."""

    rollout: float
    reason: str


_ROWS = {
    ("onnx", "float32"): Tolerance(
        1e-4,
        "the same float32 sums in another order: 1e-6 to 1e-5 over hundreds of steps up to H = 512; a wrong gate, order or "
        "state is 1e-2 and more",
    ),
    ("torchscript", "float32"): Tolerance(1e-5, "the reference's own kernels; only the choice of kernel may differ"),
    ("coreml", "float32"): Tolerance(1e-4, "float32 sums in Apple's order, which may use less exact sigmoid and tanh"),
    ("coreml", "float16"): Tolerance(
        5e-2, "11 bits of mantissa in weights and state; a relative error of 5e-4 a value, summed over a hidden layer"
    ),
}


def tolerance(family: str, precision: str) -> Tolerance:
    """Return the row of a format's family and a precision; raise ContractError where nothing is promised for them."""
    if (family, precision) not in _ROWS:
        raise ContractError(f"this edgernn promises nothing for {family} in {precision!r}; use the edgernn that exported it")
    return _ROWS[family, precision]
