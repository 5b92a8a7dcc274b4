"""The vocabulary of a corpus in the order of first appearance.

pytorch/examples' word_language_model and salesforce/awd-lstm-lm number words as they meet them over
train, valid and test: ``for line in file: for word in line.split() + ['<eos>']: add(word)``.
yunjey's language_model does the same with one file. No word is unknown, unless the text says
``<unk>`` itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edgernn import storage
from edgernn.data.text.spaced import LINE_END
from edgernn.errors import DataError
from edgernn.importers.vocabularies.vocabulary import WordIds

EOS = "<eos>"
_PARTS = ("train", "valid", "test")
_NAMES = ("{}.txt", "wiki.{}.tokens", "ptb.{}.txt")
_READ = 1 << 16  # characters at a time
_LONGEST = 1 << 20  # characters of a word
_MOST_BEYOND = 1_000_000  # words beside those that the model has rows for
_MOST = 16_000_000  # words, where nothing says how many there should be
_LAST_SPACE = re.compile(r".*\s", re.DOTALL)
_REMEDY = "give the corpus that the checkpoint was trained on, whole and unchanged"


def corpus_files(folder: Path) -> list[Path]:
    """Return the parts of a corpus folder in the order of their reading.

    Raises:
        DataError: it has no train.txt.
    """
    for name in _NAMES:
        files = [folder / name.format(part) for part in _PARTS]
        if files[0].is_file():
            return [path for path in files if path.is_file()]
    raise DataError(
        f"the folder {folder} has no train.txt, as a corpus of a word language model has; give the "
        "folder with train.txt, valid.txt and test.txt, or a vocabulary file"
    )


def read_corpus(files: list[Path], *, size: int | None) -> WordIds:
    """Number the words of a corpus, in memory for its words alone.

    Args:
        files: in the order in which their words are numbered.
        size: how many the model has rows for; many more are not read.

    Raises:
        DataError: a file cannot be read, is no UTF-8 text, or there are too many words.
    """
    most = _MOST if size is None else size + _MOST_BEYOND
    ids: dict[str, int] = {}
    prefixes: list[tuple[int, str]] = []
    name = files[0].parent.name if len(files) > 1 else files[0].name
    for path in files:
        for words in _words(path):
            for word in dict.fromkeys(words):
                ids.setdefault(word, len(ids))
            if len(ids) > most:
                rows = "" if size is None else f", the model has rows for {size}"
                raise DataError(
                    f"the corpus {name} has more than {most} different words{rows}; {_REMEDY}"
                )
        prefixes.append((len(ids), ", ".join(file.name for file in files[: len(prefixes) + 1])))
    told = []
    if 1 < len(files) < len(_PARTS):
        told.append(f"the corpus {name} has only {', '.join(path.name for path in files)}")
    return WordIds(
        pairs=tuple(ids.items()),
        how=f"{name} (words in the order of their first appearance)",
        told=tuple(told),
        prefixes=tuple(prefixes),
        remedy=_REMEDY,
    )


def _words(path: Path) -> Iterator[list[str]]:
    """Yield the words of a file with ``EOS`` after each line, in parts; lines as Python reads
    them.
    """
    tail, last = "", LINE_END
    for block in _blocks(path):
        text, last = tail + block, block[-1]
        cut = _LAST_SPACE.match(text)
        end = cut.end() if cut else 0
        yield text[:end].replace(LINE_END, f" {EOS} ").split()
        tail = text[end:]
        if len(tail) > _LONGEST:
            raise DataError(
                f"{path} has a word of more than {_LONGEST} characters; {_REMEDY}, as plain text"
            )
    yield [*tail.split(), *([EOS] if last != LINE_END else [])]


def _blocks(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:  # keeps its mark, as upstream does
            while block := file.read(_READ):
                if "\0" in block:
                    raise DataError(f"{path} has a NUL byte, so it is no plain text; {_REMEDY}")
                yield block
    except OSError as error:
        raise DataError(f"cannot read {path}: {storage.reason(error)}; {_REMEDY}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason}; {_REMEDY}") from error
