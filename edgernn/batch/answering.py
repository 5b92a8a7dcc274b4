"""What a bundle makes of rows: a row of the table for each way to answer.

A worker opens one and keeps it. Every row begins with a state of its own.
"""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np

from edgernn.batch.generating import Generating
from edgernn.batch.places import Place, reading
from edgernn.bundle import Bundle
from edgernn.data.columns import TEXT_NAMES
from edgernn.data.text.tokenizer import OnUnknown
from edgernn.errors import DataError, EdgernnError, UsageError
from edgernn.wording import expected_one_of, whole
from edgernn.writing.captions import CaptionWriter
from edgernn.writing.classification import Classifier, Read
from edgernn.writing.command import refuse_other, writing_family
from edgernn.writing.looks import Looker
from edgernn.writing.translations import TranslationWriter

FILES = ("file", "picture", "image", "path")
THREADS = 1  # of a worker: there is one for each processor
Options = Mapping[str, Any]
Answer = dict[str, Any] | EdgernnError


class Answering(ABC):
    """Answers rows with one opened bundle.

    Attributes:
        usual: names under which the column that it reads is looked for.
        files: whether that column holds paths.
        made: the columns that it makes → their Arrow types.
        options: what it takes → default.
    """

    usual: ClassVar[tuple[str, ...]]
    files: ClassVar[bool] = False
    made: ClassVar[dict[str, str]]
    options: ClassVar[Options] = {}

    @abstractmethod
    def __init__(self, bundle: Bundle, artifact: str | None, options: Options) -> None:
        """Open what is kept."""

    @abstractmethod
    def answer(self, values: Sequence[Any], first: int) -> Iterator[Answer]:
        """Yield an answer a row, or what was wrong with that row.

        Args:
            values: of the column that it reads.
            first: the number of the first of them among all rows.
        """


class Classifying(Answering):
    """``classify``: texts."""

    usual = TEXT_NAMES
    made: ClassVar[dict[str, str]] = {"label": "string", "probability": "double"}
    options: ClassVar[Options] = {"on_unknown": "error"}

    def __init__(self, bundle: Bundle, artifact: str | None, options: Options) -> None:
        self._unknown = on_unknown_of(options)
        self._classifier = Classifier(bundle, artifact=artifact, threads=THREADS)
        if not self._classifier.textual:
            raise UsageError(
                f"{bundle.source} reads frames, and a table has texts; give it npz files with "
                "edgernn classify"
            )

    def answer(self, values: Sequence[Any], first: int) -> Iterator[Answer]:
        """See ``Answering.answer``: those that can be read run together."""
        read = [_tried(lambda value=value: self._read(_text(value))) for value in values]
        sequences = [each.ids for each in read if not isinstance(each, EdgernnError)]
        found = self._classifier.classify(sequences)
        for each in read:
            if isinstance(each, EdgernnError):
                yield each
            else:
                said = next(found)
                yield {"label": said.label, "probability": said.probability}

    def _read(self, text: str) -> Read:
        return self._classifier.read(text, on_unknown=self._unknown)


class Looking(Answering):
    """``classify`` of a model that looks at pictures."""

    usual, files = FILES, True
    made = Classifying.made

    def __init__(self, bundle: Bundle, artifact: str | None, options: Options) -> None:
        self._looker = Looker(bundle, artifact=artifact, threads=THREADS)

    def answer(self, values: Sequence[Any], first: int) -> Iterator[Answer]:
        """See ``Answering.answer``."""
        for value in values:
            yield _tried(lambda value=value: self._look(value))

    def _look(self, value: Any) -> Answer:
        with _fetched(value) as path:
            said = self._looker.look(path)
        return {"label": said.label, "probability": said.probability}


class Translating(Answering):
    """``translate``."""

    usual = ("source", *TEXT_NAMES)
    made: ClassVar[dict[str, str]] = {
        "translation": "string",
        "score": "double",
        "finished": "bool",
    }
    options: ClassVar[Options] = {"beam": 1, "on_unknown": "error"}

    def __init__(self, bundle: Bundle, artifact: str | None, options: Options) -> None:
        self._writer, self._beam = (
            TranslationWriter(bundle, artifact=artifact, threads=THREADS),
            whole(options["beam"], "beam"),
        )
        self._unknown = on_unknown_of(options)

    def answer(self, values: Sequence[Any], first: int) -> Iterator[Answer]:
        """See ``Answering.answer``."""
        for value in values:
            yield _tried(lambda value=value: self._write(_text(value)))

    def _write(self, text: str) -> Answer:
        made = self._writer.write(text, beam=self._beam, on_unknown=self._unknown)
        record = made.to_record()
        return {name: record[name] for name in self.made}


class Captioning(Answering):
    """``caption``: pictures, or files of features of one."""

    usual, files = FILES, True
    made: ClassVar[dict[str, str]] = {"caption": "string", "score": "double", "finished": "bool"}
    options: ClassVar[Options] = {"beam": 3}

    def __init__(self, bundle: Bundle, artifact: str | None, options: Options) -> None:
        self._writer, self._beam = (
            CaptionWriter(bundle, artifact=artifact, threads=THREADS),
            whole(options["beam"], "beam"),
        )

    def answer(self, values: Sequence[Any], first: int) -> Iterator[Answer]:
        """See ``Answering.answer``."""
        for value in values:
            yield _tried(lambda value=value: self._write(value))

    def _write(self, value: Any) -> Answer:
        with _fetched(value) as path:
            record = self._writer.write(path, beam=self._beam).to_record()
        return {name: record[name] for name in self.made}


class Writing(Answering):
    """``generate``: texts after prompts, as many together as share a call."""

    usual = ("prompt", *TEXT_NAMES)
    made: ClassVar[dict[str, str]] = {"generated": "string", "tokens": "int64"}
    options: ClassVar[Options] = {
        "length": 200,
        "seed": 0,
        "temperature": None,
        "top_k": None,
        "top_p": None,
        "on_unknown": "error",
    }

    def __init__(self, bundle: Bundle, artifact: str | None, options: Options) -> None:
        refuse_other(bundle, "generate")
        self._unknown = on_unknown_of(options)
        told = {name: value for name, value in options.items() if name != "on_unknown"}
        self._generating = Generating(bundle, artifact, **told)

    def answer(self, values: Sequence[Any], first: int) -> Iterator[Answer]:
        """See ``Answering.answer``: row n writes with the seed and n."""
        prompts = [_tried(lambda value=value: self._read(_text(value))) for value in values]
        yield from self._generating.write(prompts, first)

    def _read(self, text: str) -> np.ndarray:
        return self._generating.read(text, on_unknown=self._unknown)


TABLE: dict[tuple[str, str], type[Answering]] = {  # command, and where it is not one alone: family
    ("classify", "glimpses"): Looking,
    ("classify", ""): Classifying,
    ("translate", ""): Translating,
    ("caption", ""): Captioning,
    ("generate", ""): Writing,
}


def answering_of(bundle: Bundle) -> type[Answering]:
    """Return what answers rows with a bundle; raise UsageError where nothing does."""
    family = writing_family(bundle)
    command = None if family is None else family.command
    for word in ("" if family is None else family.word, ""):
        if found := TABLE.get((command or "", word)):
            return found
    known = ", ".join(sorted({command for command, _ in TABLE}))
    raise UsageError(f"{bundle.source} is no model of {known}, which bulk work is for")


def options_of(answering: type[Answering], given: Options) -> dict[str, Any]:
    """Return every option that a way of answering takes; raise UsageError for another one."""
    told = {name: value for name, value in given.items() if value is not None}
    for name in told:
        if name not in answering.options:
            flags = ", ".join(f"--{each.replace('_', '-')}" for each in answering.options)
            raise UsageError(
                f"--{name.replace('_', '-')} is not of this model, which takes "
                f"{flags or 'none of these'}; leave it out"
            )
    return {**answering.options, **told}


def on_unknown_of(options: Options) -> OnUnknown:
    """Return what is done with characters that a vocabulary lacks; raise UsageError for a word that
    says nothing of it.
    """
    told: OnUnknown = options["on_unknown"]
    if told not in get_args(OnUnknown):
        raise UsageError(f"on-unknown is {told!r}, {expected_one_of(told, get_args(OnUnknown))}")
    return told


def _tried(call: Any) -> Any:
    """Return what a call gives, or what of edgernn it raises."""
    try:
        return call()
    except EdgernnError as error:
        return error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"it is {value!r:.40}, expected a text")
    return value


@contextlib.contextmanager
def _fetched(value: Any) -> Iterator[Path]:
    """Give a file on this machine, whether it lies here or is fetched."""
    place = Place.of(_text(value))
    if (local := place.local) is not None:
        yield local
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(place.path).name
        with reading(place):
            place.filesystem.get_file(place.path, str(path))
        yield path
