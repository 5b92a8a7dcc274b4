"""How far a trained captioner's exported files are from the reference: python
benchmarks/caption_parity.py CHECKPOINT

Both graphs: the largest absolute difference of any output over pictures (encode) and over 30
chained steps (step), and how many captions of 200 held-out pictures are identical, greedy and by a
beam search of 3, each file beside its own encoder.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from _report import table

import edgernn
from edgernn.contract import ENCODE, FileContract
from edgernn.data.pictures import scenes
from edgernn.data.pictures.scene_drawing import draw
from edgernn.decoding.captions import greedy_captions, search_caption
from edgernn.export import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.parity.reordered import rollouts
from edgernn.parity.subject import Subject, subjects
from edgernn.sessions.model import Model

PICTURES, STEPS, BEAM = 200, 30, 3


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(
            f"usage: {sys.argv[0]} CHECKPOINT: a captioner's folder, as edgernn train captions "
            "writes it"
        )
    checkpoint = edgernn.load(sys.argv[1])
    images = np.stack([draw(scenes.make_scene("test", index)) for index in range(PICTURES)])
    expected = captions(reference(checkpoint), images, checkpoint)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = export_bundle(checkpoint, Path(scratch) / "bundle")
        found, _ = subjects(bundle, steps=STEPS)
        rows = [row(subject, images, expected, checkpoint) for subject in found]
    table(
        (
            "artifact",
            "precision",
            "runtime",
            f"worst absolute difference, {STEPS} steps",
            "in",
            "identical captions",
        ),
        rows,
    )


def reference(checkpoint: Checkpoint) -> Model:
    contract = checkpoint.model.config.contract()
    encode = EagerSession(checkpoint.model, FileContract(contract=contract, graph=ENCODE))
    return Model(EagerSession(checkpoint.model), encode)


def captions(sessions: Model, images: np.ndarray, checkpoint: Checkpoint) -> list[list[int]]:
    decoding = checkpoint.model.config.decoding(checkpoint.tokenizer)
    greedy = greedy_captions(sessions, images, decoding)
    return greedy + [
        list(search_caption(sessions, image[None], decoding, beam=BEAM).tokens) for image in images
    ]


def row(
    subject: Subject, images: np.ndarray, expected: list[list[int]], checkpoint: Checkpoint
) -> tuple[object, ...]:
    assert subject.judge is not None
    worst = max(
        (
            drift
            for run in rollouts(
                subject.judge, subject.session, STEPS, limit=subject.limit, seed=subject.seed
            )
            for drift in run.drifts
        ),
        key=lambda drift: drift.worst,
    )
    same = [
        a == b for a, b in zip(captions(subject.model, images, checkpoint), expected, strict=True)
    ]
    greedy, beam = sum(same[:PICTURES]), sum(same[PICTURES:])
    told = f"greedy {greedy}, beam {beam} of {PICTURES}"
    return (
        subject.artifact.path,
        subject.artifact.precision,
        subject.runtime,
        f"{worst.worst:.1e}",
        worst.tensor,
        told,
    )


if __name__ == "__main__":
    main()
