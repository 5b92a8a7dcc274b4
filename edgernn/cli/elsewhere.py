"""``edgernn explain RUN``, a bundle or a file of edgernn's own: where else its ONNX files run."""

from __future__ import annotations

from pathlib import Path

from edgernn import formats
from edgernn.bundle import Bundle
from edgernn.cli.output import say, say_json
from edgernn.errors import UsageError
from edgernn.formats.compatibility import as_data, elsewhere, elsewhere_text
from edgernn.parity.structure.portable import portable_problems
from edgernn.sessions.ort.operators import needs_of
from edgernn.sessions.ort.reading import read_model
from edgernn.storage.identify import identify


def explain_elsewhere(path: Path, *, as_json: bool) -> None:
    """Print of each ONNX file at ``path`` where else it runs; files with the same operators stand
    together.
    """
    files = _files(path)
    if not files:
        raise UsageError(f"{path} has no ONNX file; explain tells of those where else they run")
    if as_json:
        say_json({name: as_data(elsewhere(needs)) for name, needs in files.items()})
        return
    portable = _portable(path)
    for needs in dict.fromkeys(files.values()):
        names = [name for name, own in files.items() if own == needs]
        say(f"elsewhere, {', '.join(names)}:")
        for line in dict.fromkeys(portable[name] for name in names if name in portable):
            say(f"  {line}")
        for line in elsewhere_text(elsewhere(needs)):
            say(f"  {line}")


def _portable(path: Path) -> dict[str, str]:
    """Say of each file whether it is portable, and what is in the way; a run has no file yet."""
    kind = identify(path).key
    if kind == "run":
        return {}
    if kind == "onnx-ours":
        return {path.name: _portable_words(path)}
    with Bundle.open(path) as bundle:
        return {
            artifact.path: _portable_words(bundle.path(artifact.path))
            for artifact in bundle.manifest.artifacts
            if artifact.format == formats.OWN.name
        }


def _portable_words(path: Path) -> str:
    problems = portable_problems(read_model(path))
    if not problems:
        return "portable: it has nothing that a runtime is known to leave out"
    return f"not portable: {problems[0]}; --portable writes none of that"


def _files(path: Path) -> dict[str, frozenset[str]]:
    """Return file → what it needs of a runtime; the files of a run are those that ``export``
    writes in float32.
    """
    kind = identify(path).key
    if kind == "run":
        from edgernn.export.found import needs_of_run

        return needs_of_run(path)
    if kind == "onnx-ours":
        return {path.name: needs_of(path)}
    with Bundle.open(path) as bundle:
        return {
            artifact.path: needs_of(bundle.path(artifact.path))
            for artifact in bundle.manifest.artifacts
            if artifact.format == formats.OWN.name
        }
