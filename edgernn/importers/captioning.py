"""What the importers of captioners share: a description that is put together with its parameters,
and the words of those whose checkpoint has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.contract import BATCH, Decoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import CheckpointError, UsageError
from edgernn.families.step import LOGITS
from edgernn.importers.base import Opened
from edgernn.importers.sketch import Graph, Sketch
from edgernn.importers.vocabularies.finding import Given, find_vocabulary
from edgernn.importers.vocabularies.tokenizing import tokenizer_of
from edgernn.importers.vocabularies.vocabulary import Specials, Vocabulary
from edgernn.wording import some

if TYPE_CHECKING:
    from edgernn.models.layered.description import NetworkConfig

ATTENTION = "attention"
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of torch's recurrent layers and cells
REGIONS, _MOST_REGIONS = "regions", 1 << 16
FEATURES, KEYS = "features", "feature_keys"  # what attention looks at, and by what
SETTINGS = {REGIONS: "how many regions a picture has, where the number is to be fixed"}
_COUNTERS = "num_batches_tracked"  # of batch normalisation, which evaluation does not read


class CaptionerSketch(Sketch):
    """A captioner while it is put together from the tensors of its checkpoint.

    Args:
        source: the tensors by the names that upstream has.
        path: of the checkpoint, for messages.
        regions: of a picture; None where any number may come.
    """

    def __init__(
        self, source: Mapping[str, np.ndarray], path: Path, regions: int | None = None
    ) -> None:
        super().__init__()
        self.source, self.path, self.regions = source, path, regions
        self._used: set[str] = set()

    def take(self, name: str, *, ndim: int) -> np.ndarray:
        """Return the tensor ``name`` of the checkpoint; raise CheckpointError where it lacks it, or
        it has another number of axes.
        """
        if name not in self.source:
            raise CheckpointError(
                f"{self.path} lacks {name}; expected every tensor of the captioner, as its "
                "training saved it"
            )
        self._used.add(name)
        found = self.source[name]
        if found.ndim != ndim or not found.size:
            raise CheckpointError(
                f"{self.path} has {name} {list(found.shape)}, expected {ndim} axes; give the "
                "checkpoint as its training saved it"
            )
        return found

    def takes_features(self, name: str, **axes: int | None) -> str:
        """Name an input of encode with these axes after the batch; None where one is open."""
        self.given.append({"name": name, "dtype": "float32", "axes": [BATCH, *axes]})
        self.sizes |= {axis: size for axis, size in axes.items() if size is not None}
        return name

    def linear_of(
        self,
        prefix: str,
        name: str,
        taken: str,
        *,
        graph: Graph = "layers",
        width: int | str | None = None,
        **options: Any,
    ) -> str:
        """Add the linear layer that upstream calls ``prefix``; with its bias where it has one."""
        weight, bias = self.take(f"{prefix}.weight", ndim=2), f"{prefix}.bias"
        found = self.take(bias, ndim=1) if bias in self.source else None
        return self.linear(name, taken, weight, found, graph=graph, width=width, **options)

    def word(self, prefix: str, *, relu: bool = False) -> str:
        """Add the embedding of the words, and after it a rectifier where ``relu``."""
        weight = self.take(f"{prefix}.weight", ndim=2)
        ids, width = self.takes_ids(len(weight)), weight.shape[1]
        self.add("embedding", "embedding", ids, tensors={"weight": weight}, width=width)
        if not relu:
            return "embedding"
        return self.add("activation", "word", "embedding", function="relu")

    def layers_of(self, prefix: str, *, biases: bool = True) -> list[list[str]]:
        """Return the names of the parameters of each layer of the module ``prefix``, as torch calls
        those of its recurrent layers.
        """
        parts, found = PARTS if biases else PARTS[:2], list[list[str]]()
        while not found or f"{prefix}.{PARTS[0]}_l{len(found)}" in self.source:
            found.append([f"{prefix}.{part}_l{len(found)}" for part in parts])
        return found

    def recurrent_of(
        self, blocks: Sequence[Sequence[str]], name: str, cell: str, *inputs: str
    ) -> str:
        """Add a recurrent layer; of each block the names of w_ih and w_hh, and of b_ih and b_hh
        where it has these.
        """
        from edgernn.models.cells.blocks import Block

        read = []
        for w_ih, w_hh, *biases in blocks:
            b_ih, b_hh = (self.take(bias, ndim=1) for bias in biases) if biases else (None, None)
            read.append(Block(self.take(w_ih, ndim=2), self.take(w_hh, ndim=2), b_ih, b_hh))
        return self.recurrent(name, cell, read, *inputs)

    def normalised(self, prefix: str, name: str, taken: str) -> str:
        """Add to encode the batch normalisation that upstream calls ``prefix``."""
        parts = ("weight", "bias", "running_mean", "running_var")
        tensors = {part: self.take(f"{prefix}.{part}", ndim=1) for part in parts}
        return self.add("normalise", name, taken, graph="encode", tensors=tensors)

    def attention(self, query: str, prefixes: tuple[str, str], *, activation: str) -> str:
        """Add attention over the two contexts by the linear layers ``prefixes``, of the query and
        of the energies.
        """
        tensors = {}
        for own, prefix in zip(("query", "energy"), prefixes, strict=True):
            tensors[f"{own}.weight"] = self.take(f"{prefix}.weight", ndim=2)
            tensors[f"{own}.bias"] = self.take(f"{prefix}.bias", ndim=1)
        self.outputs[ATTENTION] = "look.alpha"
        return self.add(
            "attention", "look", FEATURES, KEYS, query, tensors=tensors, activation=activation
        )

    def unused(self) -> tuple[str, ...]:
        """Return what is to be told of tensors that nothing took."""
        left = sorted(
            name for name in self.source.keys() - self._used if not name.endswith(_COUNTERS)
        )
        return (f"{self.path} also has {some(left)}, which nothing takes",) if left else ()

    def captioner(self, decoding: Decoding, logits: str) -> NetworkConfig:
        """Return the network, whose scores are the value ``logits``; see ``Sketch.config``."""
        return self.config("captioner", {LOGITS: logits}, writes=decoding)


def regions_of(opened: Opened, found: int | None = None) -> tuple[int | None, tuple[str, ...]]:
    """Return how many regions a picture has, as the user said or as was ``found`` in the
    checkpoint; None where any number may come, and then what is to be told.

    Raises:
        UsageError: what the user said is no number.
    """
    said = opened.wishes.settings.get(REGIONS)
    if said is None:
        told = (
            f"a picture may have any number of regions; Core ML, which takes fixed sizes alone, "
            f"is written where that is given, as --set {REGIONS}=196"
        )
        return found, () if found else (told,)
    if not said.isdecimal() or not 0 < int(said) <= _MOST_REGIONS:
        raise UsageError(
            f"--set {REGIONS}={said}: expected how many regions a picture has, 1 to {_MOST_REGIONS}"
        )
    return int(said), ()


def words_of(
    given: Given,
    *,
    size: int,
    specials: Mapping[str, int],
    expected: Mapping[str, int] | None = None,
    added: Mapping[int, str] | None = None,
) -> tuple[Tokenizer, Specials, tuple[str, ...]]:
    """Return the tokenizer of a captioner, its special ids, and what is to be told.

    Args:
        given: its vocabulary; None where the checkpoint came without: then a word is its id.
        size: V.
        specials: role of ``Specials`` → its id in the family's own numbering.
        expected, added: see ``find_vocabulary``.

    Raises:
        DataError: the vocabulary has another size, or is none.
    """
    if given is not None:
        found = find_vocabulary(given, size=size, expected=expected, added=added)
        known = {role: getattr(found.specials, role) for role in specials}
        own = {role: specials[role] if token is None else token for role, token in known.items()}
        return tokenizer_of(found, "captions"), Specials(**own), found.told
    own = {role: token for role, token in specials.items() if 0 <= token < size}
    nameless = Vocabulary(tuple(f"<{token}>" for token in range(size)), "nothing", Specials(**own))
    told = (
        "the checkpoint came without its words: captions are written as ids, <17> for 17, and the "
        "special ones are those of the family; give the words with --vocabulary"
    )
    return tokenizer_of(nameless, "captions"), nameless.specials, (told,)
