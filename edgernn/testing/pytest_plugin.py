"""The pytest plugin: ``pytest path/to/bundle`` makes one test of each artifact and check of a
bundle.

Bundles below the test paths are found too: a folder whose ``manifest.json`` is edgernn's, or an
``.edgernn`` file. A test is called ``bundle::onnx/step.onnx::rollout``; choose some with ``-k``.
Nothing of edgernn is imported before the first bundle is met, as every pytest run on the machine
loads this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgernn.errors import BundleError, EdgernnError

if TYPE_CHECKING:
    from edgernn.bundle import Bundle
    from edgernn.bundle.records import Artifact
    from edgernn.parity.report.data import Check
    from edgernn.parity.subject import Subject

# As in edgernn.bundle.manifest, edgernn.bundle and edgernn.parity.subject, which are not light
# enough to ask; a test compares.
MANIFEST, SUFFIX, DEFAULT_STEPS = "manifest.json", ".edgernn", 256
_OWN_KEYS = ("schema_version", "contract", "artifacts")
_MANIFEST_MAX_BYTES = 16 << 20
_STEPS = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--edgernn-steps`` and the ini option ``edgernn_steps``."""
    words = f"steps of each rollout of an edgernn bundle (default {DEFAULT_STEPS})"
    parser.getgroup("edgernn", "edgernn bundles").addoption(
        "--edgernn-steps", metavar="N", default=None, help=words
    )
    parser.addini("edgernn_steps", words, default=str(DEFAULT_STEPS))


def pytest_configure(config: pytest.Config) -> None:
    """Read the number of steps; the option goes before the ini file."""
    asked = config.getoption("edgernn_steps")
    text = str(config.getini("edgernn_steps") if asked is None else asked)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise pytest.UsageError(f"edgernn steps is {text!r}, expected a whole number of 1 or more")
    config.stash[_STEPS] = int(text)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a bundle folder as a whole; its inner folders are not looked into."""
    return _collector(BundleFolder, path, parent) if is_bundle_folder(path) else None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a single-file bundle."""
    return _collector(BundleFile, file_path, parent) if file_path.suffix == SUFFIX else None


def is_bundle_folder(path: Path) -> bool:
    """Return whether ``path`` has a manifest of edgernn's, be it a damaged one; another program's
    does not count.
    """
    manifest = path / MANIFEST
    try:
        if not manifest.is_file() or manifest.stat().st_size > _MANIFEST_MAX_BYTES:
            return False
        text = manifest.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # cut off, perhaps: what is written last may be missing
        return all(f'"{key}"' in text for key in _OWN_KEYS[:2])
    return isinstance(content, dict) and all(key in content for key in _OWN_KEYS)


class CheckFailedError(Exception):
    """A check that failed; what pytest prints of it is the check, not where it was raised."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.detail)
        self.check = check


class _BundleCollector(pytest.Collector):
    """A bundle: one collector per artifact, or one failing test where the bundle cannot be
    opened.
    """

    def collect(self) -> Iterator[pytest.Collector | pytest.Item]:
        """Open the bundle and yield its artifacts; neither reference nor runtime is opened yet."""
        from edgernn.bundle import Bundle

        try:
            self.bundle: Bundle = Bundle.open(self.path)
        except BundleError as error:
            yield UnopenedItem.from_parent(self, name="open", error=error)
            return
        for artifact in self.bundle.manifest.artifacts:
            yield ArtifactCollector.from_parent(self, name=artifact.path, artifact=artifact)

    @cached_property
    def subjects(self) -> dict[str, Subject]:
        """Artifacts by path, with the reference opened when the first check is run."""
        from edgernn.parity.subject import subjects

        found, _ = subjects(self.bundle, steps=self.config.stash[_STEPS])
        return {subject.artifact.path: subject for subject in found}


class BundleFolder(_BundleCollector, pytest.Directory):
    """A bundle that is a folder."""


class BundleFile(_BundleCollector, pytest.File):
    """A bundle that is one file."""


class ArtifactCollector(pytest.Collector):
    """One artifact: a test per check."""

    def __init__(self, *, artifact: Artifact, **options: Any) -> None:
        super().__init__(**options)
        self.artifact = artifact

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for every check that is made of such a file."""
        from edgernn.parity.checks import checks_of

        for name in checks_of(self.artifact):
            yield CheckItem.from_parent(self, name=name)


class _EdgernnItem(pytest.Item):
    """A test that reports errors of edgernn's in its own words, without a traceback."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what failed and the numbers behind it."""
        from edgernn.parity.report.wording import measured_lines
        from edgernn.wording import plain

        error = excinfo.value
        if isinstance(error, CheckFailedError):
            return "\n".join(
                [plain(error.check.detail), *(f"  {line}" for line in measured_lines(error.check))]
            )
        if isinstance(error, EdgernnError):
            return plain(str(error))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the test lies and a heading; one that ended its node id would have its dots
        replaced.
        """
        parent = self.parent
        return self.path, None, self.name if parent is None else f"{self.name} of {parent.nodeid}"


class CheckItem(_EdgernnItem):
    """One check of one artifact."""

    def runtest(self) -> None:
        """Make the check; what this machine cannot check is skipped."""
        from edgernn.parity.checks import run_check
        from edgernn.wording import plain

        artifact, bundle = self.parent, self.getparent(_BundleCollector)
        assert artifact is not None
        assert bundle is not None
        check = run_check(bundle.subjects[artifact.name], self.name)
        if check.status == "not run":
            pytest.skip(plain(check.detail))
        if check.status == "failed":
            raise CheckFailedError(check)


class UnopenedItem(_EdgernnItem):
    """What stands for a bundle that cannot be opened: a test that fails with the reason."""

    def __init__(self, *, error: BundleError, **options: Any) -> None:
        super().__init__(**options)
        self.error = error

    def runtest(self) -> None:
        """Raise the reason."""
        raise self.error


def _collector(
    kind: type[BundleFolder | BundleFile], path: Path, parent: pytest.Collector
) -> pytest.Collector:
    """Return a collector whose tests begin with the bundle's path, or its name where it is or is
    above pytest's root.
    """
    root = parent.config.rootpath
    inside = path.is_relative_to(root) and path != root
    return kind.from_parent(
        parent, path=path, nodeid=path.relative_to(root).as_posix() if inside else path.name
    )
