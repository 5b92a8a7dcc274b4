"""The held-out sample of a bundle, on which its files are measured; what it holds is its family's
to say, see ``edgernn.families``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgernn.errors import ContractError
from edgernn.storage import tensor_files


def read_sample(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a sample by name.

    Raises:
        ContractError: the file is missing or damaged.
    """
    return tensor_files.read(
        path, what="held-out sample", remedy="export the bundle again", error=ContractError
    )
