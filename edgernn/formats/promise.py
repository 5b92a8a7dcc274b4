"""What each format and precision promises against the float32 reference, each number with its reason.

The measure is the largest absolute difference of a tensor over a whole chained run, divided by the larger of 1 and the
reference's largest absolute value in that tensor: absolute for small values, relative for large ones.

Weights rounded to 8 or 4 bits make another network, near the first: two chained runs of random text part, and rightly so.
There each step of a rollout and of the golden run starts from the reference's state, and the measure is the root mean
square of the difference over that of the reference: the relative error of one step, which anything wired wrongly takes
near 1. What a chained run loses is measured on real text instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgernn.errors import ContractError


@dataclass(frozen=True)
class Tolerance:
    """What one format in one precision may differ by, and why that much.

    Attributes:
        rollout: the largest scaled difference in a chained run, a replay or an invariance.
        forced: whether the rollout is the relative error of single steps from the reference's state instead.
        mean_kl: KL(reference ‖ artifact) on held-out text, nats per token.
        top1: the least share of positions where the most probable token agrees; 0 where rounding may turn nearly equal ones,
            whose weight is in ``mean_kl``.
        perplexity: the largest relative rise of perplexity.
        same_text: whether greedy text must be identical; reduced precision is judged by the three above instead.
        reason: why.
        half: whether values are rounded to float16, which is then the last bit by which two honest files differ.
    """

    rollout: float
    mean_kl: float
    top1: float
    perplexity: float
    same_text: bool
    reason: str
    forced: bool = False
    half: bool = False


def _float32(reason: str) -> Tolerance:
    return Tolerance(
        rollout=1e-4, mean_kl=1e-7, top1=0.999, perplexity=1e-4, same_text=True, reason=reason
    )


def _integers(*, rollout: float, mean_kl: float, perplexity: float, reason: str) -> Tolerance:
    return Tolerance(
        rollout=rollout,
        mean_kl=mean_kl,
        top1=0,
        perplexity=perplexity,
        same_text=False,
        reason=reason,
        forced=True,
    )


_ROWS = {
    ("onnx", "float32"): _float32(
        "the same float32 sums in another order: 1e-6 to 1e-5 over hundreds of steps up to H = 512; a wrong gate, order or "
        "state is 1e-2 and more"
    ),
    ("onnx", "float16"): Tolerance(
        rollout=0.25,
        mean_kl=1e-4,
        top1=0.99,
        perplexity=2e-3,
        same_text=False,
        reason="weights with 11 bits of mantissa, a relative 5e-4 each, and sums in float32; a random text amplifies that "
        "now and then",
        half=True,
    ),
    ("onnx", "int8"): _integers(
        rollout=0.15,
        mean_kl=2e-3,
        perplexity=3e-3,
        reason="weights in 256 levels a block, activations rounded to 8 bits in every product: 0.01 a step in trained models, "
        "up to 0.13 where weights are four times as large",
    ),
    ("onnx", "int4"): _integers(
        rollout=0.4,
        mean_kl=5e-2,
        perplexity=2e-2,
        reason="weights in 16 levels a block: 0.14 a step in trained models, up to 0.25 in untrained ones, and 0.4 where their "
        "weights are four times as large",
    ),
    ("onnx", "smallest"): _integers(
        rollout=0.4,
        mean_kl=5e-2,
        perplexity=0.0,
        reason="weights in 16 or 256 levels a block, chosen layer by layer within the loss that the user allows",
    ),
    ("torchscript", "float32"): _float32(
        "the reference's own kernels, near 1e-6; other batch sizes choose other matrix kernels"
    ),
    ("coreml", "float32"): _float32(
        "float32 sums in another order, with sigmoid and tanh of another library: as for onnx"
    ),
    ("coreml", "float16"): Tolerance(
        rollout=0.25,
        mean_kl=1e-3,
        top1=0.99,
        perplexity=2e-3,
        same_text=False,
        reason="11 bits of mantissa in weights, products and state: a relative 5e-4 a value, which a random text amplifies "
        "now and then; what real text loses is the measure, the rollout only catches what is wired wrongly",
        half=True,
    ),
    ("coreml", "int8"): _integers(
        rollout=0.25,
        mean_kl=2e-3,
        perplexity=3e-3,
        reason="weights in 255 levels a row, products in float16: 0.015 a step in trained models, up to 0.15 where weights are "
        "four times as large and 0.2 in an untrained image encoder; 2e-4 nats a token in a model of characters, H = 256",
    ),
    ("coreml", "int4"): _integers(
        rollout=0.45,
        mean_kl=6e-2,
        perplexity=4e-2,
        reason="weights in 16 levels a block of 32, from the smallest to the largest value: 0.15 a step in trained models, 0.3 "
        "in untrained ones; 0.02 nats a token and 1.5 % of perplexity in a model of characters, H = 256",
    ),
    ("coreml", "palettized4"): _integers(
        rollout=0.45,
        mean_kl=8e-2,
        perplexity=5e-2,
        reason="weights from 16 values for about 1024: 0.2 a step in trained models, 0.35 in untrained ones; 0.03 nats a token "
        "and 1.9 % of perplexity in a model of characters, H = 256, for a tenth less bytes than int4",
    ),
}


def tolerance(family: str, precision: str) -> Tolerance:
    """Return the row of a format's family and a precision; raise ContractError where nothing is promised for them."""
    if (family, precision) not in _ROWS:
        raise ContractError(
            f"this edgernn promises nothing for {family} in {precision!r}; use the edgernn that exported it"
        )
    return _ROWS[family, precision]
