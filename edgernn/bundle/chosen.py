"""Which files of a bundle are meant: by format, by family of formats, or by their own paths."""

from __future__ import annotations

from collections.abc import Iterable

from edgernn.bundle.folder import Bundle
from edgernn.bundle.records import Artifact
from edgernn.contract.in_graph import DECODERS
from edgernn.errors import UsageError
from edgernn.formats.row import Format
from edgernn.formats.table import select
from edgernn.wording import expected_one_of


def chosen(
    bundle: Bundle, to: Iterable[str] | str | None, *, only: Format | None = None
) -> list[Artifact]:
    """Return the artifacts of ``bundle`` that ``to`` names, in the manifest's order.

    Args:
        bundle: an opened bundle.
        to: formats, families, or paths of artifacts as the manifest has them; None means all, also
            those of formats that this edgernn does not know.
        only: of these, the row's alone that are run step by step.

    Raises:
        UsageError: an unknown format, a path that the bundle has not, or nothing is left.
    """
    artifacts = bundle.manifest.artifacts
    asked = [to] if isinstance(to, str) else to
    files: list[str] = []
    if isinstance(asked, Iterable):
        asked = list(asked)
        files = [name for name in asked if "/" in name]
        asked = [name for name in asked if "/" not in name]
    paths = [artifact.path for artifact in artifacts]
    for name in files:
        if name not in paths:
            raise UsageError(
                f"{bundle.source} has no file {name!r}; {expected_one_of(name, paths)}"
            )
    known = {row.name for row in select(asked)} if asked or not files else set()
    wanted = [a for a in artifacts if to is None or a.format in known or a.path in files]
    if only is not None:
        known = {only.name}
        wanted = [a for a in wanted if a.format == only.name and a.graph not in DECODERS]
    if not wanted:
        present = ", ".join(sorted({artifact.format for artifact in artifacts})) or "none"
        raise UsageError(
            f"{bundle.source} has no artifact in {', '.join(sorted(known))}; it has: {present}"
        )
    return wanted
