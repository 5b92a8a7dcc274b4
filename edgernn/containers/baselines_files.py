"""Archives of Stable-Baselines3 (``model.save``): a zip with the policy's state dict,
``policy.pth``, and what the algorithm was made with, ``data``, in JSON.

The tree has two keys: ``policy``, as the file of ``torch.save`` holds it, and ``data``. What the
optimiser keeps is left out; objects that ``data`` holds as pickled text stay text.
"""

from __future__ import annotations

import numpy as np

from edgernn.containers.content import Content
from edgernn.containers.descriptions import description_in
from edgernn.containers.source import HEAD_BYTES, Source
from edgernn.containers.torch_zip import read_torch_zip
from edgernn.containers.zip_entries import open_archive

POLICY, DATA = "policy.pth", "data"


class _Inner(Source):
    """A file inside of another, whose bytes were read already."""

    def array(self, start: int, stop: int) -> np.ndarray:
        """See ``Source.array``."""
        held = np.frombuffer(self.raw[start:stop], np.uint8).copy()
        if len(held) != stop - start:
            raise ValueError(f"it ends before byte {stop:,}")
        held.flags.writeable = False
        return held


def read_baselines(source: Source) -> Content:
    """Return the policy and the settings of an archive.

    Raises:
        DataError: it is damaged, or its policy is none that ``torch.save`` wrote.
    """
    if source.archive is None:
        raise source.damaged("it is no zip")
    try:
        data = description_in(source.archive, DATA)
        raw = source.archive.read(POLICY)
        archive = open_archive(raw)
        inner = _Inner(source.path, raw, bytes(raw[:HEAD_BYTES]), archive)
        policy = read_torch_zip(inner).tree
    except ValueError as error:
        raise source.damaged(str(error)) from error
    tree = {"policy": policy, "data": data}
    return Content(source.path, "Stable-Baselines3 archive", tree)
