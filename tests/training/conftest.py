"""A small set of drawn pictures to train captioners on, and a task on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgernn.data.pictures import scenes
from edgernn.data.pictures.picture_set import PictureSet
from edgernn.data.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from edgernn.models.captioner import Captioner
    from edgernn.training.captions import CaptionTask

SIZE, TRAIN, VALIDATION = 32, 9, 4
PLAIN = {"word_dropout": 0.0, "label_smoothing": 0.0}


@pytest.fixture(scope="session")
def picture_set(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    """Nine pictures to train on and four to measure on, five captions each. Read only."""
    drawn = {
        split: scenes.examples(split, count, size=SIZE)
        for split, count in (("train", TRAIN), ("validation", VALIDATION))
    }
    promised = {"train": (TRAIN, drawn["train"]), "validation": (VALIDATION, drawn["validation"])}
    return PictureSet.write(
        tmp_path_factory.mktemp("pictures") / "set", promised, size=SIZE, source="a test"
    )


@pytest.fixture(scope="session")
def scene_tokenizer(picture_set: PictureSet) -> Tokenizer:
    """The words of the training captions."""
    lines = [
        f"{text}\n" for index in picture_set.split("train") for text in picture_set.captions[index]
    ]
    return Tokenizer.build(lines, "caption", minimum_count=1)


@pytest.fixture
def make_task(
    make_captioner: Callable[..., Captioner],
    picture_set: PictureSet,
    scene_tokenizer: Tokenizer,
    tmp_path: Path,
) -> Callable[..., CaptionTask]:
    """Build a task; ``model`` and ``options`` are those of the captioner and its loss, the rest the
    task's own.
    """
    from edgernn.training.caption_objective import CaptionOptions
    from edgernn.training.captions import CaptionTask
    from edgernn.training.distributed import World

    def make(
        *,
        model: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> CaptionTask:
        shape = {
            "vocabulary": scene_tokenizer.vocabulary_size,
            "dropout": 0.0,
            "length": 20,
            **(model or {}),
        }
        captioner = make_captioner(**shape)
        chosen: dict[str, Any] = {
            "world": World(),
            "batch": 4,
            "seed": 0,
            "mixed": False,
            "folder": tmp_path,
            "about": {},
        }
        return CaptionTask(
            captioner,
            picture_set,
            tokenizer=scene_tokenizer,
            options=CaptionOptions.model_validate({**PLAIN, **(options or {})}),
            decoding=captioner.config.decoding(scene_tokenizer),
            **{**chosen, **settings},
        )

    return make
