"""The folder of a run: free for a new one, and held by one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgernn import storage
from edgernn.errors import UsageError
from edgernn.models import checkpoint
from edgernn.storage.identify import identify
from edgernn.training import resume
from edgernn.training.distributed import World
from edgernn.training.lock import locked


@contextmanager
def run_folder(out: Path, here: World, *, new: bool = False) -> Iterator[None]:
    """Hold the run's folder for all of its processes, cleared of what killed ones left; a ``new``
    run finds it free.

    Raises:
        UsageError: another process trains into it, or for a new run, it is a file or holds a run
            already.
        StorageError: it cannot be written.
    """
    if not here.leads:
        yield
        return
    if new:
        refuse_existing(out)
    with locked(out):
        storage.clear(out)
        if new:
            refuse_existing(out)
        yield


def refuse_existing(out: Path) -> None:
    """Raise UsageError where ``out`` is a file, or holds a run that can go on, or a model that must
    not be lost; StorageError where it is a link to what is not there.
    """
    storage.refuse_dangling(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, expected a folder to train into")
    if identify(out).key == "bundle":
        raise UsageError(
            f"{out} is a bundle, exported already, expected a folder to train into; choose "
            "another --out"
        )
    if (out / resume.RESUME_FILE).exists():
        raise UsageError(
            f"{out} holds a run already ({resume.RESUME_FILE}); add --resume to go on with it, "
            "or choose another --out"
        )
    for name in (checkpoint.WEIGHTS, checkpoint.CONFIG):
        if (out / name).exists():
            raise UsageError(
                f"{out} holds a model already ({name}), and no {resume.RESUME_FILE} from which "
                "its training could go on; "
                "choose another --out"
            )
