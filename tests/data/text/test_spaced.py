"""Words between white space: the cuts of Python's ``str.split()``, the same by dict as by the
library.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from edgernn.data.text.spaced import is_spaced, spaced_pipeline
from edgernn.data.text.token_kinds import anatomy, kind_of
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.stream_decoder import StreamDecoder
from edgernn.errors import DataError

IDS = {"##c": 0, "the": 3, "cat": 1, "\n": 4, "<unk>": 2, "sat.": 5}
WITHOUT = {"cat": 1, "the": 0}


def tokenizer(vocabulary: dict[str, int], unknown: str | None = None) -> Tokenizer:
    return Tokenizer.from_json(spaced_pipeline(vocabulary, unknown=unknown).to_str())


def upstream(text: str, vocabulary: dict[str, int], unknown: int) -> list[int]:
    ids: list[int] = []
    for number, line in enumerate(text.split("\n")):
        ids += [vocabulary["\n"]] * (number > 0)
        ids += [vocabulary.get(word, unknown) for word in line.split()]
    return ids


def test_every_character_cuts_as_in_python() -> None:
    library = spaced_pipeline({"x": 0}, unknown=None).pre_tokenizer
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    text = "".join(f"x{chr(code)}y" for code in codes)
    assert [word for word, _ in library.pre_tokenize_str(text)] == text.split()


@given(st.text(alphabet="thecas. \n\r\t\x1f\x85\u2028", max_size=80))
def test_encodes_as_the_library_and_as_upstream(text: str) -> None:
    made = tokenizer(IDS, "<unk>")
    found = made.encode(text).tolist()
    assert found == tokenizers.Tokenizer.from_str(made.to_json()).encode(text).ids
    assert found == upstream(text, IDS, IDS["<unk>"])


@given(st.lists(st.sampled_from(sorted(IDS.values())), max_size=12))
def test_text_has_its_words_and_lines_and_streams_alike(ids: list[int]) -> None:
    made = tokenizer(IDS, "<unk>")
    text, decoder = made.decode(ids), StreamDecoder(made)
    assert made.encode(text).tolist() == ids
    assert "".join(map(decoder.push, ids)) + decoder.flush() == text


def test_a_line_end_has_no_spaces_around_it() -> None:
    assert tokenizer(IDS).decode([3, 1, 4, 4, 0, 5, 4]) == "the cat\n\n##c sat.\n"


def test_kind_unknown_words_and_bulk_parts() -> None:
    made = tokenizer(IDS, "<unk>")
    assert (made.kind, made.unknown_id) == ("spaced", 2)
    assert made.encode("the <unk> dog").tolist() == [3, 2, 2]
    assert made.encode("the <unk> dog", on_unknown="skip").tolist() == [3]
    parts = list(made.encode_stream(["the c", "at\nt", "he cat"]))
    assert np.concatenate(parts).tolist() == [3, 1, 4, 3, 1]


def test_words_that_no_token_stands_for_are_named() -> None:
    made = tokenizer(WITHOUT)
    assert made.encode("the\ncat").tolist() == [0, 1]  # no token for a line end: white space
    assert made.encode("the dog cat", on_unknown="skip").tolist() == [0, 1]
    with pytest.raises(DataError, match=r"has no 'dog', 'ran'; it knows 2 words\. Remove them"):
        made.encode("the dog ran dog")


@pytest.mark.parametrize("captions", [True, False])
def test_another_structure_is_not_one(captions: bool) -> None:
    library = spaced_pipeline(IDS, unknown="UNK", captions=captions)
    structure = anatomy(library)[0]
    assert is_spaced(structure, captions=captions)
    assert not is_spaced(structure, captions=not captions)
    other = json.loads(library.to_str())
    other["pre_tokenizer"]["pattern"]["Regex"] = "a+"
    assert kind_of(tokenizers.Tokenizer.from_str(json.dumps(other))) == "custom"


def test_captions_are_lower_case_and_have_any_ids() -> None:
    library = spaced_pipeline(
        {"<end>": 0, "a": 1, "dog": 2, "UNK": 3}, unknown="UNK", captions=True
    )
    made = Tokenizer.from_json(library.to_str())
    assert made.kind == "caption"
    assert made.encode("A  DOG barks").tolist() == [1, 2, 3]
    assert (made.id_of("<end>"), made.id_of("<start>"), made.unknown_id) == (0, None, 3)
