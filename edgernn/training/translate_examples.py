"""From pairs of texts to the examples of a run: built-in pairs, or the user's own file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from edgernn import storage
from edgernn.contract import Record
from edgernn.data.examples import TRAIN, VALIDATION, ExampleSet
from edgernn.data.pairs.built_in import built_in_pairs
from edgernn.data.pairs.pair_file import read_pairs, split_pairs
from edgernn.data.pairs.pair_ids import padded, pair_tokenizer, source_ids, target_ids
from edgernn.data.pairs.pairs import BOTH, PAIRS, Pair, Pairs
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError
from edgernn.families.translator import TranslatorFamily
from edgernn.models.translator import SOURCE

TARGET = "target"
SOURCE_LENGTHS, TARGET_LENGTHS = "source_lengths", "target_lengths"
LENGTH = "length"  # of what is said of the examples: the most characters that are written
_ROOM = 4  # a translation may be longer than those that were seen by one part in so many
_SAMPLE = 256  # the most pairs of a held-out sample
_SEED = 0  # of what is built in: what is held out is the same for every run


class TranslateData(Record):
    """Where pairs come from.

    Attributes:
        source: one of ``PAIRS``, which are built in, or a file of pairs.
        pairs: how many built-in pairs are made to train on.
        validation: how many of held-out combinations are made to measure with.
        validation_fraction: share of the sources of a file.
    """

    source: str = BOTH
    pairs: int = Field(default=60_000, ge=1, le=10_000_000)
    validation: int = Field(default=1000, ge=1, le=100_000)
    validation_fraction: float = Field(default=0.1, gt=0, le=0.5)


def make_examples(
    data: TranslateData, folder: Path, *, tell: Callable[[str], None]
) -> tuple[Tokenizer, dict[str, np.ndarray]]:
    """Make the examples of a run in the new ``folder``, as ``TranslateObjective`` has them.

    Returns:
        the tokenizer of both sides, and a held-out sample as ``TranslatorFamily`` wants it.

    Raises:
        DataError: the file is missing or damaged, or has too few pairs.
    """
    pairs = _pairs(data)
    tokenizer = pair_tokenizer((*pairs.train, *pairs.validation))
    parts = {
        split: _arrays(own, tokenizer)
        for split, own in ((TRAIN, pairs.train), (VALIDATION, pairs.validation))
    }
    longest = max(int(arrays[TARGET_LENGTHS].max()) for arrays in parts.values())
    ragged = {TARGET: TARGET_LENGTHS, SOURCE: SOURCE_LENGTHS}
    about = {LENGTH: longest + longest // _ROOM}
    ExampleSet.write(folder, parts, source=pairs.source, ragged=ragged, about=about)
    tell(
        f"{pairs.source}: {len(pairs.train):,} pairs to train on, {len(pairs.validation):,} to "
        f"measure with, {tokenizer.vocabulary_size} ids"
    )
    return tokenizer, _sample(parts[VALIDATION])


def _pairs(data: TranslateData) -> Pairs:
    if data.source in PAIRS:
        return built_in_pairs(data.source, count=data.pairs, validation=data.validation, seed=_SEED)
    path = Path(data.source)
    if not path.exists() and not path.suffix:
        raise DataError(
            f"there is no file {data.source}; give a file of a source, a tab and its target a "
            f"line, or one of {', '.join(PAIRS)}, which are built in"
        )
    found = split_pairs(read_pairs(path), path, share=data.validation_fraction, seed=_SEED)
    return Pairs(found.train, found.validation, storage.as_utf8(path.resolve().name))


def _arrays(pairs: Sequence[Pair], tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    sources = [source_ids(tokenizer, source) for source, _ in pairs]
    targets = [target_ids(tokenizer, target) for _, target in pairs]
    return {
        SOURCE: padded(sources),
        SOURCE_LENGTHS: np.array([*map(len, sources)], np.int64),
        TARGET: padded(targets),
        TARGET_LENGTHS: np.array([*map(len, targets)], np.int64),
    }


def _sample(part: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the first validation pairs, as long as the longest of them."""
    source, target = part[SOURCE][:_SAMPLE], part[TARGET][:_SAMPLE]
    longest, most = (int(part[name][:_SAMPLE].max()) for name in (SOURCE_LENGTHS, TARGET_LENGTHS))
    return {SOURCE: source[:, :longest], TranslatorFamily.references: target[:, None, :most]}
