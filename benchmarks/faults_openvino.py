"""Faults of OpenVINO's folders: of a converter, a rounding and a packer, as they lie there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _faulty import Fault, sign
from _faulty_openvino import Apply, Net, exchange, on_constants, on_net

from edgernn.sessions.openvino.ir import BIN, Layer, Network

STEP, EIGHT, FOUR = "openvino/step", "openvino/step-int8", "openvino/step-int4"
KEPT = "openvino/step_stateful"
_DRIFTS = ("rollout", "golden")
_ANY = r"worst [\w\[\]]+ .* at call \d+"


def _weights(place: int) -> Callable[[Network], list[Layer]]:
    """Choose what the first recurrent operator reads at a place."""
    return lambda network: [network.source(network.of("LSTMSequence")[0], place)[0]]


def _stored(dtype: str, *, scales: bool = False) -> Callable[[Network], list[Layer]]:
    """Choose the integers of the last product, or their scales."""

    def choose(network: Network) -> list[Layer]:
        found = [
            (index, layer)
            for index, layer in enumerate(network.layers)
            if layer.data.get("element_type") == dtype and len(layer.constant_shape) == 3
        ]
        index, integers = found[-1]
        if not scales:
            return [integers]
        after = network.layers[index + 1 :]
        return [next(own for own in after if own.data.get("element_type") == "f32")]

    return choose


def _table(network: Network) -> list[Layer]:
    gather = next(
        own for own in network.of("Gather") if len(network.source(own, 0)[0].constant_shape) > 1
    )
    return [network.source(gather, 0)[0]]


def _gates(rows: np.ndarray) -> np.ndarray:
    """Put OpenVINO's forget, input, candidate and output gates in torch's order, ``[1, 4H, K]``."""
    forget, entry, candidate, out = np.split(rows, 4, axis=1)
    return np.concatenate((entry, forget, candidate, out), axis=1)


def _as_bfloat16(values: np.ndarray) -> np.ndarray:
    return (values.view("<u4") & np.uint32(0xFFFF0000)).view("<f4")


def _next_states_swapped(net: Net) -> None:
    """Exchange what the last two outputs read, and what it is called."""
    _, first, second = net.of("Result")
    edges = net.into(first), net.into(second)
    exchange(net.out_of(edges[0]), net.out_of(edges[1]), "names")
    exchange(*edges, "from-layer", "from-port")


def _one_state_for_both(net: Net) -> None:
    """Let what reads c read h."""
    _, hidden, cell = net.of("Parameter")
    for edge in net.edges:
        if edge.get("from-layer") == cell.get("id"):
            edge.set("from-layer", hidden.get("id", ""))
            edge.set("from-port", "0")


def _backwards(net: Net) -> None:
    for layer in net.of("LSTMSequence"):
        next(layer.iter("data")).set("direction", "reverse")


def _lengths_of_the_batch(net: Net) -> None:
    """Let the length of a sequence be the number of rows: an index that is off by one."""
    broadcast = net.layers[net.into(net.of("LSTMSequence")[0], 3).get("from-layer", "")]
    exchange(net.into(broadcast, 0), net.into(broadcast, 1), "from-layer", "from-port")


def _never_written(net: Net) -> None:
    """Let the first variable be overwritten with itself."""
    kept, written = net.of("ReadValue")[0], net.of("Assign")
    name = next(kept.iter("data")).get("variable_id")
    own = next(a for a in written if next(a.iter("data")).get("variable_id") == name)
    edge = net.into(own)
    edge.set("from-layer", kept.get("id", ""))
    edge.set("from-port", "1")


def _variables_swapped(net: Net) -> None:
    first, second = net.of("Assign")
    exchange(net.into(first), net.into(second), "from-layer", "from-port")


def _another_name(net: Net) -> None:
    for kind in ("ReadValue", "Assign"):
        for layer in net.of(kind):
            data = next(layer.iter("data"))
            if data.get("variable_id") == "h":
                data.set("variable_id", "hidden")


def _draws(net: Net) -> None:
    net.of("Add")[-1].set("type", "RandomUniform")


def _floats_called_integers(folder: Path) -> None:
    shutil.rmtree(folder / EIGHT)
    shutil.copytree(folder / STEP, folder / EIGHT)
    sign(folder, EIGHT)


def _cut(folder: Path) -> None:
    path = folder / STEP / BIN
    path.write_bytes(path.read_bytes()[:-64])
    sign(folder, STEP)


def _fault(
    name: str,
    imitates: str,
    apply: Apply,
    artifact: str = STEP,
    caught: tuple[str, ...] = _DRIFTS,
    says: str = _ANY,
) -> Fault:
    honest = "openvino low" if artifact in {EIGHT, FOUR} else "openvino"
    return Fault(f"OpenVINO: {name}", imitates, apply, caught, says, honest, artifact)


FAULTS = (
    _fault(
        "gates in torch's order",
        "a converter that does not know OpenVINO's order of gates",
        on_constants(STEP, _weights(5), _gates),
    ),
    _fault(
        "a bias is lost",
        "one of a layer's two biases left out",
        on_constants(STEP, _weights(6), np.zeros_like),
    ),
    _fault(
        "weights in bfloat16",
        "a precision that was not asked for",
        on_constants(STEP, _weights(4), _as_bfloat16),
    ),
    _fault("next states swapped", "outputs in another order", on_net(STEP, _next_states_swapped)),
    _fault(
        "one state for both",
        "two inputs merged that were one tensor in the example",
        on_net(STEP, _one_state_for_both),
        caught=(),
        says=".",
    ),
    _fault(
        "backwards in time",
        "an attribute of a recurrent operator",
        on_net(STEP, _backwards),
        caught=("structure",),
        says="does not go forward in time alone",
    ),
    _fault(
        "lengths from the batch",
        "an index that is off by one",
        on_net(STEP, _lengths_of_the_batch),
        caught=(),
        says=".",
    ),
    _fault(
        "random numbers",
        "dropout that was left in",
        on_net(STEP, _draws),
        caught=(),
        says="RandomUniform|draws|OpenVINO can",
    ),
    _fault(
        "constants cut",
        "a copy that broke off",
        _cut,
        caught=("contract",),
        says="is damaged: the constant",
    ),
    _fault(
        "a state that is never written",
        "an update that a converter dropped",
        on_net(KEPT, _never_written),
        KEPT,
        (),
        ".",
    ),
    _fault(
        "variables swapped",
        "states that are paired by their order",
        on_net(KEPT, _variables_swapped),
        KEPT,
    ),
    _fault(
        "a variable of another name",
        "names that a pass makes",
        on_net(KEPT, _another_name),
        KEPT,
        (),
        "hidden",
    ),
    _fault(
        "scales of the row before",
        "an index that is off by one",
        on_constants(EIGHT, _stored("i8", scales=True), lambda rows: np.roll(rows, 1, 0)),
        EIGHT,
    ),
    _fault(
        "half bytes exchanged",
        "the other order of two values in a byte",
        on_constants(FOUR, _stored("i4"), lambda rows: (rows >> 4) | (rows << 4)),
        FOUR,
    ),
    _fault(
        "table off by one",
        "a token that was taken out of the vocabulary",
        on_constants(EIGHT, _table, lambda rows: np.roll(rows, 1, 0)),
        EIGHT,
    ),
    _fault(
        "floats called integers",
        "a quantiser that left everything as it was",
        _floats_called_integers,
        EIGHT,
        (),
        "float32|time",
    ),
)
