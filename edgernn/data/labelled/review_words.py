"""The words of generated reviews, and what each says.

A statement is a form with an adjective put in: ``far from {}`` and ``boring``. Whether it praises
is the adjective's side, turned round by a form that denies.
"""

from __future__ import annotations

ADJECTIVES = {
    True: (
        "good",
        "great",
        "wonderful",
        "charming",
        "clever",
        "lovely",
        "brilliant",
        "delightful",
        "superb",
        "fine",
        "pleasant",
        "splendid",
    ),
    False: (
        "bad",
        "boring",
        "dull",
        "awful",
        "terrible",
        "poor",
        "weak",
        "tedious",
        "dreadful",
        "clumsy",
        "bland",
        "horrible",
    ),
}  # whether it praises -> the adjectives
FORMS = {
    False: ("{}", "very {}", "really {}", "truly {}", "simply {}", "quite {}"),
    True: ("not {}", "not at all {}", "never {}", "far from {}", "anything but {}", "hardly {}"),
}  # whether it denies -> the forms
ASPECTS = (
    "it",
    "the film",
    "the acting",
    "the story",
    "the music",
    "the ending",
    "the beginning",
    "the camera work",
    "the hero",
    "the villain",
    "the dialogue",
    "the humour",
    "the cast",
    "the second half",
    "the plot",
)
# What is said last of all is said with {of}, one of two ends, where the second one turns the
# statement round.
VERDICTS = (
    ("{said}.", ()),
    ("{thing} was {said}.", ()),
    ("I found {thing} {said}.", ()),
    ("{other} was {opposite}, but {thing} was {said}.", ()),
    ("although {other} was {opposite}, {thing} was {said}.", ()),
    ("{thing} was {said}, although {other} was {opposite}.", ()),
    ("I once found that {thing} was {opposite}; now I find that it is {said}.", ()),
    ("I expected {thing} to be {plain}, {end}.", ("and it was", "but it was not")),
    ("my friends said that {thing} was {said}, and they were {end}.", ("right", "wrong")),
    ("{end} could say that {thing} was {said}.", ("everybody", "nobody")),
)
FILLERS = (
    "we saw it on Monday.",
    "we saw it on Friday night.",
    "it lasts two hours.",
    "it is the third of its kind.",
    "there were ten of us.",
    "my sister came along.",
    "it is set in a small town.",
    "the tickets were sold at the door.",
    "it was filmed in winter.",
    "somebody left after an hour.",
)
