"""The check of a file's structure: what samples cannot show is proved by reading the graph.

A format's row names the reader of its files (``formats.Format.structure``). It proves that no
operator of a step or encode graph depends on the size of an axis, branches, repeats, draws random
numbers or keeps anything between calls, and it tells what the weights are stored as, which is held
against what the manifest says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgernn import formats
from edgernn.bundle.records import Artifact
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import TIME, FileContract, first_line
from edgernn.contract.in_graph import DECODERS
from edgernn.errors import UnavailableError
from edgernn.parity.companions import compare_companions
from edgernn.parity.in_graph import step_beside
from edgernn.parity.report.data import Check, Status
from edgernn.parity.structure.sizes import MixedError, SizeError, TextError, UnknownError
from edgernn.parity.structure.stored import (
    bytes_problems,
    stored_problems,
    stored_words,
    value_problems,
)
from edgernn.sessions.opening import encoder_of

if TYPE_CHECKING:
    from edgernn.parity.subject import Subject

NAME = "structure"
_WHAT_RAN = {  # of a program, by whether the user trusts it
    True: "it is what was run, as --trust says",
    False: "it was not run: what is judged is generated afresh, with --trust the bundle's own",
}
_MOST_TOLD = 3  # differences of what is stored


class StructureReader(ABC):
    """One file of a format, read; nothing of it runs.

    Args:
        path: the file, of which a reader may raise ContractError where it is damaged.
    """

    tells_bytes: ClassVar[bool] = (
        False  # whether ``stored`` tells what each weight takes, and how often it is read
    )

    @abstractmethod
    def __init__(self, path: Path) -> None: ...

    @abstractmethod
    def prove(self, file_contract: FileContract) -> str:
        """Follow every operator of the file; return in words what is proved.

        Raises:
            SizeError: something depends on a size, branches, draws, or keeps a state that is not
                the contract's.
            UnknownError: the file does something that the reader does not know.
        """

    @abstractmethod
    def stored(self) -> tuple[StoredWeight, ...]:
        """Return what the weights of the file are stored as."""

    def label_problems(self, precision: str) -> list[str]:
        """Return how the file is not of ``precision``, beside what its weights are stored as."""
        return []

    def portable_problems(self) -> list[str]:
        """Return why the file is not portable, as its manifest says; see ``portable``."""
        return ["files of its format are not portable, whatever the manifest says"]

    def digests(self) -> dict[str, str]:
        """Return constant → what its dtype, shape and values come to, of all but the small; none
        where a reader cannot tell.
        """
        return {}


def check(subject: Subject) -> Check:
    """Prove the structure of one artifact, and hold what it stores against the manifest."""
    artifact, bundle = subject.artifact, subject.bundle
    row = formats.by_name(artifact.format)
    if row.structure is None:
        raise UnavailableError(f"this edgernn has no reader of the structure of {row.name} files")
    kind = formats.resolve(row.structure, needed_for=f"reading {row.name}", extra=row.run_extra)
    reader: StructureReader = kind(bundle.path(artifact.path))
    step = step_beside(subject) if artifact.graph in DECODERS else None
    beside = [] if step is None else [step]
    if step is not None and bundle.manifest.contract.encode is not None:
        beside.append(encoder_of(bundle, step))
    found = reader.stored()
    problems = stored_problems(artifact, found, step)
    problems += reader.label_problems(artifact.precision)
    problems += _portable_problems(artifact, reader)
    problems += bytes_problems(artifact, found) if reader.tells_bytes and not problems else []
    for other in beside if not problems else []:
        problems += value_problems(
            reader.digests(), kind(bundle.path(other.path)).digests(), other.path
        )
    status: Status = "passed"
    try:
        proved = reader.prove(bundle.file_contract(artifact))
        compare_companions(subject)
    except MixedError as error:
        status, proved = _mixed(bundle.file_contract(artifact), error)
    except SizeError as error:
        status, proved = "failed", f"the graph is not the same at every size and call: {error}"
    except TextError as error:
        status = "failed" if error.claimed and not bundle.trusted else "not run"
        proved = f"{error}, so nothing is proved of it; {_WHAT_RAN[bundle.trusted]}"
    except UnknownError as error:
        status, proved = "not run", str(error)
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        proved = (
            "the reader cannot follow the graph, so nothing is proved of it "
            f"({type(error).__name__}: {first_line(error)})"
        )
        status = "not run"
    if not problems:
        told = f"{proved}; matrices: {stored_words(found)}"
        told += "; portable: no runtime reads it otherwise" if artifact.portable else ""
        return Check(name=NAME, status=status, detail=told)
    wrong = [*([] if status == "passed" else [proved]), *problems[:_MOST_TOLD]]
    wrong += [f"and {len(problems) - _MOST_TOLD} more"] if len(problems) > _MOST_TOLD else []
    return Check(name=NAME, status="failed", detail="; ".join(wrong))


def _portable_problems(artifact: Artifact, reader: StructureReader) -> list[str]:
    """Return what the file has that a portable one has not, where its manifest says it is one."""
    if not artifact.portable:
        return []
    return [
        f"the manifest says that it is portable, and {what}" for what in reader.portable_problems()
    ]


def _mixed(file_contract: FileContract, error: MixedError) -> tuple[Status, str]:
    """Judge a graph that mixes along an open axis: what lies along the time of encode, or within
    the frames of a step, may meet.
    """
    spec, contract = file_contract.spec, file_contract.contract
    if spec.has_time and (spec.once or contract.step_frames > 1):
        return (
            "not run",
            f"frames along {TIME} may meet, so nothing is proved of this file: {error}",
        )
    return "failed", f"the graph is not the same at every size and call: {error}"
