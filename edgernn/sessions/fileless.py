"""A session that no file stands behind: it is made of others, or computed in place."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from edgernn.contract import FileContract
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.sessions.base import Arrays, Session


class FilelessSession(Session):
    """The base of such sessions: there is nothing to describe or open. Subclasses implement
    ``_run``.
    """

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """Raise ContractError."""
        raise ContractError(f"{path}: {cls.runtime} is no file")

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> NoReturn:
        """Raise ContractError."""
        raise ContractError(f"{path}: {cls.runtime} is no file")
