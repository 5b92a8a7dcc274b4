"""Caption scores: the package's figures against ones worked out by hand, and texts that could trip
it.
"""

from __future__ import annotations

import re
import sys
from math import exp, log, sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.errors import UnavailableError, UsageError
from edgernn.families.caption_scores import normalise, score_captions
from edgernn.formats.installed import install_command

pytest.importorskip("pycocoevalcap", reason="pycocoevalcap is not installed")

PARK, MAT = "a dog runs in the park", "one cat sleeps on her mat"  # six words each, none in common
NAMES = ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d", "exact_match"]
CAPTIONS = st.lists(
    st.sampled_from(["a", "dog", "cat", "runs", "on", "grass"]), min_size=1, max_size=7
).map(" ".join)
PAIRS = st.lists(
    st.tuples(CAPTIONS | st.just(""), st.lists(CAPTIONS, min_size=1, max_size=3)),
    min_size=1,
    max_size=6,
)


def f_measure(precision: float, recall: float) -> float:
    return (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)


def test_identical_captions_score_full_marks() -> None:
    scores = score_captions([PARK, MAT], [[PARK], [MAT]])
    assert list(scores) == NAMES
    assert all(type(score) is float for score in scores.values())
    assert scores == pytest.approx({name: 10.0 if name == "cider_d" else 1.0 for name in NAMES})


def test_captions_with_nothing_in_common_score_nothing() -> None:
    scores = score_captions([MAT, PARK], [[PARK], [MAT]])
    assert scores == pytest.approx(dict.fromkeys(NAMES, 0.0), abs=1e-6)


def test_a_caption_without_a_word_scores_nothing() -> None:
    assert score_captions(["", "?!"], [[PARK], [MAT]]) == dict.fromkeys(NAMES, 0.0)
    half = score_captions([PARK, ""], [[PARK], [MAT]])
    assert half["rouge_l"] == 0.5
    assert half["cider_d"] == pytest.approx(5)
    assert half["exact_match"] == 0.5
    assert half["bleu_1"] == pytest.approx(exp(1 - 12 / 6))  # 6 of 6 words right, 12 wanted


def test_bleu_clips_repeated_words() -> None:
    # Papineni et al. 2002, section 2.1: "the" counts twice, as often as in the reference that has
    # most of it.
    scores = score_captions(
        ["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]]
    )
    assert scores["bleu_1"] == pytest.approx(2 / 7)
    assert scores["bleu_2"] == pytest.approx(0, abs=1e-6)


def test_bleu_is_the_geometric_mean_of_the_precisions() -> None:
    # 5 of 6 words, 3 of 5 pairs and 1 of 4 triples are right; no penalty.
    scores = score_captions(["a dog runs in a park"], [[PARK]])
    assert scores["bleu_1"] == pytest.approx(5 / 6)
    assert scores["bleu_2"] == pytest.approx(sqrt(5 / 6 * 3 / 5))
    assert scores["bleu_3"] == pytest.approx((5 / 6 * 3 / 5 * 2 / 4) ** (1 / 3))
    assert scores["bleu_4"] == pytest.approx((5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4))


def test_bleu_punishes_captions_that_are_too_short() -> None:
    assert score_captions(["a dog runs"], [[PARK]])["bleu_1"] == pytest.approx(exp(1 - 6 / 3))
    assert score_captions([PARK + " now"], [[PARK]])["bleu_1"] == pytest.approx(6 / 7)
    closest = score_captions(["a dog runs"], [[PARK, "a dog runs fast"]])
    assert closest["bleu_1"] == pytest.approx(exp(1 - 4 / 3))


def test_bleu_is_of_the_corpus_and_not_a_mean() -> None:
    scores = score_captions(["a dog", MAT], [["a cat"], [MAT]])
    assert scores["bleu_1"] == pytest.approx(7 / 8)  # and not (1/2 + 1) / 2


def test_bleu_without_any_n_gram_of_a_length() -> None:
    scores = score_captions(["a dog"], [["a dog"]])
    assert scores["bleu_2"] == pytest.approx(1)
    assert scores["bleu_3"] == pytest.approx(1e-6 ** (1 / 3), rel=1e-6)


def test_rouge_takes_the_longest_common_subsequence() -> None:
    # "a dog … the park" of the 5 words written and of the 6 wanted
    assert score_captions(["a dog near the park"], [[PARK]])["rouge_l"] == pytest.approx(
        f_measure(4 / 5, 4 / 6)
    )
    # the best precision comes from one reference (4 of 5) and the best recall from the other (2 of
    # 2)
    two = score_captions(["a dog near the park"], [[PARK, "a dog"]])
    assert two["rouge_l"] == pytest.approx(f_measure(4 / 5, 2 / 2))


def test_cider_by_hand() -> None:
    # Two pictures; every n-gram of the first reference stands in it alone, so each weighs log 2 and
    # the weight cancels. Of the candidate's 3, 2, 1 and 0 n-grams 2, 1, 0 and 0 are among the
    # reference's 2, 1, 0 and 0. Lengths differ by 1.
    cosines = 2 / (sqrt(3) * sqrt(2)) + 1 / (sqrt(2) * sqrt(1))
    expected = 10 * cosines / 4 * exp(-1 / (2 * 6**2))
    assert score_captions(["red bus stops", ""], [["red bus"], [MAT]])["cider_d"] == pytest.approx(
        expected / 2
    )


def test_cider_clips_repeated_words() -> None:
    # The candidate's vector is (3, 0) and the reference's (1, 1): min(3, 1) · 1 over the two
    # lengths. Pairs: none in common.
    expected = 10 * (1 / (3 * sqrt(2))) / 4 * exp(-1 / (2 * 6**2))
    assert score_captions(["bus bus bus", ""], [["red bus"], [MAT]])["cider_d"] == pytest.approx(
        expected / 2
    )


def test_cider_weighs_words_by_how_few_pictures_have_them() -> None:
    # "a" stands in the references of 2 of 3 pictures, "bus" and "cat" in 1 each. One-word overlap:
    # "a" or "bus".
    references = [["a bus"], ["a cat"], [MAT.replace("cat", "dog")]]
    common, rare = log(3 / 2), log(3)
    length = sqrt(common**2 + rare**2)
    cider = [score_captions([word, "", ""], references)["cider_d"] for word in ("a", "bus")]
    penalty = exp(-1 / (2 * 6**2))
    assert cider == pytest.approx(
        [10 / 4 * weight / length * penalty / 3 for weight in (common, rare)]
    )


def test_cider_is_nothing_where_all_references_are_alike() -> None:
    assert score_captions([PARK], [[PARK]])["cider_d"] == 0
    alike = score_captions([PARK, PARK], [[PARK], [PARK]])
    assert alike["cider_d"] == 0
    assert alike["bleu_4"] == pytest.approx(1)


def test_a_short_caption_cannot_reach_ten() -> None:
    assert score_captions(["red bus", MAT], [["red bus"], [MAT]])["cider_d"] == pytest.approx(
        (5 + 10) / 2
    )


def test_an_exact_match_is_with_any_reference() -> None:
    scores = score_captions([PARK, "A cat.", "a mat"], [[MAT, PARK], ["a CAT!"], [MAT]])
    assert scores["exact_match"] == pytest.approx(2 / 3)


def test_case_and_punctuation_do_not_count() -> None:
    plain = score_captions([PARK, "a cat"], [[PARK], [MAT]])
    assert (
        score_captions(
            ["A dog runs, in the PARK.", "a  cat\n"], [["a dog runs in the park!"], [MAT]]
        )
        == plain
    )


def test_a_reference_without_a_word_is_left_out() -> None:
    assert score_captions([PARK, ""], [[PARK, "..."], ["", MAT]]) == score_captions(
        [PARK, ""], [[PARK], [MAT]]
    )


@settings(deadline=None)
@given(pairs=PAIRS, random=st.randoms(use_true_random=False))
def test_the_order_does_not_matter(pairs: list[tuple[str, list[str]]], random: Random) -> None:
    scores = score_captions([candidate for candidate, _ in pairs], [texts for _, texts in pairs])
    shuffled = [(candidate, random.sample(texts, len(texts))) for candidate, texts in pairs]
    random.shuffle(shuffled)
    again = score_captions(
        [candidate for candidate, _ in shuffled], [texts for _, texts in shuffled]
    )
    assert again == pytest.approx(scores, abs=1e-9)
    assert all(
        0 <= score <= (10 if name == "cider_d" else 1) + 1e-9 for name, score in scores.items()
    )


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    score_captions([PARK], [[PARK]])
    assert capfd.readouterr() == ("", "")


def test_nothing_that_was_given_is_changed() -> None:
    candidates, references = ["A dog.", ""], [["", "A Dog!"], [MAT]]
    score_captions(candidates, references)
    assert (candidates, references) == (["A dog.", ""], [["", "A Dog!"], [MAT]])


@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        ([], [], "no caption to score"),
        ([PARK], [], "1 candidates and 0 lists of references"),
        ([PARK], [[PARK], [MAT]], "1 candidates and 2 lists of references"),
        ([PARK, MAT], [[PARK], []], rf"candidate 1 \('{MAT}'\) has no reference with a word"),
        ([PARK], [["", "..."]], "candidate 0 .* has no reference with a word"),
        ([PARK], [PARK], f"are the text '{PARK}'; give a list of texts"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    candidates: list[str], references: list[list[str]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        score_captions(candidates, references)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocoevalcap.cider.cider", None)
    with pytest.raises(
        UnavailableError, match="need pycocoevalcap; run: " + re.escape(install_command("train"))
    ):
        score_captions([PARK], [[PARK]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog, running.", "a dog running"),
        ("  two\twords\n", "two words"),
        ("The dog's T-shirt isn't 'clean'", "the dog's t-shirt isn't clean"),
        ("it\u2019s", "it's"),
        ("so--called -- 'n' dogs' rock-'n'-roll", "so called n dogs rock n roll"),
        ("2 x 3½ apples_pears", "2 x 3½ apples pears"),
        ("CAFE\u0301 Ångström", "caf\u00e9 ångström"),
        ("एक कुत्ता", "एक कुत्ता"),  # its vowel signs are marks, not letters
        ("?!", ""),
        ("", ""),
    ],
)
def test_words_are_letters_and_digits(text: str, words: str) -> None:
    assert normalise(text) == words


@settings(deadline=None)
@given(text=st.text())
def test_words_are_stable_and_singly_spaced(text: str) -> None:
    words = normalise(text)
    assert normalise(words) == words
    assert words.split() == words.split(" ") or words == ""
