"""Labels of each step from a bundle: open a tagger once, then one call per sequence, of frames or
of words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.contract import CHANNELS, HEIGHT, WIDTH
from edgernn.data.clips.columns import read_columns
from edgernn.data.clips.npz_clips import FRAMES, frames_of
from edgernn.data.clips.picture_clips import natural
from edgernn.data.pictures.pictures import open_picture, pictures_in, to_array
from edgernn.data.plain_text import PlainText
from edgernn.errors import DataError
from edgernn.families.loss import log_probabilities
from edgernn.storage.recordings import read_arrays
from edgernn.writing.opened import Opened
from edgernn.writing.text import open_tokenizer


@dataclass(frozen=True)
class TaggedStep:
    """What a tagger says of a step: ``name`` is the word, the file of the frame, or its number from
    0; ``probability`` that of ``label``.
    """

    name: str
    label: str
    probability: float


@dataclass(frozen=True, eq=False)
class Sequence:
    """A sequence to tag.

    Attributes:
        source: where it comes from, for a record.
        names: of its T steps.
        steps: int64 ids ``[T]``, or uint8 frames ``[T, H, W, C]``.
    """

    source: str
    names: tuple[str, ...]
    steps: np.ndarray


class TagWriter(Opened):
    """A tagger bundle, opened; see ``Opened``.

    Attributes:
        reads_words: whether its steps are words; else frames.
    """

    command = "tag"

    def _ready(self) -> None:
        """See ``Opened``."""
        self._contract = self._bundle.manifest.contract
        self._input = self._contract.step.fresh_inputs[0]
        self._scores = self._contract.step.read_outputs[0]
        self.reads_words = self._input.below is not None
        self._tokenizer = open_tokenizer(self._bundle) if self.reads_words else None
        self._labels = self._names(self._scores.axes[-1])

    def tag(self, sequence: Sequence) -> list[TaggedStep]:
        """Return the label of each step of a sequence, from its beginning.

        Where outputs are late, the sequence goes on with its last step until the last label is
        given, as in training.
        """
        rows, late = self._model.rows or 1, self._contract.latency_frames
        contexts, state = self._model.begin(batch=rows)
        last = len(sequence.steps) - 1
        made = []
        for t in range(len(sequence.steps) + late):
            step = np.repeat(sequence.steps[None, None, min(t, last)], rows, 0)  # [B, 1, …]
            outputs, state = self._model.step({self._input.name: step, **contexts}, state)
            if t >= late:
                scores = log_probabilities(outputs[self._scores.name][:1, -1])[0]  # [C]
                best = int(scores.argmax())
                name = sequence.names[t - late]
                made.append(TaggedStep(name, self._labels[best], float(np.exp(scores[best]))))
        return made

    def sequences(self, path: Path) -> Iterator[Sequence]:
        """Yield what a file or a folder holds: of an npz its clips; of a folder of pictures a clip
        a folder; a picture as a clip of one frame; of a text a sentence a line, or a word a line
        where each line has columns, apart by tabs, as training reads them.

        Raises:
            DataError: it is missing, damaged, or of another kind than the tagger reads; or frames
                are of another size.
        """
        if self.reads_words:
            yield from self._sentences(path)
        elif path.is_dir():
            yield from self._folder(path)
        elif path.suffix.lower() == ".npz":
            for place, clip in enumerate(self._clips(path)):
                self._check_size(f"{path}, clip {place}", clip)
                yield Sequence(f"{path}[{place}]", tuple(map(str, range(len(clip)))), clip)
        else:
            yield self._clip(str(path), [path])

    def sentence(self, line: str, *, source: str = "-") -> Sequence:
        """Return a sentence to tag, its words apart by white space.

        Raises:
            DataError: it has no word, or one that the vocabulary lacks and has no stand-in for.
        """
        words, tokenizer = line.split(), self._tokenizer
        assert tokenizer is not None
        ids = tokenizer.encode(line)
        if not words or len(ids) != len(words):
            raise DataError(
                f"{line[:60]!r} has {len(words)} words and {len(ids)} tokens; give a sentence of "
                "words apart by spaces"
            )
        return Sequence(source, tuple(words), ids)

    def _sentences(self, path: Path) -> Iterator[Sequence]:
        lines = [line for _, line in PlainText(path, what="sentences").lines() if line.strip()]
        if not lines:
            raise DataError(f"{path} holds no sentence; give a text with one a line")
        if all("\t" in line for line in lines):
            lines = [" ".join(words) for words in read_columns(path).sequences]
        for line in lines:
            yield self.sentence(line, source=str(path))

    def _clips(self, path: Path) -> list[np.ndarray]:
        """Return the clips of an npz; of grey ones the last axis may be the width."""
        found = read_arrays(path, [])
        shape = found[FRAMES].shape if FRAMES in found else ()
        single = len(shape) < 4 or (len(shape) == 4 and shape[-1] == self._contract.sizes[CHANNELS])
        return frames_of(path, found, single=single)

    def _folder(self, folder: Path) -> Iterator[Sequence]:
        clips: dict[Path, list[Path]] = {}
        for path in sorted(pictures_in(folder), key=lambda path: natural(str(path))):
            clips.setdefault(path.parent, []).append(path)
        if not clips:
            raise DataError(f"{folder} holds no picture; give a folder of the frames of a clip")
        for own, paths in clips.items():
            yield self._clip(str(own), paths)

    def _clip(self, source: str, paths: list[Path]) -> Sequence:
        """Return the pictures of a clip, made to the size that the tagger sees."""
        high, wide, channels = (self._contract.sizes[axis] for axis in (HEIGHT, WIDTH, CHANNELS))
        frames = np.stack(
            [to_array(open_picture(p), high, width=wide, grey=channels == 1) for p in paths]
        )
        self._check_size(source, frames)
        return Sequence(source, tuple(path.name for path in paths), frames)

    def _check_size(self, told: str, frames: np.ndarray) -> None:
        wanted = [self._contract.sizes[axis] for axis in (HEIGHT, WIDTH, CHANNELS)]
        if list(frames.shape[1:]) != wanted:
            raise DataError(
                f"{told}: its frames are {list(frames.shape[1:])}, the tagger sees {wanted}; give "
                "frames of that size"
            )


def record_of(sequence: Sequence, steps: list[TaggedStep], *, artifact: str) -> dict[str, Any]:
    """Return what a line of JSON says of a sequence."""
    told = [{"step": s.name, "label": s.label, "probability": s.probability} for s in steps]
    return {"source": sequence.source, "steps": told, "artifact": artifact}
