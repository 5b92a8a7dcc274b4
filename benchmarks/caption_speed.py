"""Time per caption and the size of the files of a captioner bundle: python
benchmarks/caption_speed.py BUNDLE

Each time is the median over held-out pictures in the artifact's own runtime, one thread; Core ML is
timed on macOS only.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import safetensors.numpy
from _report import table

from edgernn.bundle import Bundle
from edgernn.contract import ENCODE, STEP
from edgernn.decoding.captions import search_caption
from edgernn.errors import UnavailableError
from edgernn.families.captioner import IMAGE
from edgernn.sessions.model import open_model
from edgernn.sessions.opening import encoder_of
from edgernn.wording import size

PICTURES = 50


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(
            f"usage: {sys.argv[0]} BUNDLE: a captioner's bundle, as edgernn export writes it"
        )
    bundle = Bundle.open(Path(sys.argv[1]))
    if bundle.manifest.evaluation is None:
        raise SystemExit(f"{sys.argv[1]} carries no held-out pictures; export it without --release")
    images = safetensors.numpy.load_file(bundle.path(bundle.manifest.evaluation))[IMAGE][:PICTURES]
    rows = []
    for artifact in bundle.manifest.artifacts:
        if artifact.graph == STEP:
            encode = encoder_of(bundle, artifact)
            rows.append(
                (
                    artifact.path,
                    artifact.precision,
                    size(artifact.bytes),
                    size(encode.bytes),
                    *times(bundle, artifact.path, images),
                )
            )
    table(
        (
            "step file",
            "precision",
            "step size",
            f"{ENCODE} size",
            "encode",
            "a word",
            "caption, greedy",
            "caption, beam 3",
        ),
        rows,
    )


def times(bundle: Bundle, path: str, images: object) -> tuple[str, ...]:
    try:
        sessions = open_model(bundle, path)
    except UnavailableError:
        return ("not here",) * 4
    decoding = bundle.manifest.decoding
    encode = median_ms(sessions.look, images)
    words: list[int] = []

    def write(image: object, beam: int) -> None:
        words.append(len(search_caption(sessions, image, decoding, beam=beam).tokens) + 2)

    greedy = median_ms(lambda image: write(image, 1), images)
    a_word = (greedy - encode) / statistics.median(words)
    beam = median_ms(lambda image: write(image, 3), images)
    return tuple(f"{value:.2f} ms" for value in (encode, a_word, greedy, beam))


def median_ms(run: Callable[[object], object], images: object) -> float:
    taken = []
    for image in images:
        began = time.perf_counter()
        run(image[None])
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
