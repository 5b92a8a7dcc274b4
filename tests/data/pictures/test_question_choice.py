"""What is asked about the built-in scenes: the same every time, fair, and nothing of what is held
out.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from edgernn.data.pictures.question_choice import scenes_asked
from edgernn.data.pictures.scene_questions import COUNT, PLACE, PRESENCE, Question
from edgernn.data.pictures.scenes import HELD_OUT
from edgernn.errors import UsageError


def asked(split: str, count: int = 300) -> list[Question]:
    return [question for _, own in scenes_asked(split, count) for question in own]


def test_the_same_questions_every_time() -> None:
    assert asked("train", 40) == asked("train", 200)[: len(asked("train", 40))]


@pytest.mark.parametrize("split", ["train", "unseen"])
def test_no_answer_is_likelier_than_another_to_the_same_words(split: str) -> None:
    counts = defaultdict[str, Counter[str]](Counter)
    for question in asked(split):
        if question.kind in (COUNT, PRESENCE, PLACE):
            counts[question.text][question.answer] += 1
    assert len(counts) > 200
    for text, found in counts.items():
        possible = 2 if text.startswith("is there") else 3
        if len(found) == possible:
            assert max(found.values()) - min(found.values()) <= 1, text
        else:
            assert max(found.values()) <= 1 or len(found) > 1, text
    presence = {text: found for text, found in counts.items() if text.startswith("is there")}
    total = sum((found for found in presence.values()), Counter[str]())
    assert abs(total["yes"] - total["no"]) <= len(presence)


def test_training_asks_nothing_of_what_it_never_shows() -> None:
    words = {text.removeprefix("is there a ") for text in (q.text for q in asked("train"))}
    assert not {f"{colour} {shape}" for colour, shape in HELD_OUT} & words
    assert not any(question.about & {*HELD_OUT} for question in asked("train"))


def test_unseen_scenes_are_asked_about_what_was_never_shown() -> None:
    found = asked("unseen")
    assert all(question.about & {*HELD_OUT} for question in found if question.about)
    assert {q.answer for q in found if not q.about} <= {"no", "0"}
    colours = {q.answer for q in found if q.text == "what colour is the star"}
    assert colours == {"red"}, "the one colour that no star has in training"


def test_a_split_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match="no split 'valid'"):
        list(scenes_asked("valid", 1))
