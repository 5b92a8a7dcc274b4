"""Which questions of a drawn scene are asked, so that no question gives its answer away.

Among the questions of one text every answer is as often as every other: yes as no, one as two, left
as above. Where the answers depend on which pairs of a colour and a shape there are, as those of
"what colour is the star", they are as even as the pairs allow. In training nothing is asked of the
pairs that training never shows; of the scenes that show them, what is about such a pair, and what
is not there at all, so that "yes" and "1" are no likelier than "no" and "0".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from edgernn.data.pictures.scene_drawing import Scene
from edgernn.data.pictures.scene_questions import KINDS, Question, all_questions, possible_answers
from edgernn.data.pictures.scenes import HELD_OUT, SPLITS, UNSEEN, make_scene

_HELD_OUT = frozenset(HELD_OUT)


def scenes_asked(
    split: str, count: int, *, each: int = 2, seed: int = 0
) -> Iterator[tuple[Scene, tuple[Question, ...]]]:
    """Yield the first ``count`` scenes of a split with the questions that are asked about them.

    Args:
        split: a key of ``scenes.SPLITS``.
        count: how many scenes.
        each: the most questions of a kind that a scene is asked.
        seed: of the scenes, 0 or more; the same arguments give the same questions.

    Raises:
        UsageError: as for ``make_scene``.
    """
    asked = Counter[tuple[str, str]]()  # text and answer → how often
    rng = np.random.default_rng([seed, 1 + list(SPLITS).index(split) if split in SPLITS else 0])
    for index in range(count):
        scene = make_scene(split, index, seed=seed)
        yield scene, tuple(_choose(scene, split, asked, each=each, rng=rng))


def _choose(
    scene: Scene,
    split: str,
    asked: Counter[tuple[str, str]],
    *,
    each: int,
    rng: np.random.Generator,
) -> Iterator[Question]:
    """Yield up to ``each`` questions of every kind, those first that were asked least so far."""
    allowed = [question for question in all_questions(scene) if _belongs(question, split)]
    for kind in KINDS:
        of_kind = [question for question in allowed if question.kind == kind]
        rng.shuffle(of_kind)
        of_kind.sort(key=lambda question: asked[question.text, question.answer])
        fair = [question for question in of_kind if _is_fair(question, asked)]
        for question in fair[:each]:
            asked[question.text, question.answer] += 1
            yield question


def _belongs(question: Question, split: str) -> bool:
    """Whether a question may be asked in a split; one about nothing has an answer such as "no"."""
    held_out = bool(question.about & _HELD_OUT)
    return (held_out or not question.about) if split == UNSEEN else not held_out


def _is_fair(question: Question, asked: Counter[tuple[str, str]]) -> bool:
    """Whether no other answer to the same words was given less often so far."""
    others = possible_answers(question)
    own = asked[question.text, question.answer]
    return all(own <= asked[question.text, other] for other in others)
