"""The step contract: every tensor of every graph, by name, role, dtype and named axes.

A model is one or two graphs. ``encode`` (optional) runs once per sequence, ``step`` once per token
or frame. State goes in and comes out of ``step``: the state input ``h`` returns as the output
``h_next``, and the caller feeds it back. Exporters, sessions, the manifest, parity and the examples
read what is built here. None of them types a tensor's name: what a tensor is follows from its role,
its axes and what its values are below.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from edgernn.contract import rules
from edgernn.contract.records import Record, refuse
from edgernn.errors import ContractError
from edgernn.wording import ENCODE, STEP

BATCH, TIME, LAYERS = "batch", "time", "layers"
HEIGHT, WIDTH, CHANNELS = "height", "width", "channels"  # of pictures
TOKENS = "tokens"  # what token ids are called, fed or written
NEXT = "_next"  # state output = state input + NEXT

Role = Literal["input", "context", "state", "output"]
GraphName = Literal["encode", "step"]
DType = Literal["bool", "int8", "int16", "int32", "int64", "uint8", "float16", "float32", "float64"]
Initial = Literal["stored", "encode"]
AxisName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
TensorName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Size = Annotated[int, Field(ge=1, lt=1 << 31)]
Count = Annotated[int, Field(ge=0, lt=1 << 31)]  # of tokens or frames, and a token's id


class TensorSpec(Record):
    """One tensor of a graph.

    ``axes`` are names; their sizes stand in ``Contract.sizes``, and an axis without a size there is
    open. ``batch`` and ``time`` come at most once, anywhere. ``below`` names the axis whose size
    bounds the values: token ids run from 0 to below ``vocab``.
    """

    name: TensorName
    role: Role
    dtype: DType
    axes: tuple[AxisName, ...]
    below: AxisName | None = None

    def axis(self, name: str) -> int | None:
        """Return the place of the axis ``name``, or None where the tensor has none."""
        return self.axes.index(name) if name in self.axes else None

    @property
    def is_ids(self) -> bool:
        """Whether the values are ids: integers below the size of an axis."""
        return self.below is not None and self.kind in "iu"

    @property
    def kind(self) -> str:
        """The kind of the values, as numpy calls it: ``f`` float, ``i`` or ``u`` integer, ``b``
        bool.
        """
        return self.dtype[0]  # numpy names its kinds so

    @property
    def is_picture(self) -> bool:
        """Whether the values are pictures: bytes with a height, a width and channels, and no axis
        of another kind.
        """
        own = {HEIGHT, WIDTH, CHANNELS}
        bytes_alone = self.dtype == "uint8" and self.below is None
        return bytes_alone and own <= {*self.axes} <= own | {BATCH, TIME}


class GraphSpec(Record):
    """One graph: its tensors in the order in which positional runtimes take and return them."""

    name: GraphName
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def states(self) -> tuple[TensorSpec, ...]:
        """The state inputs; the output of ``s`` is named ``next_name(s.name)``."""
        return tuple(tensor for tensor in self.inputs if tensor.role == "state")

    @property
    def contexts(self) -> tuple[TensorSpec, ...]:
        """What ``encode`` makes once and every ``step`` takes: inputs of the one, outputs of the
        other.
        """
        return tuple(tensor for tensor in (*self.inputs, *self.outputs) if tensor.role == "context")

    @property
    def fresh_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs that are new at every call: neither state nor context."""
        return tuple(tensor for tensor in self.inputs if tensor.role == "input")

    @property
    def caller_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs that the caller makes: everything but state."""
        return tuple(tensor for tensor in self.inputs if tensor.role != "state")

    @property
    def read_outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs that the caller reads: everything but state."""
        return tuple(tensor for tensor in self.outputs if tensor.role != "state")

    @property
    def once(self) -> bool:
        """Whether it runs once per sequence, before the first step; else at every step."""
        return self.name == ENCODE

    @property
    def unit(self) -> str:
        """What its calls are counted in: steps; of a graph that runs once, pictures or
        sequences.
        """
        if not self.once:
            return "step"
        return "picture" if any(tensor.is_picture for tensor in self.inputs) else "sequence"

    @cached_property
    def ids(self) -> TensorSpec | None:
        """The input of token ids, or None where the graph takes none."""
        return next((tensor for tensor in self.fresh_inputs if tensor.is_ids), None)

    @cached_property
    def scores(self) -> TensorSpec | None:
        """The output with a score for each id that may come next, or None: its last axis is what
        the ids are below.
        """
        if self.ids is None:
            return None
        return next((t for t in self.read_outputs if t.axes[-1:] == (self.ids.below,)), None)

    @cached_property
    def attention(self) -> TensorSpec | None:
        """The output with a weight for each place of a context, or None: its last axis is one of a
        context's own.
        """
        axes = {axis for context in self.contexts for axis in context.axes} - {BATCH, TIME}
        others = (tensor for tensor in self.read_outputs if tensor != self.scores)
        return next((t for t in others if t.axes[-1:] and t.axes[-1] in axes), None)

    @property
    def text_ids(self) -> TensorSpec:
        """The input of token ids; raises ContractError where the graph takes none."""
        if self.ids is None:
            raise ContractError(f"{self.name} takes no token ids: the model reads no text")
        return self.ids

    @property
    def text_scores(self) -> TensorSpec:
        """The output of scores; raises ContractError where the graph gives none."""
        if self.scores is None:
            raise ContractError(f"{self.name} gives no scores of ids: the model writes no text")
        return self.scores

    @property
    def has_time(self) -> bool:
        """Whether a call may hold several frames: some input that is new at every call has a time
        axis.
        """
        return any(TIME in tensor.axes for tensor in self.fresh_inputs)

    @model_validator(mode="after")
    def _states_are_paired(self) -> GraphSpec:
        if self.name == STEP:  # encode gives first states under the names by which step takes them
            refuse(rules.pairing_problem(self))
        refuse(rules.graph_problem(self))
        return self


_EVERY = "*"  # stands for every state while version 1 is read
_ONE_WORD: dict[str, dict[str, Initial]] = {
    "zeros": {},
    "learned": {_EVERY: "stored"},
    "encode": {_EVERY: "encode"},
}


def _by_state(found: Any) -> Any:
    """Return what version 1 says in one word for all states as version 2 says it by state."""
    return _ONE_WORD.get(found, found) if isinstance(found, str) else found


class Contract(Record):
    """The graphs of one model, the sizes of its fixed axes, and where its first state comes from.

    Attributes:
        graphs: ``step``, and ``encode`` where there is one.
        sizes: axis → size. An axis without one is open: ``batch`` and ``time``, which the caller
            chooses, and what ``encode`` takes or makes contexts of, which ``encode`` chooses.
        initial_state: state → where its first value comes from: ``stored`` (in the bundle, with
            one row that stands for every row) or ``encode`` (an output of that graph); a state that
            is not named starts at zeros. Version 1 has one word for all states.
        step_frames: frames of ``time`` in one step; a call holds a multiple of it. Where ``time``
            has a size it is that one.
        latency_frames: by how many frames the outputs are late: those at frame t speak of frame
            t - latency_frames. Nothing is shifted by it; it tells a caller how to align them.
    """

    graphs: tuple[GraphSpec, ...]
    sizes: dict[AxisName, Size]
    initial_state: Annotated[dict[str, Initial], BeforeValidator(_by_state)] = Field(
        default_factory=dict
    )
    step_frames: Size = 1
    latency_frames: Count = 0

    @model_validator(mode="after")
    def _encode_gives_what_step_takes(self) -> Contract:
        names = sorted(graph.name for graph in self.graphs)
        if names not in ([STEP], [ENCODE, STEP]):
            raise ValueError(f"the graphs are {names}, expected {STEP}, or {ENCODE} and {STEP}")
        if (word := self.initial_state.get(_EVERY)) is not None:
            self.__dict__["initial_state"] = {state.name: word for state in self.step.states}
        refuse(rules.first_state_problem(self) or rules.axes_problem(self))
        return self

    @property
    def encode(self) -> GraphSpec | None:
        """The graph that runs once per sequence, or None where the model has none."""
        return next((graph for graph in self.graphs if graph.once), None)

    def graph(self, name: str) -> GraphSpec:
        """Return the graph ``name``; raise ContractError where the model has none."""
        for graph in self.graphs:
            if graph.name == name:
                return graph
        raise ContractError(
            f"no graph {name!r} in the contract; it has {[graph.name for graph in self.graphs]}"
        )

    @property
    def step(self) -> GraphSpec:
        """The graph that every model has."""
        return self.graph(STEP)

    def unit(self, graph: str) -> str:
        """Return what the calls of a file of ``graph`` are counted in; steps where it is no graph
        of the contract's own.
        """
        return next((own.unit for own in self.graphs if own.name == graph), self.step.unit)

    def starting(self, source: Initial) -> tuple[TensorSpec, ...]:
        """Return the states whose first value comes from ``source``."""
        states = self.step.states
        return tuple(state for state in states if self.initial_state.get(state.name) == source)

    @property
    def vocabulary(self) -> int:
        """How many token ids there are; raises ContractError where step takes none."""
        return self.sizes[self.step.text_ids.below or ""]

    def shape(self, tensor: TensorSpec, **sizes: int) -> tuple[int, ...]:
        """Return the shape of ``tensor`` where its open axes have ``sizes``."""
        return tuple(self.sizes.get(axis) or sizes[axis] for axis in tensor.axes)

    @property
    def open_axes(self) -> tuple[str, ...]:
        """The axes without a size, but for batch and time, in the order in which they come."""
        tensors = (t for graph in self.graphs for t in (*graph.inputs, *graph.outputs))
        axes = dict.fromkeys(axis for tensor in tensors for axis in tensor.axes)
        return tuple(axis for axis in axes if axis not in {BATCH, TIME, *self.sizes})


def next_name(state: str) -> str:
    """Return the name under which the state input ``state`` comes out."""
    return state + NEXT
