"""Every error that edgernn raises on purpose: one tree, so that one ``except`` catches them all.

    EdgernnError
    ├── UsageError          an option or argument that cannot be used as given
    ├── DataError           a corpus or a prompt that cannot be read or encoded
    ├── CheckpointError     a checkpoint folder that is missing, damaged or foreign
    ├── BundleError         a bundle that is missing, damaged, foreign or unsafe to open
    ├── ContractError       tensors or a model file that do not keep the step contract
    ├── TrainingError       a run that cannot go on (loss not finite, corpus too short)
    ├── CheckFailedError    a check that was asked for and did not pass; nothing was written
    ├── StorageError        a file that could not be written (disk full, no permission)
    ├── HubError            a model hub that refuses, or cannot be reached
    └── UnavailableError    a runtime, package or platform that this machine lacks

A message says what was wrong, the value seen, what was expected and what to do, in one line. The
command line prints it and exits with 2, of a check that failed with 1.
"""

from __future__ import annotations

_MOST_CHARACTERS = 2000


class EdgernnError(Exception):
    """Base of every error that edgernn raises on purpose.

    Its message is one line that can be printed, whatever names and values of files it quotes: line
    ends and spaces become one space, other characters that cannot be shown their escapes, and a
    value without end is cut.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """Return ``text`` as one line of characters that can be shown, of at most 2,000 characters."""
    line = " ".join(text[: 2 * _MOST_CHARACTERS].split())
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line
    )
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} …"


class EdgernnWarning(UserWarning):
    """What a caller is to know of what was done all the same; the command line prints it as one
    line.
    """


class UsageError(EdgernnError):
    """An option or argument that cannot be used as given."""


class DataError(EdgernnError):
    """A corpus or a prompt that cannot be read or encoded."""


class CheckpointError(EdgernnError):
    """A checkpoint folder that is missing, damaged or foreign."""


class BundleError(EdgernnError):
    """A bundle that is missing, damaged, foreign or unsafe to open."""


class ContractError(EdgernnError):
    """Tensors or a model file that do not keep the step contract."""


class TrainingError(EdgernnError):
    """A training run that cannot go on."""


class CheckFailedError(EdgernnError):
    """A check that was asked for and did not pass; nothing was written."""


class StorageError(EdgernnError):
    """A file that could not be written; what stood there before is untouched."""


class HubError(EdgernnError):
    """A model hub that refuses, or cannot be reached; what stood there and here is untouched."""


class UnavailableError(EdgernnError):
    """A runtime, package or platform that this machine lacks."""
