"""From pictures and questions about them to the examples of a run: drawn scenes, or the user's own
file.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from edgernn import storage
from edgernn.contract import TOKENS, Record
from edgernn.data.examples import TRAIN, VALIDATION, ExampleSet
from edgernn.data.pictures.caption_splits import assign_splits
from edgernn.data.pictures.captions import CaptionCorpus, CaptionedPicture, OnMissing
from edgernn.data.pictures.picture_decoding import OnUnreadable, encode_corpus
from edgernn.data.pictures.picture_set import Example, PictureSet
from edgernn.data.pictures.question_choice import scenes_asked
from edgernn.data.pictures.question_file import Asked, read_questions
from edgernn.data.pictures.scene_drawing import draw
from edgernn.data.pictures.scenes import UNSEEN as UNSEEN_SCENES
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError
from edgernn.families.examples import LENGTHS as SAMPLE_LENGTHS
from edgernn.families.examples import TARGET
from edgernn.training.ask_network import PICTURE
from edgernn.training.ask_objective import LENGTHS, NOTHING, UNSEEN, WANTED
from edgernn.wording import some

SCENES = "scenes"
# of what is said of the examples: the answers, and what the question alone answers
ANSWERS_KEY, ALONE, UNSEEN_ALONE = "answers", "question_alone", "unseen_question_alone"
_PICTURES = "pictures"  # of a run, while its examples are made
_SEEN_SCENES, _UNSEEN_SCENES = 300, 300  # that are measured
_SAMPLE, _SAMPLE_BYTES = 256, 8 << 20  # the most questions of a held-out sample, and its pictures
_SHOWN = 3  # of what was left out
Tell = Callable[[str], None]


class AskData(Record):
    """Where pictures and questions come from.

    Attributes:
        source: ``scenes``, or a file of JSON Lines.
        images: the pictures' folder, where it is not the file's.
        scenes: how many scenes are drawn to train on.
        validation_fraction: share of the pictures, where the file names no splits.
        on_missing, on_unreadable: what to do with pictures that are not there, or that cannot be
            read.
    """

    source: str = SCENES
    images: Path | None = None
    scenes: int = Field(default=6000, ge=1, le=1_000_000)
    validation_fraction: float = Field(default=0.1, gt=0, le=0.5)
    on_missing: OnMissing = "error"
    on_unreadable: OnUnreadable = "error"


@dataclass(frozen=True, eq=False)
class Corpus:
    """Decoded pictures, and what is asked about each.

    Attributes:
        pictures: with the splits ``train`` and ``validation``.
        asked: of each picture of ``pictures``, its questions with their answers.
        unseen: which of them show a combination that training never shows.
    """

    pictures: PictureSet
    asked: tuple[tuple[Asked, ...], ...]
    unseen: np.ndarray


def make_examples(
    data: AskData,
    folder: Path,
    *,
    size: int,
    minimum_count: int,
    most_answers: int,
    tell: Tell,
) -> tuple[ExampleSet, Tokenizer, dict[str, np.ndarray]]:
    """Make the examples of a run in the new ``folder``, as ``AskObjective`` has them.

    Args:
        size: S, the side of a picture in pixels.
        minimum_count: fewest occurrences of a word; rarer ones are ``<unk>``.
        most_answers: that are told apart, the most frequent ones.

    Returns:
        the examples, the tokenizer of the questions, and a held-out sample as ``AnswererFamily``
        wants it: of unseen combinations where there are any.

    Raises:
        DataError: pictures or questions are missing, damaged or too few.
    """
    beside = folder.with_name(_PICTURES)
    try:
        corpus = (
            _drawn(data, beside, size)
            if data.source == SCENES
            else _read(data, beside, size=size, tell=tell)
        )
        answers = _answers(corpus, most_answers, tell)
        lines = (f"{question}\n" for question, _ in _of(corpus, TRAIN))
        tokenizer = Tokenizer.build(lines, "caption", minimum_count=minimum_count)
        alone = _alone(corpus, tell)
        parts = {s: _arrays(corpus, s, tokenizer, answers) for s in (TRAIN, VALIDATION)}
        made = ExampleSet.write(
            folder,
            parts,
            source=corpus.pictures.source,
            about={ANSWERS_KEY: list(answers), **alone},
        )
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return made, tokenizer, _sample(made)


def _alone(corpus: Corpus, tell: Tell) -> dict[str, float]:
    """Return what the question alone answers, of unseen combinations apart where there are any."""
    measured = corpus.pictures.split(VALIDATION)
    parts = {ALONE: [index for index in measured if not corpus.unseen[index]]}
    if corpus.unseen.any():
        parts[UNSEEN_ALONE] = [index for index in measured if corpus.unseen[index]]
    found = {
        name: question_alone(
            _of(corpus, TRAIN), (asked for index in part for asked in corpus.asked[index])
        )
        for name, part in parts.items()
    }
    of_unseen = f", {found[UNSEEN_ALONE]:.1%} of unseen combinations" if len(found) > 1 else ""
    tell(f"the question alone answers {found[ALONE]:.1%} of the validation questions{of_unseen}")
    return found


def question_alone(train: Iterable[Asked], validation: Iterable[Asked]) -> float:
    """Return the share of ``validation`` that is right who answers with the most frequent answer
    that ``train`` has for the same words; for words that it has not, for those with the same
    beginning.
    """
    known: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for question, answer in train:
        for beginning in _beginnings(question):
            known[beginning][answer] += 1
    best = {words: found.most_common(1)[0][0] for words, found in known.items()}
    guesses = [
        next(best[words] for words in _beginnings(question) if words in best) == answer
        for question, answer in validation
    ]
    return sum(guesses) / max(len(guesses), 1)


def _beginnings(question: str) -> Iterator[str]:
    """Yield a question without its last word, its last two, and so on to nothing; itself first."""
    words = question.lower().split()
    for count in range(len(words), -1, -1):
        yield " ".join(words[:count])


def _drawn(data: AskData, folder: Path, size: int) -> Corpus:
    """Draw scenes: those measured are half of seen and half of unseen combinations, in turns."""
    asked: list[tuple[Asked, ...]] = []
    unseen: list[bool] = []

    def examples(split: str, count: int) -> Iterator[Example]:
        for index, (scene, questions) in enumerate(scenes_asked(split, count)):
            asked.append(tuple((each.text, each.answer) for each in questions))
            unseen.append(split == UNSEEN_SCENES)
            yield Example(draw(scene, size), ("scene",), f"{split}-{index:05d}")

    measured = (
        example
        for pair in zip(
            examples(VALIDATION, _SEEN_SCENES), examples(UNSEEN_SCENES, _UNSEEN_SCENES), strict=True
        )
        for example in pair
    )
    count = _SEEN_SCENES + _UNSEEN_SCENES
    streams = {TRAIN: (data.scenes, examples(TRAIN, data.scenes)), VALIDATION: (count, measured)}
    pictures = PictureSet.write(folder, streams, size=size, source=SCENES)
    return Corpus(pictures, tuple(asked), np.array(unseen))


def _read(data: AskData, folder: Path, *, size: int, tell: Tell) -> Corpus:
    source = Path(data.source)
    found = read_questions(source, images=data.images, on_missing=data.on_missing)
    for what, left_out in (("missing pictures", found.missing), ("rows", found.unusable)):
        if left_out:
            tell(f"left out {len(left_out)} {what}: {'; '.join(left_out[:_SHOWN])}")
    pictures = tuple(
        CaptionedPicture(
            each.path, tuple(question for question, _ in each.asked), each.split, each.name
        )
        for each in found.pictures
    )
    placed = assign_splits(
        CaptionCorpus(pictures, "jsonl", (), 0), validation_fraction=data.validation_fraction
    )
    used = [picture for picture in placed if picture.split in (TRAIN, VALIDATION)]
    decoded = encode_corpus(
        used,
        folder,
        size=size,
        source=storage.as_utf8(source.resolve().name),
        on_unreadable=data.on_unreadable,
        tell=tell,
    )
    asked = {each.name: each.asked for each in found.pictures}
    return Corpus(
        decoded, tuple(asked[name] for name in decoded.names), np.zeros(len(decoded.names), bool)
    )


def _of(corpus: Corpus, split: str) -> Iterator[Asked]:
    """Yield what is asked about the pictures of a split."""
    return (asked for index in corpus.pictures.split(split) for asked in corpus.asked[index])


def _answers(corpus: Corpus, most: int, tell: Tell) -> tuple[str, ...]:
    """Return the answers that are told apart: the most frequent of training, sorted."""
    counts = Counter(answer for _, answer in _of(corpus, TRAIN))
    kept = tuple(sorted(answer for answer, _ in counts.most_common(most)))
    if len(kept) < 2:
        raise DataError(
            f"the training questions of {corpus.pictures.source} have one answer, {kept[0]!r}; "
            "give questions with different ones"
        )
    for split in (TRAIN, VALIDATION):
        others = [answer for _, answer in _of(corpus, split) if answer not in kept]
        if others:
            tell(
                f"left out {len(others)} {split} questions, whose answers are not among the "
                f"{len(kept)} that are learned: {some(others)}"
            )
    return kept


def _arrays(
    corpus: Corpus, split: str, tokenizer: Tokenizer, answers: Sequence[str]
) -> Mapping[str, np.ndarray]:
    """Return the arrays of a split; a picture that nothing is asked about is left out."""
    place = {answer: index for index, answer in enumerate(answers)}
    rows, encoded = list[int](), list[list[tuple[np.ndarray, int]]]()
    for index in corpus.pictures.split(split):
        own = [
            (ids, place[answer])
            for question, answer in corpus.asked[index]
            if answer in place and len(ids := tokenizer.encode(question))
        ]
        if own:
            rows.append(index)
            encoded.append(own)
    if not rows:
        raise DataError(
            f"no {split} question of {corpus.pictures.source} has words and a learned answer; "
            "give more questions"
        )
    most = max(map(len, encoded))
    longest = max(len(ids) for own in encoded for ids, _ in own)
    tokens = np.zeros((len(rows), most, longest), np.int64)
    lengths, wanted = np.zeros(tokens.shape[:2], np.int64), np.full(tokens.shape[:2], NOTHING)
    for row, own in enumerate(encoded):
        for at, (ids, answer) in enumerate(own):
            tokens[row, at, : len(ids)] = ids
            lengths[row, at], wanted[row, at] = len(ids), answer
    return {
        PICTURE: corpus.pictures.pictures[rows],
        TOKENS: tokens,
        LENGTHS: lengths,
        WANTED: wanted.astype(np.int64),
        UNSEEN: corpus.unseen[rows],
    }


def _sample(examples: ExampleSet) -> dict[str, np.ndarray]:
    """Return a row each of the first validation questions, of unseen pictures where there are
    any.
    """
    part = examples.parts[VALIDATION]
    asked = part[WANTED] != NOTHING
    if part[UNSEEN].any():
        asked &= part[UNSEEN][:, None]
    owner, place = asked.nonzero()
    most = min(_SAMPLE, max(1, _SAMPLE_BYTES // part[PICTURE][0].nbytes))
    owner, place = owner[:most], place[:most]
    lengths = np.asarray(part[LENGTHS][owner, place])
    return {
        PICTURE: np.asarray(part[PICTURE][owner]),
        TOKENS: np.asarray(part[TOKENS][owner, place, : lengths.max()]),
        SAMPLE_LENGTHS: lengths,
        TARGET: np.asarray(part[WANTED][owner, place]),
    }
