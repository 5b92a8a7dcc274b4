"""Pickles that are a file of their own: vocabularies, options, weights as numpy arrays, and what
``pickle.dump`` made of a torch model.
"""

from __future__ import annotations

from edgernn.containers.content import Content
from edgernn.containers.pickle_machine import load
from edgernn.containers.source import Source
from edgernn.containers.torch_legacy import storage_in


def read_pickle(source: Source) -> Content:
    """Return what a pickle holds, of any protocol.

    Raises:
        DataError: it is damaged, or holds data in a form that is not read.
    """
    try:
        return Content(source.path, "pickle", load(source.raw, files=storage_in))
    except ValueError as error:
        raise source.damaged(str(error)) from error
