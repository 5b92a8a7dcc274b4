"""What reads a text: the step of a bundle on its runtime, or of a run in torch, with its
tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgernn.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from edgernn.data.text.tokenizer import Tokenizer
    from edgernn.sessions.base import Session


@dataclass(frozen=True)
class Reader:
    """A network that reads.

    Attributes:
        source: what it was opened from.
        session: of its step.
        tokenizer: its own.
        sample: ids of the held-out text, ``[N]``; None where there is none.
    """

    source: Path
    session: Session
    tokenizer: Tokenizer
    sample: np.ndarray | None

    def held_out(self) -> str:
        """Return the held-out text; raise DataError where there is none."""
        if self.sample is None:
            raise DataError(f"{self.source} has no held-out text; give one with --text FILE")
        return self.tokenizer.decode(self.sample)


@contextmanager
def opened(path: Path, artifact: str | None = None) -> Iterator[Reader]:
    """Open a bundle, with the ``artifact`` that is named or the first that runs, or a run.

    Raises:
        BundleError, CheckpointError, UsageError, UnavailableError: see errors.py.
    """
    from edgernn.storage.identify import identify

    if identify(path).key != "run":
        yield from _bundle(path, artifact)
        return
    if artifact is not None:
        raise UsageError(f"{path} is a run, which has no artifacts; leave --artifact out")
    from edgernn.families.table import family_of
    from edgernn.models import checkpoint
    from edgernn.models.eager import EagerSession

    found = checkpoint.load(path)
    if found.tokenizer is None:
        raise UsageError(f"{path} reads no text, expected a language model")
    sample = family_of(found.model.family).read(found.evaluation or None)
    yield Reader(path, EagerSession(found.model), found.tokenizer, sample)


def _bundle(path: Path, artifact: str | None) -> Iterator[Reader]:
    from edgernn.bundle import Bundle
    from edgernn.bundle.sample import read_sample
    from edgernn.families.table import family_of
    from edgernn.sessions.opening import first_that_runs, open_artifact
    from edgernn.writing.text import open_tokenizer

    with Bundle.open(path) as bundle:
        manifest = bundle.manifest
        if manifest.tokenizer is None:
            raise UsageError(f"{path} reads no text, expected a bundle of a language model")
        session = (
            first_that_runs(bundle)[1]
            if artifact is None
            else open_artifact(bundle, bundle.artifact(artifact))
        )
        sample = None if manifest.evaluation is None else bundle.path(manifest.evaluation)
        ids = family_of(manifest.family).read(None if sample is None else read_sample(sample))
        yield Reader(path, session, open_tokenizer(bundle), ids)
