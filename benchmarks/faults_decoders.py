"""Faults of files that decode in the graph: an input that is not read, an output that is not what
it says.
"""

from __future__ import annotations

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import Change, add_weight, node, on_onnx, rename, through_output

GENERATE, CAPTION = "onnx/generate.onnx", "onnx/caption.onnx"
_DECODING = ("decoding",)


def _scaled(name: str, factor: float) -> Change:
    def change(model: onnx.ModelProto) -> None:
        by = add_weight(model, f"{name}_by", np.float32(factor))
        through_output(model, name, node("Mul", [f"{name}_raw", by], name))

    return change


def _shifted(name: str, by: float) -> Change:
    def change(model: onnx.ModelProto) -> None:
        added = add_weight(model, f"{name}_added", np.float32(by))
        through_output(model, name, node("Add", [f"{name}_raw", added], name))

    return change


def _in_another_base(model: onnx.ModelProto) -> None:
    _scaled("log_probabilities", float(1 / np.log(2)))(model)


def _as_probabilities(model: onnx.ModelProto) -> None:
    through_output(
        model, "log_probabilities", node("Exp", ["log_probabilities_raw"], "log_probabilities")
    )


def _not_advanced(name: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        through_output(model, f"{name}_next", node("Identity", [name], f"{name}_next"))

    return change


def _states_swapped(model: onnx.ModelProto) -> None:
    rename(model, "h_next", "held")
    rename(model, "c_next", "h_next")
    rename(model, "held", "c_next")


def _replaced(name: str, value: np.ndarray) -> Change:
    """Take a constant for an input, inside loops, too."""

    def change(model: onnx.ModelProto) -> None:
        fixed = add_weight(model, f"{name}_fixed", value)
        _replace_in(model.graph, name, fixed)

    return change


def _replace_in(graph: onnx.GraphProto, name: str, other: str) -> None:
    for operator in graph.node:
        operator.input[:] = [other if source == name else source for source in operator.input]
        for attribute in operator.attribute:
            if attribute.HasField("g"):
                _replace_in(attribute.g, name, other)


def through(name: str, *chain: onnx.NodeProto, weights: dict[str, np.ndarray]) -> Change:
    """Put operators between an input and all that read it, inside loops, too; they make
    ``NAME_used``.
    """

    def change(model: onnx.ModelProto) -> None:
        for weight_name, value in weights.items():
            add_weight(model, weight_name, value)
        _replace_in(model.graph, name, f"{name}_used")
        for place, operator in enumerate(chain):
            model.graph.node.insert(place, operator)

    return change


def _cut(name: str) -> Change:
    """Leave the last element of an output out."""

    def change(model: onnx.ModelProto) -> None:
        for weight_name, value in (("cut_from", [0]), ("cut_to", [-1])):
            add_weight(model, weight_name, np.array(value, np.int64))
        through_output(model, name, node("Slice", [f"{name}_raw", "cut_from", "cut_to"], name))

    return change


_ONE = np.float64(1)
_LEAST = {"least": np.float64(0.5)}
_RAISED = through(
    "temperature", node("Max", ["temperature", "least"], "temperature_used"), weights=_LEAST
)
_CLIPPED = through(
    "top_k", node("Min", ["top_k", "most"], "top_k_used"), weights={"most": np.int64(20)}
)
_SHORT = through(
    "length", node("Min", ["length", "longest"], "length_used"), weights={"longest": np.int64(100)}
)
_BOUNDED = through(
    "uniforms",
    node("Min", ["uniforms", "bound"], "uniforms_used"),
    weights={"bound": np.float64(0.95)},
)
_FLOORED = through(
    "uniforms",
    node("Max", ["uniforms", "bound"], "uniforms_used"),
    weights={"bound": np.float64(0.2)},
)
_NARROW = through(
    "beam", node("Min", ["beam", "widest"], "beam_used"), weights={"widest": np.int64(3)}
)


def _fault(
    name: str, imitates: str, change: Change, says: str, *, artifact: str = GENERATE
) -> Fault:
    honest = "decoding" if artifact == GENERATE else "caption decoding"
    return Fault(
        name, imitates, on_onnx(change, artifact), _DECODING, says, honest=honest, artifact=artifact
    )


FAULTS = (
    _fault(
        "log-probabilities 5 % off",
        "a scale left in",
        _scaled("log_probabilities", 1.05),
        "log_probabilities is",
    ),
    _fault(
        "log-probabilities shifted",
        "a constant added",
        _shifted("log_probabilities", 0.05),
        "log_probabilities is",
    ),
    _fault(
        "log-probabilities to base 2", "bits for nats", _in_another_base, "log_probabilities is"
    ),
    _fault(
        "probabilities for log-probabilities",
        "softmax for log-softmax",
        _as_probabilities,
        "log_probabilities is",
    ),
    _fault(
        "a text's last log-probability lost",
        "off by one",
        _cut("log_probabilities"),
        "log_probabilities has shape",
    ),
    _fault("a text's last token lost", "off by one", _cut("tokens"), "token "),
    _fault("h after a text 1 % off", "a scale of one state", _scaled("h_next", 1.01), "h_next is"),
    _fault("c after a text 1 % off", "a scale of one state", _scaled("c_next", 1.01), "c_next is"),
    _fault(
        "h after a text is the one before",
        "a state not carried out",
        _not_advanced("h"),
        "h_next is",
    ),
    _fault(
        "c after a text is the one before",
        "a state not carried out",
        _not_advanced("c"),
        "c_next is",
    ),
    _fault(
        "states after a text swapped", "outputs bound by position", _states_swapped, "[hc]_next is"
    ),
    _fault(
        "temperature baked in",
        "a default for an input",
        _replaced("temperature", np.float64(0.8)),
        "token ",
    ),
    _fault("temperature never below a half", "a guard against 0", _RAISED, "token "),
    _fault("top-k not read", "a default for an input", _replaced("top_k", np.int64(0)), "token "),
    _fault("top-k at most 20", "a buffer's size", _CLIPPED, "token "),
    _fault("top-p not read", "a default for an input", _replaced("top_p", _ONE), "token "),
    _fault(
        "length baked in", "a default for an input", _replaced("length", np.int64(12)), "token "
    ),
    _fault("texts end after 100 tokens", "a buffer's size", _SHORT, "token "),
    _fault(
        "stop tokens not read",
        "a default for an input",
        _replaced("stop", np.zeros(0, np.int64)),
        "token ",
    ),
    _fault("uniform numbers near 1 cut", "a guard at the wrong place", _BOUNDED, "token "),
    _fault("uniform numbers near 0 cut", "a guard at the wrong place", _FLOORED, "token "),
    _fault(
        "first state of a text ignored",
        "zeros baked in",
        _replaced("h", np.zeros((2, 1, 8), np.float32)),
        "is",
    ),
    _fault(
        "score of a caption 5 % off",
        "another normalisation",
        _scaled("score", 1.05),
        "score is",
        artifact=CAPTION,
    ),
    _fault(
        "log-probability of a caption shifted",
        "the stop left out",
        _shifted("log_probability", -0.5),
        "log_probability is",
        artifact=CAPTION,
    ),
    _fault(
        "attention of a caption 5 % off",
        "not normalised",
        _scaled("attention", 1.05),
        "attention is",
        artifact=CAPTION,
    ),
    _fault(
        "attention of a caption cut",
        "off by one",
        _cut("attention"),
        "attention has shape",
        artifact=CAPTION,
    ),
    _fault(
        "beams not read",
        "greedy sold as a search",
        _replaced("beam", np.int64(1)),
        "token |score|attention",
        artifact=CAPTION,
    ),
    _fault(
        "at most three beams",
        "a buffer's size",
        _NARROW,
        "token |score|attention",
        artifact=CAPTION,
    ),
    _fault(
        "length of a caption baked in",
        "a default for an input",
        _replaced("length", np.int64(12)),
        "token |score",
        artifact=CAPTION,
    ),
)
