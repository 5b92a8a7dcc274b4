"""The generated sentences: a word's tag follows from the words before it, not from the word."""

from __future__ import annotations

from collections import defaultdict

import pytest

from edgernn.data.clips.sentences import TAGS, make_sentence, make_sentences
from edgernn.errors import UsageError


def test_the_tags_of_a_sentence_follow_from_its_words() -> None:
    found = {
        " ".join(word for word, _ in made): [tag for _, tag in made]
        for made in make_sentences("train", 400)
    }
    assert make_sentence("train", 7) == make_sentence("train", 7)
    assert len(found) > 300
    for text, tags in found.items():
        words, state = text.split(), ""
        for place, (word, tag) in enumerate(zip(words, tags, strict=True)):
            two = " ".join(words[max(0, place - 1) : place + 1])
            if two in {"turn on", "switch on"} or word in {"start", "light"}:
                state = "on"
            elif two in {"turn off", "switch off"} or word in {"stop", "dim"}:
                state = "off"
            elif two == "but not":
                state = "kept"
            if tag in {"on", "off", "kept"}:
                assert tag == state, text


def test_no_word_with_a_tag_has_it_by_itself() -> None:
    tags: dict[str, set[str]] = defaultdict(set)
    for made in make_sentences("train", 600):
        for word, tag in made:
            tags[word].add(tag)
    seen = set().union(*tags.values())
    assert seen == set(TAGS)
    assert all(len(own) > 1 for own in tags.values() if own != {"other"})


def test_a_sentence_that_there_is_not_is_told() -> None:
    with pytest.raises(UsageError, match="no split 'x' of sentences"):
        make_sentence("x", 0)
    with pytest.raises(UsageError, match="no sentence -1"):
        make_sentence("train", -1)
