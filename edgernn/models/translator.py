"""A translator as a network of layers: a sequence of ids, read once in both directions, to another,
written id by id (Sutskever et al. 2014; Cho et al. 2014; Bahdanau et al. 2015).

With attention (Luong et al. 2015, section 3, the score "general", scaled)::

    e_i, keys   = encoder(source), W e                               encode, once
    h_0         = tanh(W_0 [→e_n, ←e_1] + b_0), likewise c_0 without tanh
    h_t         = RNN(E y_{t-1}, h_{t-1})                            step, once an id
    z_t, α_t    = attention(h_t; e, keys)
    logits      = W_v tanh(W_m [h_t, z_t] + b_m) + b_v

Without it a step sees of the source what the first state holds: ``m_t = tanh(W_m h_t + b_m)``.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from edgernn.contract import BATCH, TIME, TOKENS, Decoding
from edgernn.models.cells.table import FUSED
from edgernn.models.layered.description import Layer, NetworkConfig, Port
from edgernn.models.layered.over_time import CellName, Stack, Width

SOURCE = "source"  # the input of encode and its axis
_VOCAB = "vocab"


class TranslatorShape(Stack):
    """What is chosen of a translator.

    Attributes:
        encoder: H of each direction of the encoder, which has as many layers as the step and the
            same between them.
        encoder_cell: of both directions, one that torch has a layer of; None takes the step's, or
            an LSTM where that is none of these.
        embedding: the width of an id's vector.
        attention: whether each step looks at the source.
        shared: whether the encoder has the weights of the step, its embedding and its recurrent
            layer, in place of its own; ``encoder`` says nothing then.
    """

    hidden: Width = 128
    encoder: Width = 64
    encoder_cell: CellName | None = None
    embedding: int = Field(default=48, ge=1)
    attention: bool = True
    shared: bool = False


def translator_config(
    shape: TranslatorShape, vocabulary: int, *, writes: Decoding | None = None
) -> NetworkConfig:
    """Return the description of a translator of ``vocabulary`` ids, both of what it reads and of
    what it writes; id 0 is padding at the end of what it reads.
    """
    if not shape.attention:
        shape.of_cells("--no-attention leaves a first state alone")
    if shape.shared:
        shape.of_cells("--shared reads with its weights in both directions")
    states = shape.states
    bridges = [_bridge(name, shape.layers * width) for name, width in states.items()]
    return NetworkConfig(
        family="translator",
        given=(Port(name=SOURCE, dtype="int64", axes=(BATCH, SOURCE), below=_VOCAB),),
        inputs=(Port(name=TOKENS, dtype="int64", axes=(BATCH, TIME), below=_VOCAB),),
        sizes={_VOCAB: vocabulary},
        encode=(*_encoder(shape), *bridges),
        layers=_step(shape),
        outputs={"logits": "head"} | ({"attention": "attention.alpha"} if shape.attention else {}),
        contexts={
            "features": "encoder",
            "feature_keys": "source_keys",
            "source_mask": "encoder.mask",
        }
        if shape.attention
        else {},
        first={name: f"first_{name}" for name in states},
        writes=writes,
    )


def _layer(name: str, kind: str, inputs: str, **options: Any) -> Layer:
    return Layer(name=name, kind=kind, inputs=tuple(inputs.split()), options=options)


def _bridge(state: str, width: int) -> Layer:
    """Return the layer that makes a first state of the encoder's last values; that of h is within
    what a cell gives.
    """
    bounded = {"activation": "tanh"} if state == "h" else {}
    return _layer(f"first_{state}", "linear", "encoder.last", width=width, **bounded)


def _encoder(shape: TranslatorShape) -> tuple[Layer, ...]:
    tied = {"of": "embedding"} if shape.shared else {}
    cell = shape.encoder_cell or (shape.cell if shape.cell in FUSED else "lstm")
    own: dict[str, Any] = {"cell": cell, "hidden": shape.encoder, "layers": shape.layers}
    if shape.between != "plain":
        own["between"] = shape.between
    read = {"of": "rnn"} if shape.shared else own
    keys = _layer("source_keys", "linear", "encoder", width=shape.width, bias=False)
    return (
        _layer("letters", "embedding", SOURCE, width=shape.embedding, **tied),
        _layer("encoder", "bidirectional", f"letters {SOURCE}", **read),
        *((keys,) if shape.attention else ()),
    )


def _step(shape: TranslatorShape) -> tuple[Layer, ...]:
    looks = (
        _layer("attention", "attention", "features feature_keys rnn source_mask", score="product"),
        _layer("seen", "concat", "rnn attention"),
    )
    return (
        _layer("embedding", "embedding", TOKENS, width=shape.embedding),
        *map(Layer.model_validate, shape.described("rnn", "embedding")),
        *(looks if shape.attention else ()),
        _layer(
            "mixed", "linear", "seen" if shape.attention else "rnn",
            width=shape.hidden, activation="tanh",
        ),
        _layer("head", "linear", "mixed", width=_VOCAB),
    )  # fmt: skip
