"""``edgernn paint``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn.cli.choices import TrustOption
from edgernn.cli.output import say_json, tell
from edgernn.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

_SIDE = 128  # pixels of a picture's longer side, about, where it is drawn


def paint(
    bundle: Annotated[
        Path, typer.Argument(help="A painter's bundle: a folder or a .edgernn file.")
    ],
    label: Annotated[str, typer.Option(help="What to paint: one of the model's labels.")],
    out: Annotated[Path, typer.Option(help="The PNG to write: all pictures in a grid.")],
    count: Annotated[int, typer.Option(help="How many pictures.")] = 1,
    steps: Annotated[
        int | None, typer.Option(help="Steps of a picture; default as in training.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed paints the same.")] = 0,
    temperature: Annotated[
        float, typer.Option(help="Multiplies the noise: 0 paints the same each time.")
    ] = 1.0,
    frames: Annotated[
        Path | None, typer.Option(help="A folder for the pictures after each step.")
    ] = None,
    artifact: Annotated[
        str | None, typer.Option(help="A step file or format in the bundle; default ONNX.")
    ] = None,
    trust: TrustOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Paint pictures of a label, from noise that the seed decides."""
    from edgernn.data.pictures.pictures import check_pillow, save_grey
    from edgernn.writing.painting import Painter, grid

    check_pillow("writing pictures")
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out is {out}, expected a name that ends in .png")
    with Painter(bundle, artifact=artifact, trust=trust) as painter:
        painted = painter.paint(
            label, count=count, steps=steps, seed=seed, temperature=temperature
        )  # [N, T, H, W]
        scale = max(1, round(_SIDE / max(painted.shape[2:])))
        save_grey(grid(painted[:, -1], scale=scale), out)
        written = [] if frames is None else _frames(painted, frames, scale)
        if as_json:
            say_json(
                {
                    "label": label,
                    "count": count,
                    "steps": painted.shape[1],
                    "seed": seed,
                    "temperature": temperature,
                    "size": list(painted.shape[2:]),
                    "out": str(out),
                    "frames": [str(path) for path in written],
                    "artifact": painter.artifact.path,
                }
            )
        else:
            what = "picture" if count == 1 else f"{count} pictures"
            tell(f"{out}: {what} of {label}, {painted.shape[1]} steps, seed {seed}")


def _frames(painted: np.ndarray, folder: Path, scale: int) -> list[Path]:
    """Write the grid after each step into ``folder``; return the files."""
    from edgernn.data.pictures.pictures import save_grey
    from edgernn.writing.painting import grid

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"step-{step + 1:03d}.png" for step in range(painted.shape[1])]
    for step, path in enumerate(paths):
        save_grey(grid(painted[:, step], scale=scale), path)
    return paths
