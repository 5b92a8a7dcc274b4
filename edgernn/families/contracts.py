"""The contracts of the two model families: which tensors a language model and a captioner take and
give.

Axis letters: B batch, T time, L layers, H hidden, V vocabulary, R regions, F width of a region's
vector, K width of its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgernn.contract import (
    ATTENTION,
    BATCH,
    CHANNELS,
    ENCODE,
    FEATURE_KEYS,
    FEATURES,
    HEIGHT,
    HIDDEN,
    IMAGE,
    IMAGE_GATES,
    LAYERS,
    LOGITS,
    REGIONS,
    STEP,
    TIME,
    TOKENS,
    VOCAB,
    WIDTH,
    Contract,
    GraphSpec,
    TensorSpec,
    next_name,
)
from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

CONDITIONINGS = ("soft-attention", "hard-attention", "first-token", "initial-state", "every-step")
_FEATURE_WIDTH, _KEY_WIDTH, _GATES = "feature_width", "key_width", "gates"


def language_contract(
    states: tuple[str, ...],
    *,
    layers: int,
    hidden: int,
    vocabulary: int,
    initial_state: Literal["zeros", "learned"] = "zeros",
) -> Contract:
    """Build the contract of a language model: ``tokens [B,T]`` and the named ``states [L,B,H]`` to
    ``logits [B,T,V]`` and states.
    """
    step = _step(contexts=(), states=_states(states), read=())
    return Contract(
        graphs=(step,),
        sizes={LAYERS: layers, HIDDEN: hidden, VOCAB: vocabulary},
        initial_state={name: "stored" for name in states if initial_state == "learned"},
    )


def captioner_contract(
    states: tuple[str, ...],
    conditioning: str,
    *,
    layers: int,
    hidden: int,
    vocabulary: int,
    image_size: int,
    sizes: Mapping[str, int],
) -> Contract:
    """Build the contract of a captioner, whose picture goes through ``encode`` once and whose words
    through ``step``.

    ``encode`` takes ``image [B, height, width, 3]``, uint8 RGB as decoded and resized, 0 to 255,
    nothing subtracted. What it gives, and each ``step`` takes beside ``tokens [B, 1]`` and the
    states ``[L, B, H]``, depends on ``conditioning``:

    ==================================  =============================================================================
    soft-attention, hard-attention      ``features [B,R,F]``, ``feature_keys [B,R,K]``, first states;
                                        ``step`` also returns ``attention [B,1,R]``
    first-token, initial-state          first states
    every-step                          ``image_gates [B,G]``, what the picture adds to every gate; first states are zeros
    ==================================  =============================================================================

    Args:
        states: the names of the decoder's states.
        conditioning: one of ``CONDITIONINGS``.
        layers, hidden, vocabulary: L, H and V.
        image_size: height and width in pixels.
        sizes: the sizes that ``conditioning`` needs: with attention ``regions``, ``features`` and
            ``keys``, with every-step ``gates``.

    Raises:
        UsageError: an unknown conditioning.
    """
    if conditioning not in CONDITIONINGS:
        raise UsageError(
            f"unknown conditioning {conditioning!r}; {expected_one_of(conditioning, CONDITIONINGS)}"
        )
    contexts, read, named = _conditioned(conditioning, sizes)
    kept = _states(states)
    starts = "zeros" if conditioning == "every-step" else ENCODE
    image = TensorSpec(
        name=IMAGE, role="input", dtype="uint8", axes=(BATCH, HEIGHT, WIDTH, CHANNELS)
    )
    encode = GraphSpec(
        name=ENCODE, inputs=(image,), outputs=(*contexts, *(kept if starts == ENCODE else ()))
    )
    picture = {HEIGHT: image_size, WIDTH: image_size, CHANNELS: 3}
    own = {TIME: 1, LAYERS: layers, HIDDEN: hidden, VOCAB: vocabulary}
    step = _step(contexts=contexts, states=kept, read=read)
    return Contract(
        graphs=(encode, step),
        sizes={**picture, **named, **own},
        initial_state={state.name: ENCODE for state in kept if starts == ENCODE},
    )


def _conditioned(
    conditioning: str, sizes: Mapping[str, int]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], dict[str, int]]:
    """Return the contexts, the further outputs of ``step``, and the sizes of their axes."""
    if conditioning.endswith("attention"):
        contexts = (
            _context(FEATURES, REGIONS, _FEATURE_WIDTH),
            _context(FEATURE_KEYS, REGIONS, _KEY_WIDTH),
        )
        read = (
            TensorSpec(name=ATTENTION, role="output", dtype="float32", axes=(BATCH, TIME, REGIONS)),
        )
        return (
            contexts,
            read,
            {
                REGIONS: sizes["regions"],
                _FEATURE_WIDTH: sizes["features"],
                _KEY_WIDTH: sizes["keys"],
            },
        )
    if conditioning == "every-step":
        return (_context(IMAGE_GATES, _GATES),), (), {_GATES: sizes["gates"]}
    return (), (), {}


def _context(name: str, *axes: str) -> TensorSpec:
    return TensorSpec(name=name, role="context", dtype="float32", axes=(BATCH, *axes))


def _states(names: tuple[str, ...]) -> tuple[TensorSpec, ...]:
    axes = (LAYERS, BATCH, HIDDEN)
    return tuple(TensorSpec(name=name, role="state", dtype="float32", axes=axes) for name in names)


def _step(
    *,
    contexts: tuple[TensorSpec, ...],
    states: tuple[TensorSpec, ...],
    read: tuple[TensorSpec, ...],
) -> GraphSpec:
    tokens = TensorSpec(name=TOKENS, role="input", dtype="int64", axes=(BATCH, TIME), below=VOCAB)
    logits = TensorSpec(name=LOGITS, role="output", dtype="float32", axes=(BATCH, TIME, VOCAB))
    after = (state.model_copy(update={"name": next_name(state.name)}) for state in states)
    return GraphSpec(
        name=STEP, inputs=(tokens, *contexts, *states), outputs=(logits, *read, *after)
    )
