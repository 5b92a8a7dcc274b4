"""A repository of models on a hub, as huggingface_hub speaks to it. Owns that package.

The token is the library's: from HF_TOKEN, or stored by ``hf auth login``. It is never an argument.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from edgernn.errors import HubError
from edgernn.hub.refusals import endpoint_of, refusing
from edgernn.hub.target import Repository


@dataclass(frozen=True)
class Listing:
    """What a repository holds at a commit: path → bytes, -1 where the hub does not say."""

    commit: str
    files: Mapping[str, int]


class Remote:
    """One repository of a hub."""

    def __init__(self, repository: Repository) -> None:
        self.name = repository.name
        given = os.environ.get("HF_ENDPOINT") or None
        self._endpoint = endpoint_of(given)
        self._api = HfApi(endpoint=given, library_name="edgernn")

    @property
    def address(self) -> str:
        """Where a person looks at it."""
        return f"{self._endpoint}/{self.name}"

    def listing(self, revision: str | None = None) -> Listing:
        """Return what stands at ``revision``, by default at the end of the main branch.

        Raises:
            HubError: the hub refuses or cannot be reached, or has no such repository or revision.
        """
        with self._asking(f"{self.name}{f' at {revision}' if revision else ''}"):
            return self._listing(revision)

    def listing_if_any(self) -> Listing | None:
        """Return what stands at the end of the main branch; None where there is no such
        repository, or none that may be seen.
        """
        with self._asking(self.name):
            try:
                return self._listing(None)
            except RepositoryNotFoundError as error:
                if error.response.status_code != 404:  # asked without a token that it takes
                    raise
                return None

    def _listing(self, revision: str | None) -> Listing:
        found = self._api.model_info(self.name, revision=revision, files_metadata=True)
        files = {
            file.rfilename: -1 if file.size is None else file.size for file in found.siblings or ()
        }
        if not found.sha:
            raise ValueError("it names no commit")
        return Listing(found.sha, files)

    def fetch(self, name: str, commit: str, folder: Path) -> None:
        """Write a file of a commit into ``folder``, which may be left half-written.

        Raises:
            HubError: see ``listing``; or what came is not what was announced.
        """
        with self._asking(f"{self.name}: {name}"):
            self._api.hf_hub_download(self.name, name, revision=commit, local_dir=folder)

    def commit(
        self, added: Mapping[str, Path | bytes], removed: Iterable[str], *,
        parent: str | None, private: bool, message: str,
    ) -> str:  # fmt: skip
        """Make one commit of files that are added, or take the place of others, and of files that
        go; return its id. A repository that is not there is made, ``private`` or not.

        Args:
            parent: the commit that was seen last; None where there is no repository yet.

        Raises:
            HubError: see ``listing``; nothing was changed, but that an empty repository may have
                been made.
        """
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
            for name, content in added.items()
        ]
        operations += [CommitOperationDelete(name) for name in removed]
        with self._asking(f"{self.name} was not changed"):
            if parent is None:
                self._api.create_repo(self.name, private=private, exist_ok=True)
            made = self._api.create_commit(
                self.name, operations, commit_message=message, parent_commit=parent
            )
        left = set(added) - set(self.listing(made.oid).files)
        if left:
            raise HubError(
                f"{self.name}: the hub left out {min(left)} of commit {made.oid}; see that no "
                ".gitignore there names it, and push again"
            )
        return str(made.oid)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Ask the hub in the body: what it refuses is one line, and the library tells nothing."""
        log, bars = logging.getLogger("huggingface_hub"), not are_progress_bars_disabled()
        before = log.level
        log.setLevel(logging.ERROR)
        disable_progress_bars()
        try:
            with warnings.catch_warnings(), refusing(self._endpoint, what):
                warnings.simplefilter("ignore", DeprecationWarning)  # of what the library calls
                yield
        finally:
            log.setLevel(before)
            if bars:
                enable_progress_bars()
