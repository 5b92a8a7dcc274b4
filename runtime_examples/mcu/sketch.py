"""An Arduino sketch that holds a network: python sketch.py BUNDLE OUT [PRECISION]

OUT/edgernn_text gets the sketch, ``writing.c``, and of the bundle the step in C, its weights as
string literals and what writes text: each compared with the manifest. Ends with 2 and one line
where the bundle is not as its manifest says or lacks a part. Python's own modules are enough.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bundle import BundleError, find_artifact, read_folder, read_listed, read_manifest

HERE = Path(__file__).resolve().parent
NAME = "edgernn_text"
TEXT = ("text.h", "text.c", "tokens.c")


def main() -> None:
    """Write the folder."""
    if len(sys.argv) not in (3, 4):
        raise BundleError(
            f"{len(sys.argv) - 1} arguments, expected two or three: sketch.py BUNDLE OUT PRECISION"
        )
    bundle, out, precision = Path(sys.argv[1]), Path(sys.argv[2]) / NAME, "".join(sys.argv[3:])
    manifest = read_manifest(bundle)
    artifact = find_artifact(manifest, precision)
    step = read_folder(bundle, artifact)
    literals = f"c/lib/literals/{Path(artifact['path']).name}.weights.c"
    listed = {"step.weights.c": literals, **{name: f"c/text/{name}" for name in TEXT}}
    for inner in listed.values():
        if inner not in manifest["files"]:
            raise BundleError(
                f"the bundle has no {inner}, expected it; export a model that writes text with "
                "--to c --target literals"
            )
    made = {name: step[name] for name in ("step.h", "step.c")}
    made |= {name: read_listed(bundle, manifest, inner) for name, inner in listed.items()}
    own = (HERE / "writing.h", HERE / "writing.c", HERE / "arduino" / NAME / f"{NAME}.ino")
    made |= {path.name: path.read_bytes() for path in own}
    out.mkdir(parents=True, exist_ok=True)
    for name, held in made.items():
        (out / name).write_bytes(held)
    print(out)


if __name__ == "__main__":
    try:
        main()
    except (LookupError, TypeError, AttributeError) as error:
        seen = f"{type(error).__name__} {error}".strip()
        print(f"error: manifest.json is damaged ({seen}); export it again", file=sys.stderr)
        raise SystemExit(2) from error
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
