"""Recurrent operators of ONNX, frame by frame: products and elements, as a step of its own has
them. Gates: i, o, f, c of an LSTM and z, r, h of a GRU, as the operator's page has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.matrices import FloatMatrix
from edgernn.export.to_c.program import Move, Product
from edgernn.export.to_c.views import View

_USUAL = {
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "RNN": ["Tanh"],
}
_MOST_FRAMES = 64
Advance = Callable[["_Layer", View, list[View]], list[View]]


@dataclass(frozen=True)
class _Layer:
    """One direction: its weights ``[G H, I]`` and ``[G H, H]``, biases ``[G H]``, peepholes."""

    call: Call
    given: np.ndarray
    hidden: np.ndarray
    biases: tuple[np.ndarray, np.ndarray]
    peepholes: np.ndarray | None

    @property
    def size(self) -> int:
        """H."""
        return int(self.hidden.shape[1])

    def product(self, matrix: np.ndarray, bias: np.ndarray, *parts: View) -> View:
        """Return ``[parts] matrixᵀ + bias``, ``[B, rows]``."""
        build, rows = self.call.build, parts[0].shape[0]
        joined = build.room("float32", [rows, matrix.shape[1]])
        start = 0
        for part in parts:
            build.nodes.append(Move(joined.cut(1, start, part.shape[1]), part))
            start += part.shape[1]
        out = build.room("float32", [rows, matrix.shape[0]])
        values = np.ascontiguousarray(matrix.T, np.float32)
        build.nodes.append(Product(out, (joined,), FloatMatrix(values), bias))
        return out

    def gate(self, sums: View, number: int) -> View:
        """Return one gate's part of ``[B, G H]``."""
        return sums.cut(1, number * self.size, self.size)


def recurrent(call: Call) -> list[View]:
    """Return every frame's state, and the last ones: ``Y``, ``Y_h`` and of an LSTM ``Y_c``."""
    _refuse_unusual(call)
    build, op = call.build, call.node.op
    x = call[0].transpose([1, 0, 2]) if call.get("layout", 0) else call[0]
    directions = int(call.known(2).shape[0])
    states: list[list[View]] = [[] for _ in range(2 if op == "LSTM" else 1)]
    frames: list[list[View]] = []
    for direction in range(directions):
        now = [_first(call, place, direction, x.shape[1]) for place in (5, 6)[: len(states)]]
        made: list[View] = [now[0]] * x.shape[0]
        backwards = call.get("direction", "forward") == "reverse" or direction == 1
        for at in reversed(range(x.shape[0])) if backwards else range(x.shape[0]):
            frame = build.reshaped(x.cut(0, at, 1), x.shape[1:])
            now = _ADVANCE[op](_layer(call, direction), frame, now)
            made[at] = now[0]
        frames.append(made)
        for own, state in zip(states, now, strict=True):
            own.append(state)
    y = _stacked(call, [[made[at] for made in frames] for at in range(x.shape[0])])
    last = [_stacked(call, [own]).cut(0, 0, 1) for own in states]
    last = [build.reshaped(own, own.shape[1:]) for own in last]
    if call.get("layout", 0):
        return [y.transpose([2, 0, 1, 3]), *(own.transpose([1, 0, 2]) for own in last)]
    return [y, *last]


def _refuse_unusual(call: Call) -> None:
    op, directions = call.node.op, int(call.known(2).shape[0])
    wanted = _USUAL[op] * directions
    if list(call.get("activations") or wanted) not in (wanted, ["Relu"] * directions):
        raise call.refusal(f"has other activations than {', '.join(_USUAL[op])}")
    if call.get("activations") and call.get("activations") != wanted and op != "RNN":
        raise call.refusal(f"has other activations than {', '.join(_USUAL[op])}")
    if call.get("clip") is not None or call.get("input_forget", 0):
        raise call.refusal("has limits, or couples its gates")
    if call.maybe(4) is not None:
        raise call.refusal("takes the lengths of its sequences")
    if call[0].shape[1 if call.get("layout", 0) else 0] > _MOST_FRAMES:
        raise call.refusal(f"goes over more than {_MOST_FRAMES} frames")


def _layer(call: Call, direction: int) -> _Layer:
    given, hidden = call.known(1)[direction], call.known(2)[direction]
    rows = hidden.shape[0]
    both = np.zeros(2 * rows, np.float32) if call.maybe(3) is None else call.known(3)[direction]
    held = call.node.op == "LSTM" and call.maybe(7) is not None
    peepholes = call.known(7)[direction] if held else None
    return _Layer(call, given, hidden, (both[:rows], both[rows:]), peepholes)


def _first(call: Call, place: int, direction: int, rows: int) -> View:
    """Return a state ``[B, H]`` before the first frame: zeros where none is given."""
    size = int(call.known(2).shape[2])
    if call.maybe(place) is None:
        return call.build.constant(np.zeros((rows, size), np.float32))
    given = call[place].transpose([1, 0, 2]) if call.get("layout", 0) else call[place]
    return call.build.reshaped(given.cut(0, direction, 1), [rows, size])


def _stacked(call: Call, rows: list[list[View]]) -> View:
    """Return ``[T, D, B, H]`` of states by frame and direction."""
    shape = [len(rows), len(rows[0]), *rows[0][0].shape]
    out = call.build.room("float32", shape)
    for at, row in enumerate(rows):
        for direction, state in enumerate(row):
            part = out.cut(0, at, 1).cut(1, direction, 1)
            source = state.reshape([1, 1, *state.shape]) or call.build.copied(state).reshape(
                [1, 1, *state.shape]
            )
            assert source is not None
            call.build.nodes.append(Move(part, source))
    return out


def _lstm(own: _Layer, x: View, now: list[View]) -> list[View]:
    apply, (h, c) = own.call.build.pointwise, now
    matrix = np.concatenate([own.given, own.hidden], 1)
    sums = own.product(matrix, own.biases[0] + own.biases[1], x, h)

    def peep(gate: int, cell: View, number: int) -> View:
        part = own.gate(sums, gate)
        if own.peepholes is None:
            return part
        weights = own.peepholes[number * own.size : (number + 1) * own.size]
        return apply("add", part, apply("mul", own.call.build.constant(weights), cell))

    i, f = apply("sigmoid", peep(0, c, 0)), apply("sigmoid", peep(2, c, 2))
    made = apply("mul", i, apply("tanh", own.gate(sums, 3)))
    after = apply("add", apply("mul", f, c), made)
    o = apply("sigmoid", peep(1, after, 1))
    return [apply("mul", o, apply("tanh", after)), after]


def _gru(own: _Layer, x: View, now: list[View]) -> list[View]:
    apply, (h,), size = own.call.build.pointwise, now, own.size
    sums = own.product(own.given, own.biases[0], x)
    gates = own.product(own.hidden[: 2 * size], own.biases[1][: 2 * size], h)
    z, r = (
        apply("sigmoid", apply("add", own.gate(sums, gate), own.gate(gates, gate)))
        for gate in range(2)
    )
    last, bias = own.hidden[2 * size :], own.biases[1][2 * size :]
    if own.call.get("linear_before_reset", 0):
        inner = apply("mul", r, own.product(last, bias, h))
    else:
        inner = own.product(last, bias, apply("mul", r, h))
    n = apply("tanh", apply("add", own.gate(sums, 2), inner))
    return [apply("add", n, apply("mul", z, apply("sub", h, n)))]


def _rnn(own: _Layer, x: View, now: list[View]) -> list[View]:
    matrix = np.concatenate([own.given, own.hidden], 1)
    sums = own.product(matrix, own.biases[0] + own.biases[1], x, now[0])
    relu = (own.call.get("activations") or ["Tanh"])[0] == "Relu"
    return [own.call.build.pointwise("relu" if relu else "tanh", sums)]


_ADVANCE: dict[str, Advance] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
