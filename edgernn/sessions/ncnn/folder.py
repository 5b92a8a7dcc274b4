"""A folder of ncnn: ``step.param``, ``step.bin`` and the contract beside them, read and checked
without the runtime.

A blob has a tensor's name, and its axes but for those of size 1, in the contract's order; ids are
integers of 32 bits in it, everything else float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgernn import storage
from edgernn.contract import FileContract
from edgernn.contract.file import METADATA_KEY
from edgernn.contract.interface import FileDescription, FileTensor, Interface
from edgernn.errors import ContractError
from edgernn.sessions.ncnn.fitting import Dims
from edgernn.sessions.ncnn.shapes import follow
from edgernn.sessions.ncnn.text import MOST_BYTES, Layer, read_text
from edgernn.sessions.ncnn.weights import Held, read_weights

CONTRACT = "contract.json"
TARGET = "ncnn"
UNREAD = "unread."  # begins the name of a blob that a layer makes beside what is needed
_MOST_CONTRACT_BYTES = 1 << 20


@dataclass(frozen=True)
class NcnnGraph:
    """What lies in a folder, found right.

    Attributes:
        layers: of the graph, in order.
        dims: blob → its axes.
        weights: where each layer's weights lie in ``content``.
        content: of the ``.bin`` file.
    """

    layers: tuple[Layer, ...]
    dims: dict[str, Dims]
    weights: tuple[Held, ...]
    content: bytes

    @property
    def inputs(self) -> tuple[str, ...]:
        """What goes in, in the file's order."""
        return tuple(one.makes[0] for one in self.layers if one.kind == "Input")

    @property
    def outputs(self) -> tuple[str, ...]:
        """What comes out: what layers make and none reads, but for what is marked as not needed."""
        read = {*self.inputs, *(name for layer in self.layers for name in layer.reads)}
        made = [name for layer in self.layers for name in layer.makes if name not in read]
        return tuple(name for name in made if not name.startswith(UNREAD))

    @property
    def ids(self) -> frozenset[str]:
        """The inputs that are integers: those that a table is looked up by."""
        origin = {name: name for name in self.inputs}
        found = set()
        for layer in self.layers:
            if layer.kind in ("Split", "Reshape") and layer.reads[0] in origin:
                origin.update(dict.fromkeys(layer.makes, origin[layer.reads[0]]))
            if layer.kind == "Embed" and layer.reads[0] in origin:
                found.add(origin[layer.reads[0]])
        return frozenset(found)


def squeezed(shape: tuple[int, ...]) -> Dims:
    """Return the axes of a blob of a tensor of ``shape``: those of size 1 are left out."""
    return tuple(size for size in shape if size != 1) or (1,)


def sizes_of(tensor: FileTensor) -> tuple[int, ...]:
    """Return the axes of a tensor whose sizes are fixed."""
    return tuple(size for size in tensor.shape or () if isinstance(size, int))


def graph_of(path: Path) -> NcnnGraph:
    """Return the graph in the folder at ``path``.

    Raises:
        ContractError: the folder is damaged, or holds what edgernn does not write.
    """
    word = contract_of(path).graph
    text, content = _read(path, f"{word}.param", most=MOST_BYTES), _read(path, f"{word}.bin")
    source = str(path / word)
    layers = read_text(text, source=f"{source}.param")
    try:
        dims = follow(layers)
    except ContractError as error:
        raise ContractError(f"{source}.param: {error}") from error
    weights = read_weights(layers, content, source=f"{source}.bin")
    return NcnnGraph(layers, dims, weights, content)


def describe(path: Path) -> FileDescription:
    """Return what a folder takes and gives, and the contract in it; raises as ``graph_of``."""
    own, graph = contract_of(path), graph_of(path)
    promised = own.interface()
    ids = graph.ids

    def tensor(name: str, wanted: FileTensor | None) -> FileTensor:
        dims: tuple[int | str, ...] = graph.dims[name]
        if wanted is not None and wanted.shape is not None:
            sizes = sizes_of(wanted)
            if len(sizes) == len(wanted.shape) and squeezed(sizes) == dims:
                dims = sizes
        return FileTensor(name, "int32" if name in ids else "float32", dims)

    wanted = {t.name: t for t in (*promised.inputs, *promised.outputs)}
    order = [own.name for own in promised.outputs]
    made = sorted(graph.outputs, key=lambda n: order.index(n) if n in order else len(order))
    inputs = tuple(tensor(name, wanted.get(name)) for name in graph.inputs)
    outputs = tuple(tensor(name, wanted.get(name)) for name in made)
    metadata = {METADATA_KEY: contract_text(path)}
    return FileDescription(Interface(inputs, outputs), metadata, TARGET)


def contract_of(path: Path) -> FileContract:
    """Return the contract in the folder at ``path``; raise ContractError where it is damaged."""
    return FileContract.from_metadata({METADATA_KEY: contract_text(path)}, source=str(path))


def contract_text(path: Path) -> str:
    """Return it as it is written."""
    return _read(path, CONTRACT, most=_MOST_CONTRACT_BYTES).decode("utf-8", errors="replace")


def _read(path: Path, name: str, *, most: int | None = None) -> bytes:
    try:
        return storage.read_bytes(path / name, most=most)
    except OSError as error:
        raise ContractError(
            f"{path} is no folder of ncnn, or is damaged: {name}: {storage.reason(error)}"
        ) from error
