"""A set of examples: arrays by name, each with one row an example, in a folder that training reads.

    examples.json            where they come from, which arrays are ragged, and what else is said
    SPLIT.NAME.npy           the array NAME of the split SPLIT, [N, …]

A ragged array has a row of each example padded to the longest of the split; ``ragged`` says which
array holds the lengths of its second axis.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import storage
from edgernn.errors import DataError, UsageError
from edgernn.storage import strict_json

DESCRIPTION = "examples.json"
TRAIN, VALIDATION = "train", "validation"
_MOST_BYTES = 64 << 20  # of the description
_OWN = re.compile(rf"({TRAIN}|{VALIDATION})\..+\.npy|{re.escape(DESCRIPTION)}")
_POOL = 32  # batches that are sorted by length together

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class ExampleSet:
    """Examples, read-only.

    Attributes:
        parts: split → its arrays by name, each ``[N, …]``, memory-mapped.
        source: where they come from; say it beside every score.
        ragged: array → the array of the lengths of its second axis.
        about: what else is said of them, as JSON holds it: the labels' names, sizes.
    """

    parts: Mapping[str, Arrays]
    source: str
    ragged: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def count(self, split: str) -> int:
        """Return how many examples a split has."""
        return len(next(iter(self.parts[split].values())))

    def batch(self, split: str, rows: np.ndarray | slice) -> dict[str, np.ndarray]:
        """Return some examples of a split; ragged arrays are as long as the longest of them."""
        own = {name: np.array(array[rows]) for name, array in self.parts[split].items()}
        for name, lengths in self.ragged.items():
            own[name] = own[name][:, : int(own[lengths].max(initial=0))]
        return own

    def order(self, *, batch: int, seed: tuple[int, ...]) -> Iterator[np.ndarray]:
        """Yield the rows ``[batch]`` of each batch of one pass over the training split, shuffled by
        ``seed``; examples of about one length go together, of the first ragged array before the
        next. What does not fill a batch is left for another pass.
        """
        random, count = np.random.default_rng(seed), self.count(TRAIN)
        order = random.permutation(count)
        lengths = [self.parts[TRAIN][name] for name in dict.fromkeys(self.ragged.values())]
        if lengths:
            pools = (order[at : at + batch * _POOL] for at in range(0, count, batch * _POOL))
            order = np.concatenate(
                [pool[np.lexsort([own[pool] for own in lengths[::-1]])] for pool in pools]
            )
        starts = random.permutation(count // batch) * batch
        for start in starts:
            yield order[start : start + batch]

    @classmethod
    def write(
        cls,
        folder: Path,
        parts: Mapping[str, Arrays],
        *,
        source: str,
        ragged: Mapping[str, str] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> ExampleSet:
        """Write a set into ``folder``, and open it; an older set there is replaced.

        Raises:
            DataError: a split has no example, or its arrays have other numbers of rows.
            StorageError: the folder could not be written; nothing of the attempt is left.
            UsageError: the folder holds other files.
        """
        _refuse_foreign_files(folder)
        for split, arrays in parts.items():
            counts = {name: len(array) for name, array in arrays.items()}
            if len(set(counts.values())) != 1 or not min(counts.values()):
                told = ", ".join(f"{count} of {name}" for name, count in counts.items())
                raise DataError(
                    f"{source} has {told or 'nothing'} in the {split} part, expected one or more "
                    "examples; give more of them"
                )
        names = {split: sorted(arrays) for split, arrays in parts.items()}
        description = {
            "source": source,
            "parts": names,
            "ragged": ragged or {},
            "about": about or {},
        }
        with storage.replacing(folder) as temporary:
            temporary.mkdir()
            for split, arrays in parts.items():
                for name, array in arrays.items():
                    with (temporary / f"{split}.{name}.npy").open("wb") as file:
                        np.save(file, array, allow_pickle=False)
            storage.write_json(temporary / DESCRIPTION, description)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> ExampleSet:
        """Open a set.

        Raises:
            DataError: it is missing or damaged.
        """
        path = folder / DESCRIPTION
        try:
            told: Any = strict_json.parse_object(storage.read_bytes(path, most=_MOST_BYTES))
            parts = {
                str(split): {
                    str(name): np.load(
                        folder / f"{split}.{name}.npy", mmap_mode="r", allow_pickle=False
                    )
                    for name in names
                }
                for split, names in told["parts"].items()
            }
            return cls(parts, told["source"], told["ragged"], told["about"])
        except (OSError, ValueError, KeyError, AttributeError, json.JSONDecodeError) as error:
            raise DataError(
                f"the examples in {folder} are missing or damaged ({error}); train again"
            ) from error


def _refuse_foreign_files(folder: Path) -> None:
    """Raise rather than replace a folder that holds anything but a set, or a part of one."""
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else iter(())
    if others := [name for name in names if not _OWN.fullmatch(name)]:
        raise UsageError(
            f"the folder {folder} holds other files ({min(others)}); give a new or an empty folder"
        )
