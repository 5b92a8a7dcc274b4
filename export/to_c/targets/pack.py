"""Libraries beside an artifact of C in a bundle: ``c/lib/TARGET/step.wasm`` and the like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgernn import storage
from edgernn.bundle.records import Artifact, Library
from edgernn.contract import FileContract
from edgernn.errors import UnavailableError, UsageError
from edgernn.export.to_c.targets.build import built, compiler_name
from edgernn.export.to_c.targets.table import LITERALS, select
from edgernn.sessions.c_folder import checked_sources, difference, generated_sources, options_of

_FOLDER = "lib"


def with_libraries(
    folder: Path, artifact: Artifact, file_contract: FileContract, targets: Sequence[str]
) -> Artifact:
    """Build the C of ``artifact``, which lies below ``folder``, for every one of ``targets``, write
    what comes of it beside it, and return the artifact with what was written.

    Raises:
        UsageError: a target that is not in the table; names those that are.
        ContractError: a target's board does not hold the network.
        UnavailableError: there is no compiler for a target, or it fails.
    """
    place = Path(artifact.path)
    files, prefix = checked_sources(folder / place), options_of(folder / place).prefix
    libraries = []
    for target in select(targets):
        name = f"{place.name}{target.suffix}"
        path = (place.parent / _FOLDER / target.name / name).as_posix()
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        storage.write_bytes(folder / path, built(target, files, file_contract, prefix=prefix))
        own = Library(target=target.name, path=path, compiler=compiler_name(target))
        libraries.append(own)
    return artifact.model_copy(update={"libraries": tuple(libraries)})


def compare(folder: Path, library: Library, file_contract: FileContract) -> tuple[bool | None, str]:
    """Return whether ``library`` is what the C of the artifact ``folder`` gives, and in words why:
    None where that cannot be told here. The same compiler makes the same bytes, for the machine
    that exported it only where that is like this one.
    """
    files = generated_sources(folder)
    if difference(folder, files) is not None:
        return None, "the text that it was built from is not this edgernn's"
    try:
        (target,) = select([library.target])
        own = compiler_name(target)
        if own != library.compiler:
            return None, f"it was built by {library.compiler}, here is {own}"
        made = built(target, files, file_contract, prefix=options_of(folder).prefix)
    except (UsageError, UnavailableError) as error:
        return None, str(error)
    if made == storage.read_bytes(folder.parent / Path(*Path(library.path).parts[1:])):
        return True, "built again here, to the same bytes"
    if not target.triple and target.makes != LITERALS:
        return None, "it was built for the processor that exported it"
    return False, f"it is not what {own or 'this edgernn'} makes of the C"


def refuse_unknown(targets: Sequence[str]) -> None:
    """Raise UsageError for a target that is not in the table, or for none."""
    if not select(targets):
        raise UsageError("no target given; expected one or more, as host,wasm; or leave it out")
