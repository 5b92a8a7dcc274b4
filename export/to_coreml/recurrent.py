"""torch's recurrent layers over a sequence, written out step by step: what coremltools makes of a
layer that a graph runs over a fixed number of steps, as an encoder does.

Of ``nn.GRU`` coremltools itself makes a loop, and of ``nn.LSTM`` and ``nn.RNN`` an operator each
(``findings/core-ml-loop-of-a-gru.sh``). The matrices inside are not among those that are
compressed, and the Neural Engine takes neither. Here a layer becomes the
``linear``, ``sigmoid`` and ``tanh`` that a step of its own has: one product for the inputs of all
steps, and one a step for its state. The matrices are constants that every step reads.

Shapes: T steps, B batch, I input, H hidden, g gates, D directions. Equations and the order of the
gates are those of ``torch.nn.LSTM``, ``GRU`` and ``RNN``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgernn.errors import ContractError
from edgernn.export.to_coreml.weights import SCHEMES
from edgernn.sessions.quiet import quiet

with quiet():  # coremltools prints one line per missing macOS library
    from coremltools.converters.mil import Builder

MOST_STEPS = 512  # of all layers and directions together, each of about twelve operators
State = list[Any]
Advance = Callable[[Any, Any, State], State]
Convert = Callable[[Any, Any], None]


@dataclass(frozen=True)
class _Weights:
    """One direction of one layer: matrices ``[gH, I]`` and ``[gH, H]``, or ``[gH, P]`` where
    ``projection [P, H]`` is what makes the output; biases ``[gH]``, or None.
    """

    given: Any
    hidden: Any
    biases: tuple[Any, Any] | tuple[None, None]
    projection: Any = None


def unrolled(kind: str, otherwise: Convert) -> Convert:
    """Return the conversion of ``aten::KIND``, one of ``ADVANCE``; where an LSTM has more steps
    than ``MOST_STEPS``, ``otherwise``, coremltools' own.

    Raises:
        ContractError: by the conversion, where another has more steps, or of packed sequences.
    """

    def convert(context: Any, node: Any) -> None:
        given = [context[name] for name in node.inputs]
        if isinstance(given[3], list):
            raise ContractError(
                f"Core ML files take no packed sequences, which aten::{kind} reads; give it padded "
                "ones"
            )
        x, first, parameters, biased, layers, _, _, both_ways, rows_first = given
        directions = 2 if both_ways.val else 1
        x = Builder.transpose(x=x, perm=[1, 0, 2]) if rows_first.val else x  # [T, B, I]
        if (steps := int(x.shape[0]) * int(layers.val) * directions) > MOST_STEPS:
            if kind == "lstm":
                return otherwise(context, node)
            raise _too_many(kind, steps)
        weights = _weights(parameters, int(layers.val) * directions, bool(biased.val))
        states = first if isinstance(first, list) else [first]  # each [L D, B, H]
        before = list(zip(*(_parts(state, len(weights)) for state in states), strict=True))
        after: list[State] = []
        for layer in range(int(layers.val)):
            made = []
            for place in range(layer * directions, (layer + 1) * directions):
                y, state = _over_time(
                    kind, x, [*before[place]], weights[place], back=place % directions == 1
                )
                made.append(y)
                after.append(state)
            x = made[0] if len(made) == 1 else Builder.concat(values=made, axis=2)  # [T, B, D H]
        x = Builder.transpose(x=x, perm=[1, 0, 2]) if rows_first.val else x
        results = [x, *(_together([*each]) for each in zip(*after, strict=True))]
        for name, result in zip(node.outputs, results, strict=True):
            context.add(Builder.identity(x=result, name=name), torch_name=name)

    convert.__name__ = kind  # by which coremltools registers it
    return convert


def refuse_kept_whole(program: Any, precision: str) -> None:
    """Raise ContractError where an LSTM that is left whole would have to be compressed."""
    kinds = {operation.op_type for operation in program.functions["main"].operations}
    if "lstm" in kinds and precision in SCHEMES:
        raise ContractError(
            f"an LSTM over more than {MOST_STEPS} steps of layers and directions is one operator "
            f"in Core ML, whose matrices cannot be {precision}; choose fewer steps with --axis, or "
            "another precision"
        )


def _too_many(kind: str, steps: int) -> ContractError:
    return ContractError(
        f"Core ML files write aten::{kind} out step by step: {steps:,} steps of all layers and "
        f"directions, expected {MOST_STEPS} or fewer; choose a smaller size with --axis, or leave "
        "Core ML out"
    )


def _weights(parameters: list[Any], layers: int, biased: bool) -> list[_Weights]:
    """Return torch's flat list of parameters by layer and direction."""
    count = len(parameters) // layers
    made = []
    for start in range(0, len(parameters), count):
        given, hidden, *others = parameters[start : start + count]
        biases = (others.pop(0), others.pop(0)) if biased else (None, None)
        made.append(_Weights(given, hidden, biases, *others))
    return made


def _over_time(
    kind: str, x: Any, state: State, weights: _Weights, *, back: bool
) -> tuple[Any, State]:
    """Run one direction of one layer over ``x [T, B, I]`` from states ``[1, B, H]``; return its
    outputs ``[T, B, H]`` and the state after the last step.
    """
    frames = _parts(_linear(x, weights.given, weights.biases[0]), int(x.shape[0]))  # [1, B, gH]
    made = []
    for frame in reversed(frames) if back else frames:
        sums = _linear(state[0], weights.hidden, weights.biases[1])  # [1, B, gH]
        state = ADVANCE[kind](frame, sums, state)
        if weights.projection is not None:
            state[0] = _linear(state[0], weights.projection, None)
        made.append(state[0])
    return _together(made[::-1] if back else made), state


def _linear(x: Any, weight: Any, bias: Any) -> Any:
    return Builder.linear(x=x, weight=weight, **({} if bias is None else {"bias": bias}))


def _parts(x: Any, count: int, axis: int = 0) -> list[Any]:
    """Return ``x`` in ``count`` equal parts along an axis."""
    return [x] if count == 1 else list(Builder.split(x=x, num_splits=count, axis=axis))


def _together(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else Builder.concat(values=parts, axis=0)


def _lstm(x: Any, sums: Any, state: State) -> State:
    i, f, g, o = _parts(Builder.add(x=x, y=sums), 4, axis=2)  # [1, B, H] each
    kept = Builder.mul(x=Builder.sigmoid(x=f), y=state[1])
    c = Builder.add(x=kept, y=Builder.mul(x=Builder.sigmoid(x=i), y=Builder.tanh(x=g)))
    return [Builder.mul(x=Builder.sigmoid(x=o), y=Builder.tanh(x=c)), c]


def _gru(x: Any, sums: Any, state: State) -> State:
    (x_r, x_z, x_n), (h_r, h_z, h_n) = _parts(x, 3, axis=2), _parts(sums, 3, axis=2)
    r, z = (Builder.sigmoid(x=Builder.add(x=a, y=b)) for a, b in ((x_r, h_r), (x_z, h_z)))
    n = Builder.tanh(x=Builder.add(x=x_n, y=Builder.mul(x=r, y=h_n)))
    return [Builder.add(x=n, y=Builder.mul(x=z, y=Builder.sub(x=state[0], y=n)))]


def _rnn_tanh(x: Any, sums: Any, state: State) -> State:
    return [Builder.tanh(x=Builder.add(x=x, y=sums))]


def _rnn_relu(x: Any, sums: Any, state: State) -> State:
    return [Builder.relu(x=Builder.add(x=x, y=sums))]


ADVANCE: dict[str, Advance] = {
    "gru": _gru,
    "lstm": _lstm,
    "rnn_relu": _rnn_relu,
    "rnn_tanh": _rnn_tanh,
}
