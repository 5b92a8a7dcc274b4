"""Questions about a drawn scene, with their answers: what colour, what shape, how many, is there,
where.

Every question that a scene can be asked is made from what the scene says of itself; a thing is
named by words that only it has. ``question_choice`` chooses among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgernn.data.pictures.scene_drawing import SHAPES, Box, Scene, Thing
from edgernn.data.pictures.scene_paint import COLOURS

COLOUR, SHAPE, COUNT, PRESENCE, PLACE = KINDS = ("colour", "shape", "count", "presence", "place")
_COUNTS = ("0", "1", "2")
_SIDES = ("left", "right", "above", "below")
_SIDE_WORDS = {"left": "left", "right": "right", "above": "upper", "below": "lower"}
_PLACES = ("top left", "top right", "middle", "bottom left", "bottom right")
ANSWERS = (*COLOURS, *SHAPES, *_COUNTS, "yes", "no", *_SIDES, *_PLACES)
Kinds = frozenset[tuple[str, str]]  # pairs of a colour and a shape


@dataclass(frozen=True)
class Question:
    """A question and its answer.

    Attributes:
        kind: one of ``KINDS``.
        text: lower-case words, a single space apart, without a question mark.
        answer: one of ``ANSWERS``.
        about: the pairs of a colour and a shape that it is about: those of the things that it names
            or counts, and the pair that it asks for.
    """

    kind: str
    text: str
    answer: str
    about: Kinds


def all_questions(scene: Scene) -> Iterator[Question]:
    """Yield every question that can be asked about a scene."""
    for thing in scene.things:
        others = [f"{word} thing".strip() for word in _words_apart(scene, thing)]
        for name in [thing.shape] * _alone(scene, shape=thing.shape) + others:
            yield Question(COLOUR, f"what colour is the {name}", thing.colour, _pairs(thing))
        for name in [f"{thing.colour} thing"] * _alone(scene, colour=thing.colour) + others:
            yield Question(SHAPE, f"what shape is the {name}", thing.shape, _pairs(thing))
    yield from _counts(scene)
    yield from _presences(scene)
    yield from _places(scene)


def possible_answers(question: Question) -> tuple[str, ...]:
    """Return the answers that the words of a question alone allow; none where they depend on which
    pairs of a colour and a shape there are.
    """
    if question.kind == COUNT:
        return _COUNTS[1:] if question.text == "how many things are there" else _COUNTS
    if question.kind == PLACE:
        return _SIDES if "seen from" in question.text else _PLACES
    return ("yes", "no") if question.kind == PRESENCE else ()


def _counts(scene: Scene) -> Iterator[Question]:
    def ask(what: str, counted: tuple[Thing, ...]) -> Question:
        text = f"how many {what} are there"
        return Question(COUNT, text, str(len(counted)), _pairs(*counted))

    yield ask("things", scene.things)
    for colour in COLOURS:
        yield ask(f"{colour} things", _called(scene, colour=colour))
    for shape in SHAPES:
        yield ask(f"{shape}es" if shape == "cross" else f"{shape}s", _called(scene, shape=shape))


def _presences(scene: Scene) -> Iterator[Question]:
    """Questions whether something is there; of a pair that is not there one word at least is."""

    def ask(what: str, found: tuple[Thing, ...], about: Kinds) -> Question:
        text = f"is there {'an' if what[0] in 'aeiou' else 'a'} {what}"
        return Question(PRESENCE, text, "yes" if found else "no", about)

    for colour in COLOURS:
        found = _called(scene, colour=colour)
        yield ask(f"{colour} thing", found, _pairs(*found))
    for shape in SHAPES:
        found = _called(scene, shape=shape)
        yield ask(shape, found, _pairs(*found))
    seen = {(thing.colour, thing.shape) for thing in scene.things}
    for colour in COLOURS:
        for shape in SHAPES:
            if any(colour == own or shape == other for own, other in seen):
                both = _called(scene, colour=colour, shape=shape)
                yield ask(f"{colour} {shape}", both, frozenset({(colour, shape)}))


def _places(scene: Scene) -> Iterator[Question]:
    if len(scene.things) == 1:
        (thing,) = scene.things
        for name in _names(scene, thing):
            text = f"where is the {name}"
            yield Question(PLACE, text, _place(thing.box), _pairs(thing))
        return
    for thing, other in (scene.things, scene.things[::-1]):
        for name in _names(scene, thing):
            for seen_from in _names(scene, other):
                text = f"where is the {name} seen from the {seen_from}"
                yield Question(PLACE, text, _side(thing.box, other.box), _pairs(thing, other))


def _called(scene: Scene, *, colour: str = "", shape: str = "") -> tuple[Thing, ...]:
    """Return the things of a colour, of a shape, or of both."""
    return tuple(
        thing
        for thing in scene.things
        if colour in ("", thing.colour) and shape in ("", thing.shape)
    )


def _alone(scene: Scene, *, colour: str = "", shape: str = "") -> bool:
    return len(_called(scene, colour=colour, shape=shape)) == 1


def _names(scene: Scene, thing: Thing) -> Iterator[str]:
    """Yield what names a thing and no other of the scene."""
    if _alone(scene, shape=thing.shape):
        yield thing.shape
    if _alone(scene, colour=thing.colour):
        yield f"{thing.colour} thing"
    yield f"{thing.colour} {thing.shape}"


def _words_apart(scene: Scene, thing: Thing) -> Iterator[str]:
    """Yield the words that tell a thing from the other by neither colour nor shape: its size where
    that is another, and its side; no word where it is alone.
    """
    others = [other for other in scene.things if other is not thing]
    if not others:
        yield ""
    for other in others:
        if thing.size != other.size:
            yield thing.size
        yield _SIDE_WORDS[_side(thing.box, other.box)]


def _pairs(*things: Thing) -> Kinds:
    return frozenset((thing.colour, thing.shape) for thing in things)


def _place(box: Box) -> str:
    x, y = box.centre
    if max(abs(x - 0.5), abs(y - 0.5)) < 0.1:
        return "middle"
    return f"{'top' if y < 0.5 else 'bottom'} {'left' if x < 0.5 else 'right'}"


def _side(box: Box, other: Box) -> str:
    """Return on which side of the thing in ``other`` that in ``box`` is."""
    (x, y), (other_x, other_y) = box.centre, other.centre
    if abs(y - other_y) > abs(x - other_x):
        return "above" if y < other_y else "below"
    return "left" if x < other_x else "right"
