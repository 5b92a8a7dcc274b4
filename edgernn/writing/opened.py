"""A bundle that a command answers with, opened once: what is the same whatever the command."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from edgernn.bundle import Bundle
from edgernn.errors import BundleError
from edgernn.sessions.model import choose_model
from edgernn.writing.command import refuse_other

if TYPE_CHECKING:
    from typing import Self


class Opened:
    """A bundle, opened for one command; a context manager. Subclasses say ``command`` and do in
    ``_ready`` what else opening takes.

    Args:
        source: the path of a bundle, or an opened one, which stays open.
        artifact: the step file to use, by its path or its format; default the first that runs here.
        threads, trust: see ``open_session``.

    Attributes:
        command: a ``Family.command``.
        artifact: the step file in use.

    Raises:
        BundleError, ContractError, UnavailableError: see errors.py.
        UsageError: the bundle is another command's, or has no such step file.
    """

    command: ClassVar[str]

    def __init__(
        self,
        source: Path | str | Bundle,
        *,
        artifact: str | None = None,
        threads: int | None = None,
        trust: bool = False,
    ) -> None:
        bundle = Bundle.open(source, trust=trust)
        opened = nullcontext(bundle) if isinstance(source, Bundle) else bundle
        self._opened: AbstractContextManager[Bundle] = opened
        self._bundle = opened.__enter__()
        try:
            refuse_other(self._bundle, self.command)
            self.artifact, self._model = choose_model(self._bundle, artifact, threads=threads)
            self._ready()
        except BaseException:
            opened.__exit__(None, None, None)
            raise

    def _ready(self) -> None:
        """Do what else opening takes; the bundle and the model are there."""

    def _names(self, axis: str) -> tuple[str, ...]:
        """Return what the manifest calls the labels of ``axis``; raise BundleError where it does
        not.
        """
        names = (self._bundle.manifest.labels or {}).get(axis)
        if names is None:
            raise BundleError(
                f"{self._bundle.source} does not say what its {axis} are called; export it again"
            )
        return tuple(names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)
