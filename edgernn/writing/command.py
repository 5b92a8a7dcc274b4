"""Which command writes or answers with a model: its family's, or where that writes with no such
contract, the first of a family that does.
"""

from __future__ import annotations

from edgernn.bundle import Bundle
from edgernn.errors import UsageError
from edgernn.families.base import Family
from edgernn.families.table import families, family_of
from edgernn.wording import argument


def refuse_other(bundle: Bundle, command: str) -> None:
    """Raise UsageError where ``command`` does not write with the model of ``bundle``; it says what
    does.

    Args:
        bundle: opened.
        command: a ``Family.command``.
    """
    source, path, manifest = bundle.source, argument(bundle.source), bundle.manifest
    checks = f"step it with edgernn.open_session, or check it with: edgernn verify {path}"
    writer = writing_family(bundle)
    writes_text = writer is None or writer.writes is not None
    if writes_text and (manifest.tokenizer is None or manifest.decoding is None):
        raise UsageError(f"{source} reads and writes no text; {checks}")
    if writer is None:
        raise UsageError(
            f"{source} is a model of the family {manifest.family!r}, with which no command writes; "
            f"{checks}"
        )
    if writer.command != command:
        raise UsageError(
            f"{source} is {writer.about}; use: edgernn {writer.command} {path}{writer.arguments}"
        )


def writing_family(bundle: Bundle) -> Family | None:
    """Return the family whose command writes with the model of ``bundle``; None where there is
    none.
    """
    contract, own = bundle.manifest.contract, family_of(bundle.manifest.family)
    if own.command is not None and not own.problem(contract):
        return own
    return next((family for family in (own, *families()) if family.writes_with(contract)), None)
