"""The held-out sample of an imported network that the user recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgernn.contract import TOKENS
from edgernn.data.text.source import open_source
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.families.table import DEFAULT, family_of
from edgernn.hoisting.recorded import read_sample
from edgernn.models.family import RecurrentModel
from edgernn.storage.identify import identify
from edgernn.storage.recordings import SUFFIXES, read_arrays
from edgernn.wording import some

_MOST_TOKENS = 1 << 15


def sample_for(
    model: RecurrentModel, tokenizer: Tokenizer | None, given: Path
) -> Mapping[str, np.ndarray]:
    """Return the sample that the user recorded for ``model``.

    Args:
        model: the network.
        tokenizer: of a model of text.
        given: frames by the inputs' names (npz, npy, safetensors, csv); for a model of text a
            text file, or its token ids.

    Raises:
        UsageError: it is no sample of such a network.
        DataError: the file cannot be read.
    """
    family, contract = family_of(model.family), model.config.contract()
    if family.word == DEFAULT:
        return read_sample(given, contract)
    if given.suffix.lower() in SUFFIXES:
        arrays = read_arrays(given, [TOKENS] if family.writes == "text" else [])
        if family.writes == "text":
            arrays = {TOKENS: _ids(given, arrays)}
    elif family.writes == "text" and tokenizer is not None:
        with open_source(str(given)) as source:
            text = next(source.chunks(), "")
        arrays = {TOKENS: tokenizer.encode(text, on_unknown="skip")[:_MOST_TOKENS]}
    else:
        raise UsageError(
            f"{given} is {identify(given).name}; the sample of a {family.noun} is {family.layout}, "
            f"in a file ({', '.join(SUFFIXES)})"
        )
    if problem := family.sample_problem(arrays, contract):
        raise UsageError(f"the sample {given} has {problem}")
    return arrays


def _ids(path: Path, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the only array, or that of the name ``tokens``, as int64 ``[N]``."""
    chosen = arrays.get(TOKENS, next(iter(arrays.values())) if len(arrays) == 1 else None)
    if chosen is None or chosen.dtype.kind not in "iu" or not chosen.size:
        found = some([f"{name} {array.dtype}" for name, array in arrays.items()])
        raise UsageError(f"the sample {path} has {found}; expected {TOKENS}, integer ids")
    return chosen.reshape(-1)[:_MOST_TOKENS].astype(np.int64)  # [N]
