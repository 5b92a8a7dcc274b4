"""A bundle's C, ready to be compiled into an app:
python prepare.py BUNDLE OUT [--artifact PATH] [--rust]

OUT gets the files of the step in C as they are, ``network.c`` (see ``network.h``), the recorded
run, ``golden.safetensors`` with ``recorded.c`` (see ``recorded.h``), ``names.h``, what of this
folder they need, and what writes text where the bundle has it. With ``--rust`` it gets ``net.rs``
and ``golden.rs`` in place of the tables. Ends with 2 and one line where the bundle is not as its
manifest says. Python's own modules are enough.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bundle import (
    AGAIN,
    GOLDEN,
    GRAPH,
    TEXT,
    BundleError,
    find_artifact,
    read_first,
    read_manifest,
    read_recording,
    read_sources,
    read_text,
    step_of,
)
from header import literals, read_header
from network import names, network_source, recorded_source
from rust import golden_source, net_source
from rust_text import text_source

HERE = Path(__file__).resolve().parent
WRITE = "write.c"  # what main.c of the text is called here
TAKEN = ("network.h", "recorded.h", "replay.h", "replay.c")


def main() -> None:
    """Write what is compiled; what is there with the same bytes is left alone."""
    options = _options()
    manifest = read_manifest(options.bundle)
    artifact = find_artifact(manifest, options.artifact)
    made = read_sources(options.bundle, artifact)
    header = read_header(made[f"{GRAPH}.h"].decode("ascii", errors="replace"))
    recording = read_recording(options.bundle, manifest)
    once = {t["name"] for t in step_of(manifest)["inputs"] if t["role"] == "context"}
    made[GOLDEN] = recording.content
    text = read_text(options.bundle, manifest)
    made |= {WRITE if name == "main.c" else name: content for name, content in text.items()}
    first = literals(header, read_first(options.bundle, manifest))
    texts = (
        {
            "net.rs": net_source(header, artifact, first)
            + (text_source(header.prefix, text["text.h"].decode("ascii")) if text else ""),
            "golden.rs": golden_source(header, recording, once, artifact),
        }
        if options.rust
        else {
            "names.h": names(header),
            "network.c": network_source(header, artifact, first),
            "recorded.c": recorded_source(header, recording, once, artifact),
            **{name: (HERE / name).read_text(encoding="utf-8") for name in TAKEN},
        }
    )
    made |= {name: text.encode() for name, text in texts.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    for name in {*TEXT, WRITE} - made.keys():
        (options.out / name).unlink(missing_ok=True)  # of another bundle
    for name, content in made.items():
        place = options.out / name
        if not place.is_file() or place.read_bytes() != content:
            place.write_bytes(content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="a bundle's folder")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--artifact", help="which step in C, else the manifest's first")
    parser.add_argument("--rust", action="store_true", help="write Rust in place of the tables")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except (LookupError, TypeError, AttributeError, StopIteration) as error:
        seen = f"{type(error).__name__} {error}".strip()
        print(f"error: manifest.json is damaged ({seen}); {AGAIN}", file=sys.stderr)
        raise SystemExit(2) from error
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
