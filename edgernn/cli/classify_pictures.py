"""``edgernn classify`` of models that look at pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgernn import plots
from edgernn.bundle import Bundle
from edgernn.cli.output import say_json, stream
from edgernn.cli.shown import visible
from edgernn.cli.streams import reader_gone
from edgernn.errors import UsageError


def classify_pictures(
    bundle: Bundle,
    what: Sequence[str],
    *,
    running: bool,
    looks: int | None,
    path_map: Path | None,
    artifact: str | None,
    as_json: bool,
) -> None:
    """Print the label of each picture file and where the model looked.

    Args:
        bundle: opened.
        what: picture files.
        running: show the label after each look.
        looks: how many; None as many as the model was trained with.
        path_map: where the path of looks is drawn.
        artifact, as_json: as ``classify`` has them.
    """
    from edgernn.writing.looks import Looker

    if path_map is not None:
        _check_map(path_map, what)
    with Looker(bundle, artifact=artifact) as looker:
        for name in what:
            found = looker.look(Path(name), looks=looks)
            if path_map is not None:
                plots.look_map(found.picture, found.pixels(), found.label, path_map)
            if as_json:
                record = {"picture": name, **found.to_record()}
                say_json({**record, "artifact": looker.artifact.path}, indent=None)
            else:
                if running:
                    for number, (place, label, share) in enumerate(found.steps(), start=1):
                        stream(f"  look {number} at {place}  {visible(label)}  {share:.1%}\n")
                path = " ".join(place for place, _, _ in found.steps())
                before = "" if len(what) == 1 else f"{visible(name)}\t"
                stream(f"{before}{visible(found.label)}\t{found.probability:.1%}\t{path}\n")
            if reader_gone():
                return


def _check_map(target: Path, what: Sequence[str]) -> None:
    """Raise before anything is looked at where the map could not be drawn."""
    if len(what) != 1:
        raise UsageError(f"--map draws one picture, got {len(what)}; give one")
    if target.resolve() == Path(what[0]).resolve():
        raise UsageError(f"--map {target} is the picture itself; give the name of another file")
    plots.check_available(target)
