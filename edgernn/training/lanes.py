"""Lanes over a corpus: where each row of a batch reads, chunk by chunk, pass after pass."""

from __future__ import annotations

import numpy as np

from edgernn.errors import TrainingError


class Lanes:
    """Contiguous lanes over token ids, read chunk by chunk from the memory-mapped file.

    Args:
        ids: any integers ``[N]``.
        batch: how many lanes.
        chunk: how many steps at a time; every pass starts one chunk-length further on, so chunks
            are cut anew.
        rows: the lanes that this process reads.
    """

    def __init__(self, ids: np.ndarray, *, batch: int, chunk: int, rows: range) -> None:
        self.length = (len(ids) - 1) // batch
        if self.length < 2 * chunk:
            raise TrainingError(
                f"the training part has {len(ids)} tokens; {batch} rows of chunks of {chunk} "
                "need at least "
                f"{2 * chunk * batch + 1}. Give more text, or a smaller --batch or --chunk"
            )
        self._ids, self._chunk, self._rows = ids, chunk, rows
        self.passes, self._at = 0, 0

    @property
    def position(self) -> tuple[int, int]:
        """Full passes made, and the step at which the next chunk starts."""
        return self.passes, self._at

    @position.setter
    def position(self, position: tuple[int, int]) -> None:
        self.passes, self._at = position

    def epochs(self) -> float:
        """Return how many passes are done, with the fraction of the one under way."""
        return self.passes + self._at / self.length

    def next(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return inputs and targets, int64 ``[rows, chunk]`` each, and whether a pass starts
        here.
        """
        if self._at + self._chunk > self.length:
            self.passes += 1
            self._at = (self.passes * (self._chunk // 2 + 1)) % self._chunk
            starts = True
        else:
            starts = self._at == 0
        begins = [row * self.length + self._at for row in self._rows]
        block = np.stack([self._ids[b : b + self._chunk + 1] for b in begins]).astype(np.int64)
        self._at += self._chunk
        return block[:, :-1], block[:, 1:], starts
