"""Caption scores: what written captions have in common with the captions that people wrote for the
same pictures.

The scores are those of the COCO evaluation (Chen et al. 2015, https://arxiv.org/abs/1504.00325)
that need no Java, computed by the package pycocoevalcap. Its tokenizer does need Java, so
``normalise`` stands in for it: it keeps ``don't`` one word where that tokenizer makes two, and
published figures can differ a little for that reason alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from edgernn.errors import UnavailableError, UsageError
from edgernn.formats.installed import install_command

_WORD = re.compile(
    r"[^ '-]+(?:['-][^ '-]+)*"
)  # apostrophes and hyphens only between what they join
_LETTERS_MARKS_DIGITS = "LMN"  # the first letters of their Unicode categories
_LONGEST = 4  # words of an n-gram
SCORES = (
    "cider_d",
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
    "rouge_l",
    "exact_match",
)  # the first is trained for


def score_captions(
    candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Score one candidate caption per picture against that picture's references.

    ``bleu_1`` … ``bleu_4`` (Papineni et al. 2002): of the whole corpus, from 0 to 1. Each counts
    n-grams of 1 up to that many words, clipped by the reference that has most of them; the brevity
    penalty takes the reference closest in length. Where the candidates have no n-gram of some
    length at all, the package takes 10⁻⁶ as its precision.

    ``rouge_l`` (Lin 2004): the mean over pictures, from 0 to 1, of the F-measure of the longest
    common subsequence, with β = 1.2. Precision and recall are each the best over the references.

    ``cider_d``: the mean over pictures, from 0 to 10, of what the package calls Cider and is
    CIDEr-D (Vedantam et al. 2015, https://arxiv.org/abs/1411.5726): cosines between tf-idf vectors,
    clipped to the reference's counts, times a Gaussian of the difference in length with σ = 6,
    averaged over the references and over 1- to 4-grams, times 10. The idf of an n-gram is
    log(pictures / pictures with it in a reference), taken from these references, so the score
    depends on the set: what stands in every picture's references counts nothing. It is 0 for a
    single picture, and where all pictures have the same references. A caption of fewer than 4 words
    cannot reach 10.

    ``exact_match``: the share of candidates that equal one of their references.

    All see the text as ``normalise`` returns it. A candidate without a word scores 0 for its
    picture; a reference without one is left out.

    Args:
        candidates: one caption per picture.
        references: one or more captions per picture, in the order of ``candidates``.

    Raises:
        UnavailableError: pycocoevalcap is not installed.
        UsageError: nothing to score, not as many lists of references as candidates, a candidate
            without references, or a text in place of a list of references.
    """
    written, known = _checked(candidates, references)
    try:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError as error:
        raise UnavailableError(
            f"caption scores need pycocoevalcap; run: {install_command('train')}"
        ) from error
    expected, found = (
        dict(enumerate(known)),
        {picture: [caption] for picture, caption in enumerate(written)},
    )
    bleu, _ = Bleu(_LONGEST).compute_score(
        expected, found, verbose=0
    )  # it prints its counts unless told not to
    rouge, _ = Rouge().compute_score(expected, found)
    cider, _ = Cider(n=_LONGEST).compute_score(expected, found)
    matches = sum(caption in captions for caption, captions in zip(written, known, strict=True))
    return {
        **{f"bleu_{n}": float(score) for n, score in enumerate(bleu, 1)},
        "rouge_l": float(rouge),
        "cider_d": float(cider),
        "exact_match": matches / len(written),
    }


def normalise(text: str) -> str:
    """Return the words of ``text``, joined by single spaces.

    A word is lower-case letters and digits of any script, with apostrophes and hyphens only inside
    it.
    """
    folded = unicodedata.normalize("NFC", text.lower()).replace(
        "\u2019", "'"
    )  # the typographic apostrophe
    spaced = (
        c if c in "'-" or unicodedata.category(c)[0] in _LETTERS_MARKS_DIGITS else " "
        for c in folded
    )
    return " ".join(_WORD.findall("".join(spaced)))


def _checked(
    candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Return both normalised, the references without those that have no word; raise UsageError for
    what cannot be scored.
    """
    if len(candidates) != len(references):
        raise UsageError(
            f"there are {len(candidates)} candidates and {len(references)} lists of "
            "references; give one list per candidate"
        )
    if not len(candidates):
        raise UsageError(
            "there is no caption to score; give at least one candidate and its references"
        )
    single = next((texts for texts in references if isinstance(texts, str)), None)
    if single is not None:  # a text is a sequence of texts too, each of one letter
        raise UsageError(
            f"the references of one candidate are the text {single!r}; give a list of texts"
        )
    known = [[words for text in texts if (words := normalise(text))] for texts in references]
    bare = [picture for picture, captions in enumerate(known) if not captions]
    if bare:
        raise UsageError(
            f"candidate {bare[0]} ({candidates[bare[0]]!r}) has no reference with a word; give "
            "at least one"
        )
    return [normalise(text) for text in candidates], known
