"""A network of OpenVINO, every operator followed with batch and time as unknowns; as
``onnx_rules`` for ONNX.

``openvino_table`` says for each operator what it does to shapes. What branches, repeats, draws
random numbers or keeps what is no state of the contract is refused by name; an operator that is in
no table is not known, and then nothing is proved.
"""

from __future__ import annotations

from edgernn.contract import next_name
from edgernn.contract.interface import FileTensor, Interface
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.onnx_rules import check_outputs, input_of
from edgernn.parity.structure.openvino_call import IrCall, constant
from edgernn.parity.structure.openvino_places import follow_places
from edgernn.parity.structure.openvino_table import SEQUENCES, TABLE
from edgernn.parity.structure.sizes import SizeError, UnknownError, Value, is_open
from edgernn.sessions.openvino.ir import Layer, Network, Port

REFUSED = {
    **dict.fromkeys(("If", "Loop", "TensorIterator"), "branches or repeats"),
    **dict.fromkeys(("Bernoulli", "Multinomial", "RandomUniform"), "draws random numbers"),
    **dict.fromkeys(
        ("NonZero", "NonMaxSuppression", "Unique"), "has a result whose size depends on data"
    ),
}
_MOVES = frozenset(
    ("Concat", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
)
_ENDS = frozenset(("Const", "Parameter", "Result", "ReadValue", "Assign"))


def follow(network: Network, interface: Interface) -> int:
    """Follow every operator of ``network``; return how many there are.

    Raises:
        SizeError: something depends on a size, branches, draws or mixes, or is kept that is no
            state; or an output has another shape than promised.
        UnknownError: an operator is not known.
    """
    for layer in network.layers:  # first, for these say most
        if layer.kind in REFUSED or layer.bodies:
            why = REFUSED.get(layer.kind, "holds a network of its own")
            raise SizeError(f"{layer.kind} ({layer.name}) {why}")
    given = Interface(
        (*interface.inputs, *interface.states),
        (*interface.outputs, *map(_after, interface.states)),
    )
    following = _Following(network, given)
    for layer in network.in_order():
        following.take(layer)
    made = following.outputs(interface)
    check_outputs(made, given)
    return sum(layer.kind not in _ENDS for layer in network.layers)


def _after(state: FileTensor) -> FileTensor:
    return FileTensor(next_name(state.name), state.dtype, state.shape)


class _Following:
    """The values of the ports that were followed so far."""

    def __init__(self, network: Network, given: Interface) -> None:
        self._network = network
        self._inputs = {tensor.name: input_of(tensor, given) for tensor in given.inputs}
        self._names = [tensor.name for tensor in given.inputs]
        self._values: dict[Port, Value] = {}
        self._fills: dict[Port, object] = {}  # the one element that a port has throughout
        self._moved: set[Port] = set()  # states, in whatever order of elements
        self._kept: dict[str, Value] = {}

    def take(self, layer: Layer) -> None:
        """Follow one operator."""
        sources = [self._network.sources[layer.id, port] for port in layer.inputs]
        if layer.kind == "Const":
            self._put(layer, [constant(self._network, layer)])
        elif layer.kind == "Parameter":
            place = [own.id for own in self._network.of("Parameter")].index(layer.id)
            self._begin(layer, self._names[place] if place < len(self._names) else "")
        elif layer.kind == "ReadValue":
            self._begin(layer, layer.data.get("variable_id", ""))
        elif layer.kind == "Assign":
            self._kept[layer.data.get("variable_id", "")] = self._values[sources[0]]
            self._put(layer, [self._values[sources[0]]])
        elif layer.kind != "Result":
            self._compute(layer, sources)

    def _begin(self, layer: Layer, name: str) -> None:
        if name not in self._inputs:
            raise SizeError(
                f"{layer.kind} ({layer.name}) brings {name or 'something'}, which is no input or "
                "state of the contract"
            )
        self._put(layer, [self._inputs[name]])
        if self._inputs[name].part is not None:
            self._moved.add((layer.id, layer.outputs[0]))

    def _compute(self, layer: Layer, sources: list[Port]) -> None:
        call = IrCall(
            layer,
            [self._values[port] for port in sources],
            [self._fills.get(port) for port in sources],
        )
        handler = TABLE.get(layer.kind)
        if handler is None:
            raise rules.unknown(call.what)
        if layer.kind in SEQUENCES:
            self._refuse_reordered(call, sources)
        made = follow_places(call, lambda: handler(call))
        self._put(layer, made if isinstance(made, list) else [made])
        if layer.kind == "Broadcast" and call[0].known is not None and call[0].known.size == 1:
            self._fills[layer.id, layer.outputs[0]] = call[0].known.ravel()[0]
        if layer.kind in _MOVES and self._moved.issuperset(
            sources if layer.kind == "Concat" else sources[:1]
        ):
            self._moved.update((layer.id, port) for port in layer.outputs)

    def _refuse_reordered(self, call: IrCall, sources: list[Port]) -> None:
        """Raise UnknownError where a recurrent operator goes on from a state that was moved in a
        way that is not followed.
        """
        for place in SEQUENCES[call.layer.kind]:
            reordered = call[place].part is None and sources[place] in self._moved
            if reordered and is_open(call[0].dims[1]):
                raise UnknownError(
                    f"{call.what} goes on from a state in another order of its elements, so "
                    "nothing is proved of any cut"
                )

    def _put(self, layer: Layer, values: list[Value]) -> None:
        self._values.update(zip([(layer.id, port) for port in layer.outputs], values, strict=False))

    def outputs(self, interface: Interface) -> dict[str, Value]:
        """Return what comes out, by name, and what is kept for the next call."""
        results = self._network.of("Result")
        names = [tensor.name for tensor in interface.outputs]
        if len(results) != len(names):
            raise SizeError(f"there are {len(results)} outputs, the contract has {len(names)}")
        wanted = {tensor.name for tensor in interface.states}
        if wanted != set(self._kept):
            raise SizeError(
                f"it writes {sorted(self._kept) or 'nothing'} to be kept, expected "
                f"{sorted(wanted) or 'nothing'}"
            )
        made = {
            name: self._values[self._network.sources[result.id, result.inputs[0]]]
            for name, result in zip(names, results, strict=True)
        }
        return made | {next_name(name): value for name, value in self._kept.items()}
