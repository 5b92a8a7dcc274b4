"""What one model file promises: which graph of the contract it computes, how it is narrower, and
how a host writes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from edgernn.contract import rules
from edgernn.contract.interface import FileDescription, FileTensor, Interface, interface_problems
from edgernn.contract.records import Record, first_line, refuse
from edgernn.contract.spec import (
    AxisName,
    Contract,
    Count,
    DType,
    GraphSpec,
    Size,
    TensorSpec,
)
from edgernn.errors import ContractError
from edgernn.storage import strict_json
from edgernn.wording import STEP

SCHEMA_VERSION: Literal[2] = 2  # what is written
READABLE = (1, 2)
SchemaVersion = Literal[1, 2]
METADATA_KEY = (
    "edgernn"  # the key of a model file's own metadata that holds its FileContract as JSON
)
PICTURE: Literal["picture"] = "picture"  # the dtype of a file that takes its platform's own picture

FileDType = DType | Literal["picture"]
GraphWord = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]  # encode, step, or a decoder


class Narrowing(Record):
    """How one file is narrower than the contract. It may fix axes and change dtypes; it never
    renames.

    ``axes``: axis → the only size that the file takes. ``dtypes``: tensor → the file's dtype, where
    ``picture`` is the platform's own 8-bit picture, RGB or, of one channel, grey (Core ML: a pixel
    buffer).
    ``runtime_state``: the state is held by the runtime under the state inputs' names (Core ML
    MLState) and does not appear as in- or output.
    """

    axes: dict[AxisName, Size] = Field(default_factory=dict)
    dtypes: dict[str, FileDType] = Field(default_factory=dict)
    runtime_state: bool = False


class Decoding(Record):
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


class FileContract(Record):
    """All that a host needs to drive one model file; written into the file's own metadata under
    ``METADATA_KEY``.
    """

    schema_version: SchemaVersion = SCHEMA_VERSION
    contract: Contract
    graph: GraphWord = STEP
    narrowing: Narrowing = Narrowing()
    decoding: Decoding | None = None

    @property
    def spec(self) -> GraphSpec:
        """The graph that this file computes."""
        return self.contract.graph(self.graph)

    @property
    def decoding_defaults(self) -> Decoding:
        """How a host writes text; raises ContractError where the model writes none."""
        if self.decoding is None:
            raise ContractError("the model writes no text: its contract has no decoding defaults")
        return self.decoding

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
            if version not in READABLE or isinstance(version, bool):
                raise ContractError(
                    f"{source} was written with schema version {version!r}; this edgernn reads "
                    f"{READABLE[0]} to {READABLE[-1]}. Export it again, or install the edgernn "
                    "that wrote it"
                )
            found = cls.model_validate_json(metadata[METADATA_KEY], strict=True)
            refuse(rules.narrowing_problem(found.narrowing, found.contract))
            refuse(rules.decoding_problem(found.decoding, found.contract))
            return found
        except ValueError as error:
            raise ContractError(
                f"{source} has a damaged {METADATA_KEY!r} entry in its metadata: "
                f"{first_line(error)}"
            ) from error


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
