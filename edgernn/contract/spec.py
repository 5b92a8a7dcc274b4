"""The step contract: every tensor of every graph, by name, role, dtype and named axes. The one
place that names them.

A model is one or two graphs. ``encode`` (optional) runs once per sequence, ``step`` once per token
or frame. State goes in and comes out of ``step``: the state input ``h`` returns as the output
``h_next``, and the caller feeds it back. Exporters, sessions, the manifest, parity and the examples
read what is built here; none of them types a tensor name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgernn.contract import rules
from edgernn.contract.interface import FileDescription, FileTensor, Interface, interface_problems
from edgernn.errors import ContractError, UsageError
from edgernn.storage import strict_json
from edgernn.wording import did_you_mean

SCHEMA_VERSION: Literal[1] = 1
METADATA_KEY = (
    "edgernn"  # the key of a model file's own metadata that holds its FileContract as JSON
)

BATCH, TIME, LAYERS, HIDDEN, VOCAB = "batch", "time", "layers", "hidden", "vocab"
HEIGHT, WIDTH, CHANNELS, REGIONS = "height", "width", "channels", "regions"
ENCODE: Literal["encode"] = "encode"
STEP: Literal["step"] = "step"
TOKENS, LOGITS = "tokens", "logits"
IMAGE, FEATURES, FEATURE_KEYS, IMAGE_GATES, ATTENTION = (
    "image",
    "features",
    "feature_keys",
    "image_gates",
    "attention",
)
CAPTIONS = "captions"  # of a held-out sample: the references of its pictures
NEXT = "_next"  # state output = state input + NEXT
PICTURE: Literal["picture"] = (
    "picture"  # the dtype of a file that takes its platform's own 8-bit RGB picture
)

M = TypeVar("M", bound=BaseModel)
Role = Literal["input", "context", "state", "output"]
GraphName = Literal["encode", "step"]
FileGraph = Literal[
    "encode", "step", "generate", "caption"
]  # of the last two see decoding_graphs.py
DType = Literal["int64", "int32", "uint8", "float32", "float16"]
FileDType = Literal["int64", "int32", "uint8", "float32", "float16", "picture"]
AxisName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Size = Annotated[int, Field(ge=1, lt=1 << 31)]
Count = Annotated[int, Field(ge=0, lt=1 << 31)]  # of tokens, and a token's id


class Model(BaseModel):
    """Base of everything that is written as JSON: frozen, and no unknown key is let through."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(Model):
    """One tensor of a graph.

    ``axes`` are names; their sizes stand in ``Contract.sizes``, and an axis without a size there is
    the caller's choice. ``below`` names the axis whose size bounds the values: token ids run from 0
    to below ``vocab``.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    role: Role
    dtype: DType
    axes: tuple[AxisName, ...]
    below: AxisName | None = None


class GraphSpec(Model):
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

    @model_validator(mode="after")
    def _states_are_paired(self) -> GraphSpec:
        if self.name == STEP:  # encode gives first states under the names by which step takes them
            came_out = {tensor.name for tensor in self.outputs if tensor.role == "state"}
            if came_out != {next_name(tensor.name) for tensor in self.states}:
                raise ValueError(
                    f"every state must come in as NAME and out as NAME{NEXT}; outputs have "
                    f"{sorted(came_out)}"
                )
            after = {t.name: (t.dtype, t.axes) for t in self.outputs}
            changed = [t.name for t in self.states if after[next_name(t.name)] != (t.dtype, t.axes)]
            if changed:
                raise ValueError(
                    f"the state {changed[0]} comes out with another dtype or other axes"
                )
        _refuse(rules.graph_problem(self))
        return self


class Contract(Model):
    """The graphs of one model, the sizes of its fixed axes, and where its first state comes from.

    ``initial_state``: ``zeros``; ``learned`` (the values are the bundle's
    ``initial_state.safetensors``, each ``[L, 1, H]`` and the same for every row of the batch);
    ``encode`` (outputs of the encode graph).
    """

    graphs: tuple[GraphSpec, ...]
    sizes: dict[AxisName, Size]
    initial_state: Literal["zeros", "learned", "encode"] = "zeros"

    @model_validator(mode="after")
    def _encode_gives_what_step_takes(self) -> Contract:
        names = sorted(graph.name for graph in self.graphs)
        if names not in ([STEP], [ENCODE, STEP]):
            raise ValueError(f"the graphs are {names}, expected {STEP}, or {ENCODE} and {STEP}")
        step, encode = self.step, self.encode
        given = {tensor.name: tensor for tensor in encode.outputs} if encode else {}
        wanted = [*step.contexts, *(step.states if self.initial_state == ENCODE else ())]
        lacking = [tensor.name for tensor in wanted if given.get(tensor.name) != tensor]
        if lacking:
            raise ValueError(f"step takes {lacking} from encode, which does not give them")
        _refuse(
            rules.size_problem(
                (t for graph in self.graphs for t in (*graph.inputs, *graph.outputs)), self.sizes
            )
        )
        return self

    @property
    def encode(self) -> GraphSpec | None:
        """The graph that runs once per sequence, or None where the model has none."""
        return next((graph for graph in self.graphs if graph.name == ENCODE), None)

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


class Narrowing(Model):
    """How one file is narrower than the contract. It may fix axes and change dtypes; it never
    renames.

    ``axes``: axis → the only size that the file takes. ``dtypes``: tensor → the file's dtype, where
    ``picture`` is the platform's own 8-bit RGB picture (Core ML: a pixel buffer).
    ``runtime_state``: the state is held by the runtime under the state inputs' names (Core ML
    MLState) and does not appear as in- or output.
    """

    axes: dict[AxisName, Size] = Field(default_factory=dict)
    dtypes: dict[str, FileDType] = Field(default_factory=dict)
    runtime_state: bool = False


class Decoding(Model):
    """Defaults for a host that writes text: what to feed when there is no prompt, how to sample,
    when to stop.

    ``start``: token ids fed in place of an empty prompt. ``temperature`` 0 is greedy; ``top_k`` 0
    and ``top_p`` 1 keep the whole vocabulary. ``stop``: ids that end a text and are no part of it.
    ``suppress``: ids that are never written. ``length``: the most tokens of a text, 0 for no limit.
    """

    start: tuple[Count, ...] = (0,)
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.8
    top_k: Count = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    stop: tuple[Count, ...] = ()
    suppress: tuple[Count, ...] = ()
    length: Count = 0


class FileContract(Model):
    """All that a host needs to drive one model file; written into the file's own metadata under
    ``METADATA_KEY``.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    contract: Contract
    graph: FileGraph = STEP
    narrowing: Narrowing = Narrowing()
    decoding: Decoding = Decoding()

    @property
    def spec(self) -> GraphSpec:
        """The graph that this file computes."""
        return self.contract.graph(self.graph)

    def dtype(self, tensor: TensorSpec) -> str:
        """Return the dtype that the file uses for ``tensor``."""
        return self.narrowing.dtypes.get(tensor.name, tensor.dtype)

    def axis_size(self, axis: str) -> int | None:
        """Return the only size that the file takes along ``axis``, or None where the caller
        chooses.
        """
        return self.narrowing.axes.get(axis, self.contract.sizes.get(axis))

    def interface(self) -> Interface:
        """Return the inputs, outputs and runtime states that the file must have."""

        def file_tensor(tensor: TensorSpec) -> FileTensor:
            return FileTensor(
                tensor.name,
                self.dtype(tensor),
                tuple(self.axis_size(axis) or axis for axis in tensor.axes),
            )

        if not self.narrowing.runtime_state:
            return Interface(
                tuple(map(file_tensor, self.spec.inputs)),
                tuple(map(file_tensor, self.spec.outputs)),
            )
        return Interface(
            tuple(map(file_tensor, self.spec.caller_inputs)),
            tuple(map(file_tensor, self.spec.read_outputs)),
            tuple(map(file_tensor, self.spec.states)),
        )

    def to_metadata(self) -> dict[str, str]:
        """Return the entries to write into the model file's metadata."""
        return {METADATA_KEY: self.model_dump_json()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, source: str) -> FileContract:
        """Read what ``to_metadata`` wrote; ``source`` names the file in the ContractError raised if
        it is not there.
        """
        if METADATA_KEY not in metadata:
            raise ContractError(
                f"{source} has no {METADATA_KEY!r} entry in its metadata: edgernn did not export it"
            )
        try:
            content = strict_json.parse_object(metadata[METADATA_KEY])
            version = content.get("schema_version")
            if version != SCHEMA_VERSION:
                raise ContractError(
                    f"{source} was written with schema version {version!r}; this edgernn reads "
                    f"{SCHEMA_VERSION}. "
                    "Export it again, or install the edgernn that wrote it"
                )
            found = cls.model_validate_json(metadata[METADATA_KEY], strict=True)
            _refuse(
                rules.family_problem(found.contract)
                or rules.narrowing_problem(found.narrowing, found.contract)
            )
            _refuse(rules.decoding_problem(found.decoding, found.contract))
            return found
        except ValueError as error:
            raise ContractError(
                f"{source} has a damaged {METADATA_KEY!r} entry in its metadata: "
                f"{first_line(error)}"
            ) from error


def _refuse(problem: str) -> None:
    if problem:
        raise ValueError(problem)


def next_name(state: str) -> str:
    """Return the name under which the state input ``state`` comes out."""
    return state + NEXT


def file_problems(
    description: FileDescription, file_contract: FileContract, interface: Interface | None = None
) -> list[str]:
    """Return how a file differs from what it should promise, one line each; none when it keeps its
    contract.

    ``interface`` is what it takes and gives where its graph is none of the contract's own.
    """
    problems = interface_problems(interface or file_contract.interface(), description.interface)
    if METADATA_KEY not in description.metadata:
        return [*problems, "it has no contract in its metadata"]
    try:
        own = FileContract.from_metadata(description.metadata, source="it")
    except ContractError as error:
        return [*problems, str(error)]
    return (
        problems
        if own == file_contract
        else [*problems, "the contract in its metadata is another one"]
    )


def validated(kind: type[M], /, **values: Any) -> M:
    """Build ``kind`` from values that a person gave.

    Raises:
        UsageError: a value does not fit; names it, and says what was expected.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        where = (
            f"{'.'.join(map(str, first['loc']))} is {first['input']!r}: " if first["loc"] else ""
        )
        choices = re.findall(r"'([^']*)'", reason) if first["type"] == "literal_error" else []
        raise UsageError(where + reason + did_you_mean(first["input"], choices)) from error


def first_line(error: Exception) -> str:
    """Return what a third-party error says, in one line: of a validation error, its first place and
    reason.
    """
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = "".join(f"{part}." for part in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        return f"{place[:-1]}: {told}" if place else told
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
