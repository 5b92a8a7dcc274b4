"""A vocabulary of a network that others trained: its words by id, checked against the rows that the
network has for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError
from edgernn.wording import counted, some

_FILLERS = ("xxfake",)  # fastai makes the number of words a multiple of 8 with copies of this one
_GUESSES = {
    "unknown": ("<unk>", "UNK", "xxunk", "<UNK>", "[UNK]", "<OOV>"),
    "eos": ("<eos>",),
    "pad": ("<pad>",),
    "start": ("<start>",),
    "end": ("<end>",),
}
_MOST_HOLES = 1000  # and as many again as there are words: a file with more numbers no rows


@dataclass(frozen=True)
class Specials:
    """Ids of the tokens that are no words of a text; None where the vocabulary has none.

    Attributes:
        pad: beside texts that are shorter than others.
        start, end: around a caption or a sentence.
        unknown: for words that the vocabulary lacks.
        eos: after each line.
    """

    pad: int | None = None
    start: int | None = None
    end: int | None = None
    unknown: int | None = None
    eos: int | None = None


@dataclass(frozen=True)
class WordIds:
    """Words with their ids as a source has them, unchecked.

    Attributes:
        pairs: of a word and its id.
        how: where they come from, in words.
        told: what was guessed, a sentence each.
        prefixes: numbers of words at which the source may end: of a corpus, after each file.
        ranked: whether the ids from the network's rows on are of words that it never saw.
        remedy: what to do where they do not fit the network.
        tokenizer: where the source is one.
    """

    pairs: tuple[tuple[str, int], ...]
    how: str
    told: tuple[str, ...] = ()
    prefixes: tuple[tuple[int, str], ...] = ()
    ranked: bool = False
    remedy: str = "give the vocabulary file that was made with the checkpoint"
    tokenizer: Tokenizer | None = None


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words by id.

    Attributes:
        words: the word of each id; an id without a word has ``<ID>``.
        how: where it comes from, in words.
        specials: ids of the tokens that are no words.
        told: what was guessed or differs from what the family expects, a sentence each.
        holes: ids without a word; a text should not be written with them.
        tokenizer: where the vocabulary was given as one.
    """

    words: tuple[str, ...]
    how: str
    specials: Specials = Specials()
    told: tuple[str, ...] = ()
    holes: frozenset[int] = frozenset()
    tokenizer: Tokenizer | None = None

    @property
    def ids(self) -> dict[str, int]:
        """Word → id."""
        return {word: token_id for token_id, word in enumerate(self.words)}


def settle(
    found: WordIds,
    *,
    size: int | None,
    specials: Mapping[str, str],
    expected: Mapping[str, int],
    added: Mapping[int, str],
) -> Vocabulary:
    """Check what a source has and put it in the order of its ids; arguments and errors as
    ``finding.find_vocabulary``.
    """
    found = replace(found, pairs=(*found.pairs, *_missing(found.pairs, added)))
    found = _cut(found, size)
    words, told = _by_id(found), list(found.told)
    count = max(token_id for _, token_id in found.pairs) + 1
    if size is not None and count != size:
        raise DataError(
            f"the vocabulary of {found.how} has {counted(count, 'id')}, the model has rows for "
            f"{size}; {found.remedy}"
        )
    if count > 2 * len(words) + _MOST_HOLES:
        raise DataError(
            f"the vocabulary of {found.how} has {counted(len(words), 'word')}, but ids up to "
            f"{count - 1}; expected a word for each id; {found.remedy}"
        )
    holes = [token_id for token_id in range(count) if token_id not in words]
    if holes:
        shown = some([str(token_id) for token_id in holes])
        told.append(f"no word has the ids {shown}; each stands in the vocabulary as <ID>")
    ids = {word: token_id for token_id, word in words.items()}
    told += _differing(ids, expected)
    return Vocabulary(
        words=tuple(words.get(token_id, f"<{token_id}>") for token_id in range(count)),
        how=found.how,
        specials=_specials(ids, specials),
        told=tuple(told),
        holes=frozenset(holes),
        tokenizer=found.tokenizer,
    )


def _missing(
    pairs: Iterable[tuple[str, int]], added: Mapping[int, str]
) -> Iterable[tuple[str, int]]:
    taken = {token_id for _, token_id in pairs}
    return ((word, token_id) for token_id, word in added.items() if token_id not in taken)


def _cut(found: WordIds, size: int | None) -> WordIds:
    """Take the files of a corpus that make as many words as the model has rows; of words in the
    order of their frequency those that have a row.
    """
    whole = len(found.pairs)
    if found.ranked and size is not None and any(i >= size for _, i in found.pairs):
        pairs = tuple((word, i) for word, i in found.pairs if i < size)
        told = f"{whole} words, the model has rows for the {len(pairs)} most frequent"
        return replace(found, pairs=pairs, told=(*found.told, told))
    for count, name in found.prefixes:
        if count == size and count != whole:
            told = f"the model has rows for the {count} words of {name} alone, of {whole} in all"
            return replace(found, pairs=found.pairs[:count], told=(*found.told, told))
    return found


def _by_id(found: WordIds) -> dict[int, str]:
    """Return the words by id; fillers but the first are left out."""
    if not found.pairs:
        raise DataError(f"{found.how} has no words; {found.remedy}")
    words: dict[int, str] = {}
    first: dict[str, int] = {}
    for word, token_id in found.pairs:
        if token_id < 0 or token_id in words:
            seen = f", as has {words[token_id]!r}" if token_id in words else ""
            raise DataError(
                f"{found.how}: the word {word!r} has the id {token_id}{seen}; expected one of its "
                f"own from 0; {found.remedy}"
            )
        if word in first and word not in _FILLERS:
            raise DataError(
                f"{found.how}: the word {word!r} has the ids {first[word]} and {token_id}; "
                f"expected each word once; {found.remedy}"
            )
        if word not in first:
            words[token_id], first[word] = word, token_id
    return words


def _differing(ids: Mapping[str, int], expected: Mapping[str, int]) -> Iterable[str]:
    for word, wanted in expected.items():
        if word not in ids:
            yield f"the vocabulary has no {word}, which its family gives the id {wanted}"
        elif ids[word] != wanted:
            yield f"{word} has the id {ids[word]}, its family's own numbering has {wanted}"


def _specials(ids: Mapping[str, int], named: Mapping[str, str]) -> Specials:
    guessed = {
        role: next((ids[word] for word in words if word in ids), None)
        for role, words in _GUESSES.items()
    }
    return Specials(**{**guessed, **{role: ids.get(word) for role, word in named.items()}})
