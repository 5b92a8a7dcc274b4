"""Whether the libraries that a bundle carries for other machines are what its C gives.

A library is a program that nothing here can read. It is built again from the C, which was proved to
be what the graph gives, and held against it byte by byte, where this machine has the same compiler.
None is ever loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgernn import formats
from edgernn.errors import UnavailableError
from edgernn.parity.report.data import Check, Status

if TYPE_CHECKING:
    from edgernn.parity.subject import Subject

NAME = "libraries"


def check(subject: Subject) -> Check:
    """Build every library of one artifact again, and compare."""
    artifact, bundle = subject.artifact, subject.bundle
    row = formats.by_name(artifact.format)
    if row.libraries is None:
        raise UnavailableError(f"this edgernn builds no libraries of {row.name}")
    compare = formats.resolve(
        f"{row.libraries}:compare", needed_for=f"building {row.name}", extra=row.export_extra
    )
    told: dict[str, list[str]] = {}
    verdicts = set()
    for library in artifact.libraries or ():
        bundle.path(library.path)  # vouched for
        same, words = compare(bundle.path(artifact.path), library, bundle.file_contract(artifact))
        verdicts.add(same)
        told.setdefault(words, []).append(library.target)
    status: Status = "failed" if False in verdicts else "not run" if None in verdicts else "passed"
    words = "; ".join(f"{', '.join(targets)}: {why}" for why, targets in told.items())
    return Check(name=NAME, status=status, detail=words)
