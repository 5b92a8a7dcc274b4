"""``edgernn classify``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgernn.cli.choices import TrustOption
from edgernn.cli.output import say_json, stream, tell
from edgernn.cli.shown import visible
from edgernn.cli.streams import reader_gone
from edgernn.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from edgernn.bundle import Bundle
    from edgernn.writing.classification import Classified, Classifier

# family → what prints its answers about pictures; the others read texts, or clips of frames
_PICTURES = {"glimpses": "edgernn.cli.classify_pictures:classify_pictures"}
_STDIN = "-"
_FILES = (".csv", ".tsv", ".jsonl", ".txt", ".npz")


def classify(
    bundle: Annotated[
        Path, typer.Argument(help="A classifier's bundle: a folder or a .edgernn file.")
    ],
    what: Annotated[
        list[str],
        typer.Argument(
            help="Texts; or files: txt with one a line, csv, tsv, jsonl, or npz of frames; - reads "
            "lines from standard input. Pictures, of a model that looks at them."
        ),
    ],
    running: Annotated[
        bool, typer.Option("--running", help="Show the label after each token, frame or look.")
    ] = False,
    looks: Annotated[
        int | None, typer.Option(help="Looks at a picture; default as in training.")
    ] = None,
    path_map: Annotated[
        Path | None,
        typer.Option("--map", help="Draw where it looked at a picture: .png, .pdf or .svg."),
    ] = None,
    on_unknown: Annotated[
        str, typer.Option(help="A character that the model lacks: error or skip.")
    ] = "error",
    text_column: Annotated[
        str | None, typer.Option(help="The column of texts; default found by its name.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="The column of labels, to count what is right.")
    ] = None,
    artifact: Annotated[
        str | None, typer.Option(help="A step file or format in the bundle; default ONNX.")
    ] = None,
    trust: TrustOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON per row.")] = False,
) -> None:
    """Give a label to texts, or to clips of frames, with its probability. Where a file has labels,
    it is told how many were found.
    """
    from edgernn.bundle import Bundle
    from edgernn.writing.command import writing_family

    shown: dict[str, Any] = {"running": running, "artifact": artifact, "as_json": as_json}
    with Bundle.open(bundle, trust=trust) as opened:
        family = writing_family(opened)
        row = None if family is None else _PICTURES.get(family.word)
        if row is not None:
            module, _, name = row.partition(":")
            answer = getattr(importlib.import_module(module), name)
            answer(opened, what, looks=looks, path_map=path_map, **shown)
            return
        if looks is not None or path_map is not None:
            raise UsageError(f"{bundle} looks at no pictures; leave --looks and --map out")
        columns: dict[str, Any] = {"text_column": text_column, "label_column": label_column}
        _sequences(opened, what, on_unknown=on_unknown, **columns, **shown)


def _sequences(
    bundle: Bundle,
    what: Sequence[str],
    *,
    running: bool,
    on_unknown: str,
    text_column: str | None,
    label_column: str | None,
    artifact: str | None,
    as_json: bool,
) -> None:
    """Print the labels of texts or of clips of frames."""
    from edgernn.writing.classification import Classifier

    with Classifier(bundle, artifact=artifact) as classifier:
        printed = _Printed(classifier, running=running, as_json=as_json, alone=len(what) == 1)
        for word in what:
            if word == _STDIN and not classifier.textual:
                _follow(classifier, printed)
                continue
            if word == _STDIN:
                rows = _lines(classifier, on_unknown)
            elif _is_file(word):
                rows = _of_file(classifier, Path(word), text_column, label_column, on_unknown)
            else:
                rows = iter([[_text(classifier, word, "", on_unknown)]])
            for group in rows:
                printed.alone &= len(group) == 1 and word != _STDIN
                printed.rows(group)
                if reader_gone():
                    return
        printed.end()


@dataclass(frozen=True, eq=False)
class _Row:
    """One sequence.

    Attributes:
        shown: what is printed of it.
        steps: its tokens, or its frames by their numbers.
        given: ids ``[T]``, or frames ``[T, F]``.
        wanted: its label, where the file has one.
    """

    shown: str
    steps: Sequence[str]
    given: np.ndarray
    wanted: str = ""


class _Printed:
    """What is printed row by row, and counted."""

    def __init__(
        self, classifier: Classifier, *, running: bool, as_json: bool, alone: bool
    ) -> None:
        self.classifier, self.running, self.as_json, self.alone = (
            classifier,
            running,
            as_json,
            alone,
        )
        self.right = self.wanted = 0

    def rows(self, rows: Sequence[_Row]) -> None:
        """Classify some rows together, and print each."""
        found = self.classifier.classify([row.given for row in rows])
        for row, said in zip(rows, found, strict=True):
            self.wanted += bool(row.wanted)
            self.right += bool(row.wanted) and row.wanted == said.label
            if self.as_json:
                say_json(self._record(row, said), indent=None)
                continue
            if self.running:
                self._steps(row, said)
            before = "" if self.alone else f"{visible(row.shown)}\t"
            stream(f"{before}{visible(said.label)}\t{said.probability:.1%}\n")

    def end(self) -> None:
        """Tell how many were right."""
        if self.wanted:
            share = self.right / self.wanted
            tell(f"right: {self.right:,} of {self.wanted:,} ({share:.1%})")

    def _record(self, row: _Row, said: Classified) -> dict[str, Any]:
        record: dict[str, Any] = {"text": row.shown} if self.classifier.textual else {}
        record |= {} if self.classifier.textual else {"clip": row.shown}
        record |= said.to_record()
        if row.wanted:
            record["wanted"] = row.wanted
        if self.running:
            record["running"] = [
                {"step": step, "label": label, "probability": share}
                for step, (label, share) in zip(row.steps, said.steps(), strict=True)
            ]
        return {**record, "artifact": self.classifier.artifact.path}

    def _steps(self, row: _Row, said: Classified) -> None:
        steps = [visible(step) for step in row.steps]
        wide, names = max(map(len, steps)), max(map(len, said.labels))
        for step, (label, share) in zip(steps, said.steps(), strict=True):
            stream(f"  {step:<{wide}}  {label:<{names}}  {share:6.1%}\n")


def _is_file(word: str) -> bool:
    """Whether an argument names a file: it ends as one, and has no space, or there is such a
    one.
    """
    if not word.lower().endswith(_FILES):
        return False
    return " " not in word or Path(word).exists()


def _text(classifier: Classifier, text: str, wanted: str, on_unknown: str) -> _Row:
    read = classifier.read(text, on_unknown=on_unknown)  # type: ignore[arg-type]  # refused there
    if read.unknown:
        tell(f"the model does not know {', '.join(map(repr, read.unknown))}")
    return _Row(text, read.tokens, read.ids, wanted)


def _lines(classifier: Classifier, on_unknown: str) -> Iterator[list[_Row]]:
    """Yield the texts on standard input, one a line; blank lines are passed over."""
    try:
        for line in sys.stdin:
            if line.strip():
                yield [_text(classifier, line.strip(), "", on_unknown)]
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8 ({error.reason}); give a text") from error


def _of_file(
    classifier: Classifier, path: Path, text: str | None, label: str | None, on_unknown: str
) -> Iterator[list[_Row]]:
    from edgernn.writing.classification import ROWS

    rows = (
        _clips(classifier, path)
        if path.suffix.lower() == ".npz"
        else _texts(classifier, path, text, label, on_unknown)
    )
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]


def _texts(
    classifier: Classifier, path: Path, text: str | None, label: str | None, on_unknown: str
) -> list[_Row]:
    from edgernn.data.labelled.text_files import read_texts

    made = []
    for row in read_texts(path, text=text, label=label, labelled=label is not None):
        try:
            made.append(_text(classifier, row.text, row.label, on_unknown))
        except DataError as error:
            raise DataError(f"{path}, {row.place}: {error}") from error
    return made


def _clips(classifier: Classifier, path: Path) -> list[_Row]:
    from edgernn.data.labelled.clips import read_clips

    if classifier.textual:
        raise UsageError(f"{path} holds frames, and the model reads texts; give a text, or a file")
    clips = read_clips(path, labelled=False)
    if clips.width != classifier.width:
        told = f"frames of {clips.width} numbers, the model reads frames of {classifier.width}"
        raise DataError(f"{path} has {told}")
    labels = clips.labels or [""] * len(clips.frames)
    return [
        _Row(f"{path}[{place}]", [f"frame {at}" for at in range(len(clip))], clip, label)
        for place, (clip, label) in enumerate(zip(clips.frames, labels, strict=True))
    ]


def _follow(classifier: Classifier, printed: _Printed) -> None:
    """Print the label after each frame on standard input: a line each, its numbers apart by commas
    or spaces.
    """
    for place, said in enumerate(classifier.follow(_frames())):
        if printed.as_json:
            record = {"frame": place, **said.to_record(), "artifact": classifier.artifact.path}
            say_json(record, indent=None)
        else:
            stream(f"frame {place}\t{visible(said.label)}\t{said.probability:.1%}\n")
        if reader_gone():
            return


def _frames() -> Iterator[np.ndarray]:
    import numpy as np

    for number, line in enumerate(sys.stdin, start=1):
        if not line.strip():
            continue
        try:
            frame = np.array([float(n) for n in line.replace(",", " ").split()], np.float32)
        except ValueError as error:
            raise DataError(f"standard input, line {number}: {error}; expected numbers") from error
        if not np.isfinite(frame).all():
            raise DataError(f"standard input, line {number}: a value that is not finite")
        yield frame
