"""What each kind of captioner reaches on scenes, by its exported ONNX files: python
benchmarks/captions.py [AMOUNT UNIT]

Of every kind one model is trained for AMOUNT UNIT (4 minutes; or steps, or epochs), exported, and
asked for greedy captions of pictures that it never saw: `test` shows combinations of colour and
shape that were trained, each picture of `unseen` at least one that was not. Pointing: while a
colour or shape word is written that names a thing of the picture, the attention's largest region
has its middle in that thing's box.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from _report import table

from edgernn.data.pictures import scene_words, scenes
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.data.pictures.scene_drawing import Scene, draw
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.beam import Hypothesis
from edgernn.decoding.captions import search_caption
from edgernn.export import export_bundle
from edgernn.families.caption_scores import score_captions
from edgernn.families.captioner import ATTENTION
from edgernn.sessions.model import open_model
from edgernn.training.caption_corpus import CaptionData
from edgernn.training.options import TrainOptions
from edgernn.training.run_captions import CaptionSetup, train_captions
from edgernn.training.schedule import Budget

KINDS = (
    ("soft-attention", "lstm"),
    ("soft-attention", "gru"),
    ("hard-attention", "lstm"),
    ("first-token", "lstm"),
    ("initial-state", "lstm"),
    ("every-step", "lstm"),
)
SPLITS = ("test", scenes.UNSEEN)


def main() -> None:
    amount, unit = sys.argv[1:3] if len(sys.argv) > 1 else ("4", "minutes")
    budget = Budget.model_validate({"unit": unit, "amount": float(amount)})
    rows = []
    for conditioning, cell in KINDS:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(
                (
                    conditioning,
                    cell,
                    *measure(Path(scratch), conditioning=conditioning, cell=cell, budget=budget),
                )
            )
            print(*rows[-1], file=sys.stderr, flush=True)
    headings = ("conditioning", "cell", "parameters", "steps")
    table(
        (
            *headings,
            *(
                f"{split}: {name}"
                for split in SPLITS
                for name in ("exact", "BLEU-4", "CIDEr-D", "pointing")
            ),
        ),
        rows,
    )


def measure(folder: Path, *, conditioning: str, cell: str, budget: Budget) -> list[str]:
    options = TrainOptions(budget=budget, batch=64, peak_rate=2e-3)
    setup = CaptionSetup(model={"conditioning": conditioning, "cell": cell})
    run = train_captions(CaptionData(), folder / "run", options=options, setup=setup)
    bundle = export_bundle(folder / "run", folder / "bundle", to="onnx")
    sessions = open_model(bundle)
    tokenizer = Tokenizer.load(bundle.path(bundle.manifest.tokenizer.path))
    cells = [f"{run.parameters:,}", str(run.steps)]
    for split in SPLITS:
        drawn = [scenes.make_scene(split, index) for index in range(scenes.SPLITS[split])]
        found = [
            search_caption(sessions, draw(scene)[None], bundle.manifest.decoding) for scene in drawn
        ]
        written = [caption_text(tokenizer, hypothesis.tokens) for hypothesis in found]
        scores = score_captions(written, [scene_words.captions(scene) for scene in drawn])
        cells += [
            f"{scores['exact_match']:.1%}",
            f"{scores['bleu_4']:.3f}",
            f"{scores['cider_d']:.2f}",
        ]
        cells.append(pointing(drawn, written, found))
    return cells


def pointing(drawn: list[Scene], written: list[str], found: list[Hypothesis]) -> str:
    hits = []
    for scene, text, hypothesis in zip(drawn, written, found, strict=True):
        if ATTENTION not in hypothesis.outputs:
            return "–"
        attention = hypothesis.outputs[ATTENTION]  # [N, R]
        grid = round(attention.shape[1] ** 0.5)
        for named in scene_words.named_boxes(scene, text.split()):
            row, column = divmod(int(attention[named.position].argmax()), grid)
            if named.box is not None:
                hits.append(named.box.contains((column + 0.5) / grid, (row + 0.5) / grid))
    return f"{np.mean(hits):.1%}"


if __name__ == "__main__":
    main()
