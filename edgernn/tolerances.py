"""What each format and precision promises against the float32 reference, each number with its reason.

The measure is the largest absolute difference of a tensor over a whole chained run, divided by the larger of 1 and the
reference's largest absolute value in that tensor: absolute for small values, relative for large ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgernn.errors import ContractError


@dataclass(frozen=True)
class Tolerance:
    """What one format in one precision may differ by, and why that much.

    Attributes:
        rollout: the largest scaled difference in a chained run, a replay or an invariance.
        mean_kl: KL(reference ‖ artifact) on held-out text, nats per token.
        top1: the least share of positions where the most probable token agrees.
        perplexity: the largest relative rise of perplexity.
        same_text: whether greedy text must be identical; reduced precision is judged by the three above instead.
        reason: why.
    """

    rollout: float
    mean_kl: float
    top1: float
    perplexity: float
    same_text: bool
    reason: str


def _float32(reason: str) -> Tolerance:
    return Tolerance(rollout=1e-4, mean_kl=1e-7, top1=0.999, perplexity=1e-4, same_text=True, reason=reason)


_ROWS = {
    ("onnx", "float32"): _float32(
        "the same float32 sums in another order: 1e-6 to 1e-5 over hundreds of steps up to H = 512; a wrong gate, order or "
        "state is 1e-2 and more"
    ),
    ("torchscript", "float32"): _float32(
        "the reference's own kernels, near 1e-6; other batch sizes choose other matrix kernels"
    ),
    ("coreml", "float32"): _float32("float32 sums in another order, with sigmoid and tanh of another library: as for onnx"),
    ("coreml", "float16"): Tolerance(
        rollout=0.25,
        mean_kl=1e-3,
        top1=0.99,
        perplexity=2e-3,
        same_text=False,
        reason="11 bits of mantissa in weights, products and state: a relative 5e-4 a value, which a random text amplifies "
        "now and then; what real text loses is the measure, the rollout only catches what is wired wrongly",
    ),
}


def tolerance(family: str, precision: str) -> Tolerance:
    """Return the row of a format's family and a precision; raise ContractError where nothing is promised for them."""
    if (family, precision) not in _ROWS:
        raise ContractError(f"this edgernn promises nothing for {family} in {precision!r}; use the edgernn that exported it")
    return _ROWS[family, precision]
