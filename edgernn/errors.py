"""Every error that edgernn raises on purpose: one tree, so that one ``except`` catches them all.

    EdgernnError
    ├── UsageError          an option or argument that cannot be used as given
    ├── DataError           a corpus or a prompt that cannot be read or encoded
    ├── CheckpointError     a checkpoint folder that is missing, damaged or foreign
    ├── BundleError         a bundle that is missing, damaged, foreign or unsafe to open
    ├── ContractError       tensors or a model file that do not keep the step contract
    ├── TrainingError       a run that cannot go on (loss not finite, corpus too short)
    ├── StorageError        a file that could not be written (disk full, no permission)
    └── UnavailableError    a runtime, package or platform that this machine lacks

A message says what was wrong, the value seen, what was expected and what to do, in one line. The command line prints it
and exits with 2.
"""

from __future__ import annotations


class EdgernnError(Exception):
    """Base of every error that edgernn raises on purpose."""


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


class StorageError(EdgernnError):
    """A file that could not be written; what stood there before is untouched."""


class UnavailableError(EdgernnError):
    """A runtime, package or platform that this machine lacks."""
