"""What is asked about a drawn scene has the answer that the scene gives."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.data.pictures.scene_drawing import Background, Box, Scene, Thing
from edgernn.data.pictures.scene_questions import ANSWERS, KINDS, all_questions, possible_answers
from edgernn.data.pictures.scenes import SPLITS, make_scene

GROUND = Background("plain", (90, 90, 90), (120, 120, 120), 1)


def thing(colour: str, shape: str, box: Box) -> Thing:
    return Thing("small", colour, shape, box, (0, 0, 0))


LEFT, RIGHT = Box(0.1, 0.4, 0.3, 0.6), Box(0.6, 0.45, 0.8, 0.65)


def answers(scene: Scene) -> dict[str, str]:
    found = list(all_questions(scene))
    assert len({each.text for each in found}) == len(found), "each is asked once"
    return {each.text: each.answer for each in found}


def test_two_things_are_asked_about_as_they_stand() -> None:
    found = answers(Scene((thing("red", "star", LEFT), thing("orange", "cross", RIGHT)), GROUND))
    assert found["what colour is the star"] == "red"
    assert found["what shape is the orange thing"] == "cross"
    assert found["what colour is the right thing"] == "orange"
    assert "what colour is the small thing" not in found, "both are small"
    assert found["how many things are there"] == "2"
    assert found["how many crosses are there"] == "1"
    assert found["how many blue things are there"] == "0"
    assert found["is there an orange cross"] == "yes"
    assert found["is there an orange star"] == "no"
    assert "is there a blue circle" not in found, "of neither word there is anything"
    assert found["is there a blue thing"] == "no"
    assert found["where is the star seen from the orange thing"] == "left"
    assert found["where is the orange cross seen from the red star"] == "right"
    assert "where is the star" not in found


def test_a_thing_is_named_by_what_it_alone_has() -> None:
    found = answers(Scene((thing("red", "star", LEFT), thing("red", "cross", RIGHT)), GROUND))
    assert "what shape is the red thing" not in found
    assert found["how many red things are there"] == "2"
    assert found["where is the cross seen from the red star"] == "right"
    assert "where is the red thing seen from the star" not in found


def test_one_thing_has_a_place() -> None:
    found = answers(Scene((thing("blue", "circle", Box(0.7, 0.1, 0.9, 0.3)),), GROUND))
    assert found["what colour is the thing"] == "blue"
    assert found["where is the blue circle"] == found["where is the circle"] == "top right"


def test_above_and_below() -> None:
    high, low = Box(0.4, 0.1, 0.6, 0.3), Box(0.5, 0.6, 0.7, 0.8)
    large = replace(thing("red", "cross", low), size="large")
    found = answers(Scene((thing("blue", "star", high), large), GROUND))
    assert (
        found["what shape is the upper thing"] == found["what shape is the small thing"] == "star"
    )
    assert found["what colour is the large thing"] == "red"
    assert found["where is the star seen from the cross"] == "above"
    assert found["where is the cross seen from the star"] == "below"


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(list(SPLITS)), st.integers(0, 10_000))
def test_every_question_has_one_of_the_answers(split: str, index: int) -> None:
    scene = make_scene(split, index)
    there = {(each.colour, each.shape) for each in scene.things}
    for question in all_questions(scene):
        assert question.kind in KINDS and question.answer in ANSWERS
        assert question.answer in (possible_answers(question) or ANSWERS)
        assert question.text == " ".join(question.text.split()).lower()
        if question.answer == "yes":
            assert question.about <= there
