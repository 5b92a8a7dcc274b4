"""Pickles that are a file of their own: vocabularies, options, weights as numpy arrays."""

from __future__ import annotations

import re

from edgernn.containers.content import Content
from edgernn.containers.pickle_machine import load
from edgernn.containers.source import Source

_STORAGE_AS_FILE = b"_load_from_bytes"  # of torch.storage


def read_pickle(source: Source) -> Content:
    """Return what a pickle holds, of any protocol.

    Raises:
        DataError: it is damaged, or holds data in a form that is not read.
    """
    try:
        return Content(source.path, "pickle", load(source.raw))
    except ValueError as error:
        if re.search(_STORAGE_AS_FILE, source.raw):
            raise source.refused(
                "was written by pickle.dump, which keeps each tensor of torch as a file inside; "
                "write it with torch.save(OBJECT, FILE)"
            ) from error
        raise source.damaged(str(error)) from error
