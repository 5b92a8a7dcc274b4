"""Libraries that a bundle carries for other machines, where a format's files can be built."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgernn import formats
from edgernn.bundle import digest
from edgernn.bundle.records import Artifact, FileDigest
from edgernn.contract import FileContract
from edgernn.errors import UsageError
from edgernn.export.chosen import Chosen
from edgernn.export.source import Source


def targets_of(target: Iterable[str] | str | None, chosen: Chosen) -> tuple[str, ...]:
    """Return the targets that were asked for.

    Raises:
        UsageError: none, one that no format knows, or no format that is built for targets.
    """
    if target is None:
        return ()
    names = (target,) if isinstance(target, str) else tuple(target)
    building = [row for row in formats.FORMATS.values() if row.libraries]
    rows = [row for row, _ in chosen if row in building]
    if not rows:
        offered = ", ".join(row.name for row in building)
        raise UsageError(
            f"--target {','.join(names)} says for which machines {offered} is built, and no such "
            f"file is written; add --to {offered}, or leave --target out"
        )
    for row in rows:
        _resolved(row, "refuse_unknown")(names)
    return names


def built(
    folder: Path, artifacts: Iterable[Artifact], source: Source, targets: tuple[str, ...]
) -> tuple[list[Artifact], dict[str, FileDigest]]:
    """Build for every target what can be built of ``artifacts`` below ``folder``; return the
    artifacts with what was built of them, and the digest of each file.

    Raises:
        ContractError, UnavailableError: see the format's own.
    """
    made: list[Artifact] = []
    for artifact in artifacts:
        row = formats.by_name(artifact.format)
        if not targets or not row.libraries:
            made.append(artifact)
            continue
        source.tell(f"building {artifact.path} for {', '.join(targets)}")
        file_contract = FileContract(
            contract=source.contract,
            graph=artifact.graph,
            narrowing=artifact.narrowing,
            decoding=source.decoding,
        )
        add = _resolved(row, "with_libraries")
        made.append(add(folder, artifact, file_contract, targets))
    paths = [library.path for artifact in made for library in artifact.libraries or ()]
    return made, {path: digest(folder / path) for path in paths}


def _resolved(row: formats.Format, name: str) -> Any:
    return formats.resolve(
        f"{row.libraries}:{name}", needed_for=f"building {row.name}", extra=row.export_extra
    )
