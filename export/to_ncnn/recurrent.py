"""Whole recurrent layers: ncnn's LSTM and GRU, which are torch's own. An ONNX layer that is more,
or other, than that is refused: ncnn would not say so.
"""

from __future__ import annotations

import numpy as np

from edgernn.export.to_ncnn.builder import Value
from edgernn.export.to_ncnn.call import Call, Handler
from edgernn.sessions.ncnn.weights import stored

# the rows of ONNX's gates in ncnn's order: of i, o, f, c those of i, f, o, c; of z, r, h those of
# r, z, h
_ORDER = {"LSTM": (0, 2, 1, 3), "GRU": (1, 0, 2)}
_FUNCTIONS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"]}


def recurrent(call: Call) -> list[Value]:
    """Add a layer of one direction, from a state that goes in."""
    kind = call.node.op
    _refuse_other(call, kind)
    w_ih, w_hh = (call.constant(place)[0] for place in (1, 2))  # [gH, I], [gH, H]
    hidden, gates = w_hh.shape[1], len(_ORDER[kind])
    bias = np.zeros(2 * gates * hidden, np.float32)
    bias = bias if call.maybe(3) is None else call.constant(3)[0]
    b_ih, b_hh = (_in_order(half, kind) for half in np.split(bias, 2))
    steps, width = call[0].shape[0], w_ih.shape[1]
    states = [call[5]] if kind == "GRU" else [call[5], call[6]]
    reads = [call.build.blob(call[0], (steps, width))]
    reads += [call.build.blob(state, (1, hidden)) for state in states]
    content = call.build.matrix(_in_order(w_ih, kind)) + _bias(b_ih, b_hh, kind)
    content += call.build.matrix(_in_order(w_hh, kind))
    numbers = {0: hidden, 1: int(w_ih.size), 2: 0, **({3: hidden} if kind == "LSTM" else {})}
    makes = 1 + len(states)
    name = call.name or kind.lower()
    blobs = call.build.add(kind, reads, numbers, name=name, makes=makes, weights=content)
    made = [call.build.value(blobs[0], (steps, 1, 1, hidden))]
    return made + [call.build.value(blob, (1, 1, hidden)) for blob in blobs[1:]]


def _in_order(rows: np.ndarray, kind: str) -> np.ndarray:
    parts = np.split(rows, len(_ORDER[kind]))
    return np.concatenate([parts[place] for place in _ORDER[kind]])


def _bias(b_ih: np.ndarray, b_hh: np.ndarray, kind: str) -> bytes:
    """Return the four rows of a bias: of a GRU those of r and z, and of n what is added to the
    input and to the state.
    """
    if kind == "LSTM":
        whole = b_ih + b_hh
    else:
        hidden = len(b_ih) // 3
        first = (b_ih + b_hh)[: 2 * hidden]
        whole = np.concatenate([first, b_ih[2 * hidden :], b_hh[2 * hidden :]])
    return b"".join(stored(whole, dtype="float32"))


def _refuse_other(call: Call, kind: str) -> None:
    """Raise ContractError for what ncnn's layer has not."""
    functions = call.get("activations") or _FUNCTIONS[kind]
    words = [one.decode() if isinstance(one, bytes) else str(one) for one in functions]
    direction = call.get("direction", "forward")
    state = 5 if kind == "GRU" else 6
    wrong = {
        "runs in another direction": direction not in ("forward", b"forward"),
        "has other functions": [word.lower() for word in words] != _FUNCTIONS[kind],
        "clips": call.get("clip") is not None,
        "couples its gates": bool(call.get("input_forget")),
        "resets before the product": kind == "GRU" and not call.get("linear_before_reset"),
        "takes lengths of sequences": call.maybe(4) is not None,
        "looks at its cell": call.maybe(7) is not None,
        "begins with zeros of its own": call.maybe(state) is None or call.maybe(5) is None,
        "has another layout": bool(call.get("layout")),
        "has a batch": call[0].shape[1] != 1,
    }
    for why, found in wrong.items():
        if found:
            raise call.refusal(f"{why}, which ncnn's {kind} does not")


RECURRENT: dict[str, Handler] = {"LSTM": recurrent, "GRU": recurrent}
