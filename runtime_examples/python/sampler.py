"""From logits to a token, and from a prompt or a picture to a stream of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from contract import BATCH, TIME
from errors import BundleError
from model import Model
from tensors import Arrays, last_of_row

SEEDS = 1 << 64  # how many seeds there are
PREFILL_STEPS = 256  # a longer prompt goes in as several calls, so that memory stays bounded
MOST_LOGITS = 1 << 20  # of one such call: 4 MB


@dataclass(frozen=True)
class Options:
    """How to write.

    Attributes:
        length: the most tokens.
        temperature: logits are divided by it; 0 takes the most probable token.
        top_k: keep the k most probable tokens; 0 keeps all.
        top_p: keep the fewest tokens whose probabilities sum to at least this; 1 keeps all.
        seed: of the random numbers, one a token; 0 to 2^64 - 1.
    """

    length: int = 200
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


def sample(
    logits: np.ndarray, options: Options, uniform: float, suppress: Sequence[int] = ()
) -> int:
    """Choose a token from ``logits [V]``, none of ``suppress``; ``uniform`` in [0, 1) decides, ties
    go to the lower id.
    """
    if suppress:
        logits = logits.copy()
        logits[list(suppress)] = -np.inf
    if options.temperature == 0:
        return int(np.argmax(logits))
    order = np.argsort(-logits, kind="stable")
    order = order[: options.top_k or len(order)]
    ranked = logits[order].astype(np.float64)
    with np.errstate(over="ignore"):  # minus infinity is right for what is far below the best
        cumulative = np.cumsum(np.exp((ranked - ranked[0]) / options.temperature))
    cumulative /= cumulative[-1]
    if options.top_p < 1:
        kept = min(int(np.searchsorted(cumulative, options.top_p)) + 1, len(cumulative))
        cumulative = cumulative[:kept] / cumulative[kept - 1]
    chosen = int(np.searchsorted(cumulative, uniform, side="right"))
    return int(order[min(chosen, len(cumulative) - 1)])


def uniform_at(seed: int, position: int) -> float:
    """Return the number in [0, 1) of a seed that decides the token at ``position``: SplitMix64, as
    in every example.
    """
    bits = (seed + (position + 1) * 0x9E3779B97F4A7C15) % SEEDS
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % SEEDS
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % SEEDS
    return ((bits ^ bits >> 31) >> 11) * 2.0**-53


def require_text(model: Model) -> None:
    """Raise ``BundleError`` where a model does not write: tokens in, scores of tokens out."""
    ids, scores = model.ids, model.scores
    does = "expected a model that reads and scores tokens; run it step by step, or --check it"
    if model.tokenizer is None:
        raise BundleError(f"this bundle has no tokenizer, so it writes no text; {does}")
    good = ids is not None and {*ids["axes"]} <= {BATCH, TIME} and scores is not None
    if not good or "float" not in scores["dtype"] or {*scores["axes"][:-1]} - {BATCH, TIME}:
        raise BundleError(f"this bundle scores no tokens, so it writes no text; {does}")
    others = [name for name in model.names("input") if name != ids["name"]]
    if others or model.contract["step_frames"] != 1:
        takes = f"{others[0]} too" if others else "several tokens in one step"
        raise BundleError(f"step takes {takes}, so this example writes no text with it; {does}")


def generate(
    model: Model, prompt: str, options: Options, *, inputs: Arrays | None = None
) -> Iterator[tuple[int, Arrays]]:
    """Yield tokens one by one, each with the outputs that it was chosen from, ``[…]`` without batch
    and time.

    Args:
        model: opened by ``load``; it must have what ``require_text`` asks for.
        prompt: the text to go on from; empty begins with the bundle's start tokens.
        options: how to write.
        inputs: of encode, where the model has it: of a captioner the picture.
    """
    decoding, scores = model.manifest["decoding"], model.scores["name"]
    contexts, state = model.begin(inputs)
    pending = model.tokenizer.encode(prompt) or decoding["start"]
    for position in range(min(options.length, decoding["length"] or options.length)):
        outputs, state = prefill(model, pending, state, contexts)
        uniform = uniform_at(options.seed, position)
        token = sample(outputs[scores], options, uniform, decoding["suppress"])  # of [V]
        yield token, outputs
        if token in decoding["stop"]:
            return
        pending = [token]


def prefill(
    model: Model, tokens: list[int], state: Arrays, contexts: Arrays
) -> tuple[Arrays, Arrays]:
    """Feed tokens, many at a time where the file takes them; return the outputs of the last, and
    the state after it.
    """
    most = max(1, min(PREFILL_STEPS, MOST_LOGITS // model.vocabulary_size))
    name, dtype, axes = (model.ids[key] for key in ("name", "dtype", "axes"))
    width = most if model.stepper.open_time and TIME in axes else 1
    for start in range(0, len(tokens), width):
        part = np.array(tokens[start : start + width], dtype)  # [T]
        part = part.reshape([-1 if axis == TIME else 1 for axis in axes])  # [B, T]
        outputs, state = model.step({name: part, **contexts}, state)
    specs = {tensor["name"]: tensor["axes"] for tensor in model.stepper.outputs}
    return {each: last_of_row(array, specs[each]) for each, array in outputs.items()}, state
