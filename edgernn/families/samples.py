"""The held-out sample of a bundle, read and held to its family's layout."""

from __future__ import annotations

import numpy as np

from edgernn.bundle import Bundle
from edgernn.bundle.sample import read_sample
from edgernn.errors import ContractError
from edgernn.families.table import family_of


def sample_of(bundle: Bundle) -> dict[str, np.ndarray] | None:
    """Return the held-out sample of ``bundle`` by tensor name; None where it carries none.

    Raises:
        ContractError: it is damaged, or no sample of such a model.
    """
    inner = bundle.manifest.evaluation
    if inner is None:
        return None
    path, family = bundle.path(inner), family_of(bundle.manifest.family)
    tensors = read_sample(path)
    if problem := family.sample_problem(tensors, bundle.manifest.contract):
        raise ContractError(f"{path} has {problem}; export the bundle again")
    return tensors
