"""The network described by layers as a model: its graphs run the layers in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from edgernn.contract import ENCODE
from edgernn.models.cells.base import State
from edgernn.models.compact import table_pays
from edgernn.models.family import RecurrentModel
from edgernn.models.layered.building import build
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.kinds.embedding import Embedding
from edgernn.models.layered.kinds.recurrent import Recurrent
from edgernn.models.layered.layer import LayerModule
from edgernn.models.layered.values import before


class Network(RecurrentModel):
    """``step``, and ``encode`` where the description has one; see ``description``.

    Its parameters are ``layers.NAME.…`` and ``encode.NAME.…``.
    """

    kind = "network"
    config_kind = NetworkConfig
    config: NetworkConfig

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.family = config.family
        self._contract = config.contract()
        built = build(config)
        self.layers, self.encode = nn.ModuleDict(built.step), nn.ModuleDict(built.encode)

    def graph(self, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See ``RecurrentModel.graph``."""
        return self._encode(tensors) if name == ENCODE else self._step(tensors)

    def _encode(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        config, spec = self.config, self._contract.graph(ENCODE)
        values = {port.name: tensor for port, tensor in zip(config.given, tensors, strict=True)}
        for name, layer in _layers(self.encode):
            self._run(name, layer, values, ())
        made = []
        for tensor in spec.outputs:
            if tensor.name in config.contexts:
                made.append(values[config.contexts[tensor.name]])
            else:
                shape = [self._contract.sizes.get(axis, -1) for axis in tensor.axes]
                made.append(_as_state(values[config.first[tensor.name]], shape))
        return tuple(made)

    def _step(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        config, spec = self.config, self._contract.step
        values = {tensor.name: given for tensor, given in zip(spec.inputs, tensors, strict=True)}
        states: dict[str, Tensor] = {state.name: values[state.name] for state in spec.states}
        for name, layer in _layers(self.layers):
            for kept in layer.kept:
                values[before(name, kept.key)] = states[kept.name]
        after: list[Tensor] = []
        for name, layer in _layers(self.layers):
            after += self._run(name, layer, values, tuple(states[kept.name] for kept in layer.kept))
        return (*(values[source] for source in config.outputs.values()), *after)

    def _run(self, name: str, layer: LayerModule, values: dict[str, Tensor], state: State) -> State:
        """Run one layer: ``values`` gets its results; return its states after."""
        made, after = layer(tuple(values[source] for source in layer.sources), state)
        for part, tensor in zip(layer.results, made, strict=True):
            values[f"{name}.{part}" if part else name] = tensor
        return tuple(after)

    def initial_state(self, batch: int) -> State:
        """See ``RecurrentModel.initial_state``; zeros where ``encode`` gives it."""
        contract = self._contract
        held = {
            kept.name: (kept, layer) for _, layer in _layers(self.layers) for kept in layer.kept
        }
        device, state = next(self.parameters(), torch.zeros(())).device, []
        for spec in contract.step.states:
            kept, layer = held[spec.name]
            shape = contract.shape(spec, batch=batch)
            state.append(
                layer.first_value(kept.key).expand(shape)
                if kept.stored
                else torch.zeros(shape, device=device)
            )
        return tuple(state)

    def latest(self, name: str, state: State) -> Tensor:
        """Return what the layer ``name`` of the step holds of the last time step, ``[B, H]``, given
        the states after it in the contract's order.
        """
        layer = dict(_layers(self.layers))[name]
        named = dict(zip((spec.name for spec in self._contract.step.states), state, strict=True))
        return layer.latest(tuple(named[kept.name] for kept in layer.kept))

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """See ``RecurrentModel.labels``."""
        return self.config.labels

    @property
    def open_time(self) -> bool:
        """See ``RecurrentModel.open_time``."""
        return all(layer.open_time for _, layer in _layers(self.layers))

    @property
    def folded_table(self) -> str:
        """See ``RecurrentModel.folded_table``."""
        pair = self._folding()
        return super().folded_table if pair is None else pair[0].place_name

    def folding_pays(self, bits: int) -> bool:
        """See ``RecurrentModel.folding_pays``."""
        pair = self._folding()
        if pair is None:
            return False
        vocabulary, width = pair[0].weight.shape
        return table_pays(
            bits,
            vocabulary=vocabulary,
            width=width,
            rows=pair[1].gate_rows,
            parameters=self.parameter_count,
        )

    def step_face(self, *, folded: bool = False) -> Network:
        """See ``RecurrentModel.step_face``."""
        if folded and (pair := self._folding()) is not None:
            embedding, layer = pair
            embedding.weight = nn.Parameter(layer.fold(embedding.weight.detach()))  # [V, gH]
        for _, own in _layers(self.layers):
            own.step_face()
        return self

    def restrict(self) -> None:
        """See ``RecurrentModel.restrict``."""
        for _, own in _layers(self.layers):
            own.restrict()

    def in_products(self) -> Network:
        """See ``RecurrentModel.in_products``."""
        for _, own in _layers(self.layers):
            own.in_products()
        return self

    def _folding(self) -> tuple[Embedding, Recurrent] | None:
        """Return an embedding and the recurrent layer that alone takes it, and takes nothing else;
        None where there are no such two.
        """
        uses = Counter(self.config.outputs.values())
        uses.update(name for layer in self.config.layers for name in layer.inputs)
        own = dict(_layers(self.layers))
        for layer in own.values():
            if isinstance(layer, Recurrent) and layer.can_fold and not self._is_shared(layer):
                (source,) = layer.sources
                made = own.get(source)
                if isinstance(made, Embedding) and uses[source] == 1 and not self._is_shared(made):
                    return made, layer
        return None

    def _is_shared(self, layer: LayerModule) -> bool:
        """Whether ``encode`` uses it, too, for which a folded one does not serve."""
        return any(layer in own.shares for _, own in _layers(self.encode))


def _layers(modules: nn.ModuleDict) -> Iterable[tuple[str, LayerModule]]:
    return modules.items()  # type: ignore[return-value]


def _as_state(value: Tensor, shape: list[int]) -> Tensor:
    """Return ``value [B, L·H]`` as a state ``[L, B, H]``; one of those axes as it is."""
    if value.dim() == len(shape):
        return value
    return value.view(-1, shape[0], shape[2]).transpose(0, 1)  # [L, B, H]
