"""Push: a bundle's files, its signature and its card become one commit, or one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgernn import storage
from edgernn.bundle import Bundle
from edgernn.bundle.manifest import MANIFEST, SIGNATURE, parse_manifest
from edgernn.bundle.place import refuse_foreign
from edgernn.bundle.signature import CARD, listed_files
from edgernn.errors import BundleError, UsageError
from edgernn.formats import resolve
from edgernn.hub.target import Repository
from edgernn.wording import size

if TYPE_CHECKING:
    from edgernn.hub.remote import Listing, Remote

_MESSAGE = "edgernn push"


@dataclass(frozen=True)
class Plan:
    """What a push would change, or has changed.

    Attributes:
        added: path → bytes, of what is written.
        removed: what the bundle that stands there lists, and this one does not.
        replaces: whether a bundle stands there.
        place: where, for a person.
        revision: the commit that was made; empty before, and of a folder.
    """

    added: Mapping[str, int]
    removed: tuple[str, ...]
    replaces: bool
    place: str
    revision: str = ""

    @property
    def total_bytes(self) -> int:
        """The size of all that is written."""
        return sum(self.added.values())


def push(
    bundle: Bundle, target: Path | Repository, *, card: str, private: bool = False,
    dry_run: bool = False, tell: Callable[[str], None] = lambda line: None,
) -> Plan:  # fmt: skip
    """Write a bundle to a hub or a folder, the card as README.md beside it.

    Args:
        bundle: opened, its digests checked.
        card: in Markdown; left out where the manifest lists a README.md of its own.
        private: what a repository is that is made for it.
        dry_run: change nothing, and return what would be.
        tell: hears when an upload begins.

    Raises:
        UsageError: a folder that holds something else.
        HubError: the hub refuses or cannot be reached.
        StorageError: the folder could not be written; it is as it was.
    """
    if isinstance(target, Path) and bundle.source.resolve() == target.resolve():
        raise UsageError(f"{target} is the bundle itself; give another folder")
    contents = _contents(bundle, card)
    if isinstance(target, Path):
        return _to_folder(contents, target, dry_run=dry_run)
    remote: Remote = resolve("edgernn.hub.remote:Remote", needed_for="a hub", extra="hub")(target)
    before = remote.listing_if_any()
    old = set() if before is None else _listed_there(remote, before)
    replaces = before is not None and MANIFEST in before.files
    removed = tuple(sorted(old - set(contents)))
    plan = Plan(_sizes(contents), removed, replaces, remote.address)
    if dry_run:
        return plan
    tell(f"uploading {size(plan.total_bytes)} to {plan.place}")
    parent = None if before is None else before.commit
    made = remote.commit(contents, removed, parent=parent, private=private, message=_MESSAGE)
    return Plan(plan.added, removed, plan.replaces, plan.place, made)


def _contents(bundle: Bundle, card: str) -> dict[str, Path | bytes]:
    """Return what is written: path → the file, or its content."""
    found: dict[str, Path | bytes] = {
        name: bundle.folder / name for name in sorted(listed_files(bundle))
    }
    if (bundle.folder / SIGNATURE).is_file():
        found[SIGNATURE] = bundle.folder / SIGNATURE
    return {CARD: card.encode(), **found}


def _sizes(contents: Mapping[str, Path | bytes]) -> dict[str, int]:
    return {
        name: len(content) if isinstance(content, bytes) else content.stat().st_size
        for name, content in contents.items()
    }


def _to_folder(contents: Mapping[str, Path | bytes], target: Path, *, dry_run: bool) -> Plan:
    """Write the folder as a whole, in place of an older bundle or of nothing."""
    refuse_foreign(target, beside=(CARD,))
    if target.suffix:
        _refuse_file(target)
    before = (
        [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
        if target.is_dir()
        else []
    )
    removed = tuple(sorted(set(before) - set(contents)))
    plan = Plan(_sizes(contents), removed, MANIFEST in before, str(target))
    if not dry_run:
        with storage.replacing(target) as folder:
            for name, content in contents.items():
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, bytes):
                    place.write_bytes(content)
                else:
                    shutil.copyfile(content, place)
            Bundle.open(folder)
    return plan


def _refuse_file(target: Path) -> None:
    """Raise UsageError for a name of one file: what is pushed is a folder, as on a hub."""
    if target.suffix == ".edgernn":
        raise UsageError(
            f"{target} is a file, expected OWNER/NAME of a repository or a folder; edgernn pull "
            "--out writes one file"
        )


def _listed_there(remote: Remote, before: Listing) -> set[str]:
    """Return which files on a hub are of the bundle that stands there; none where none does."""
    if MANIFEST not in before.files:
        return set()
    with storage.scratch() as scratch:
        remote.fetch(MANIFEST, before.commit, scratch)
        try:
            manifest = parse_manifest((scratch / MANIFEST).read_bytes(), source="it")
        except (BundleError, OSError):
            return set()
    tops = {artifact.path for artifact in manifest.artifacts}
    inside = {
        name
        for name in before.files
        if any(name == top or name.startswith(f"{top}/") for top in tops)
    }
    return {*manifest.files, *inside, SIGNATURE} & set(before.files)
