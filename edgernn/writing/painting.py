"""Pictures from a bundle that paints them: open it once, then as many as one likes."""

from __future__ import annotations

import numpy as np

from edgernn.errors import UsageError
from edgernn.families.painter import LABEL, NOISE, PICTURE, STEPS
from edgernn.families.samples import sample_of
from edgernn.wording import expected_one_of
from edgernn.writing.opened import Opened

_ROWS, _MOST_STEPS, _MOST_COUNT, _HOTTEST = 64, 1000, 10_000, 100.0


class Painter(Opened):
    """A painter's bundle, opened; see ``Opened``.

    Attributes:
        labels: the names of what it can paint.
        steps: how many it was trained with, of a bundle that holds its held-out sample; else 8.
    """

    command = "paint"

    def _ready(self) -> None:
        """See ``Opened``."""
        contract, sample = self._bundle.manifest.contract, sample_of(self._bundle)
        assert contract.encode is not None
        self._width = contract.sizes[contract.step.fresh_inputs[0].axes[-1]]
        self.labels = self._names(contract.encode.inputs[0].below or "")
        self.steps = STEPS if sample is None else int(sample[NOISE].shape[1])

    def paint(
        self,
        label: str,
        *,
        count: int = 1,
        steps: int | None = None,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> np.ndarray:
        """Paint ``count`` pictures of a label; the same arguments paint the same. The noise is
        multiplied by ``temperature``, from 0: what is left where it is 0 is the label alone.

        Returns:
            uint8 ``[count, steps, H, W]``: each picture after each step, 0 black.

        Raises:
            UsageError: the model knows no such label, or a number is out of range.
        """
        steps = self.steps if steps is None else steps
        if label not in self.labels:
            raise UsageError(
                f"the model paints no {label!r}; {expected_one_of(label, self.labels)}"
            )
        for name, value, most in (("count", count, _MOST_COUNT), ("steps", steps, _MOST_STEPS)):
            if not 1 <= value <= most:
                raise UsageError(f"{name} is {value}, expected 1 to {most:,}")
        if not 0 <= temperature <= _HOTTEST:
            raise UsageError(f"temperature is {temperature}, expected 0 to {_HOTTEST:g}")
        rows = self._model.rows or min(count, _ROWS)
        random = np.random.default_rng([seed, self.labels.index(label)])
        drawn = temperature * random.standard_normal((count, steps, self._width))
        noise = drawn.astype(np.float32)
        made = [self._together(label, noise[at : at + rows], rows) for at in range(0, count, rows)]
        return np.concatenate(made)

    def _together(self, label: str, noise: np.ndarray, rows: int) -> np.ndarray:
        """Return the pictures of ``noise [N, T, Z]``, N up to ``rows``, ``[N, T, H, W]``."""
        count = len(noise)
        padded = np.concatenate([noise, np.zeros((rows - count, *noise.shape[1:]), np.float32)])
        labels = np.full(rows, self.labels.index(label), np.int64)
        contexts, state = self._model.begin({LABEL: labels}, batch=rows)
        shown = []
        for t in range(noise.shape[1]):
            fed = np.ascontiguousarray(padded[:, t : t + 1])
            outputs, state = self._model.step({NOISE: fed, **contexts}, state)
            shown.append(np.clip(outputs[PICTURE][:count, 0], 0, 1))
        made: np.ndarray = np.rint(np.stack(shown, 1) * 255).astype(np.uint8)
        return made


def grid(pictures: np.ndarray, *, scale: int) -> np.ndarray:
    """Return ``pictures [N, H, W]`` side by side in about a square of rows, each pixel ``scale``
    pixels wide, a dark line between, uint8 ``[·, ·]``.
    """
    count, height, width = pictures.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    made = np.full((rows * (height * scale + 1) - 1, columns * (width * scale + 1) - 1), 48)
    large = pictures.repeat(scale, 1).repeat(scale, 2)
    for place, picture in enumerate(large):
        y, x = divmod(place, columns)
        top, left = y * (height * scale + 1), x * (width * scale + 1)
        made[top : top + height * scale, left : left + width * scale] = picture
    return made.astype(np.uint8)
