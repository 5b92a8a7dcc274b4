"""onnxruntime on files that decode in the graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from edgernn.contract import FileContract, first_line
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.sessions.base import Arrays, checked_threads
from edgernn.sessions.in_graph import Captioner, Decoder, Generator
from edgernn.sessions.ort.runtime import open_runtime
from edgernn.sessions.ort.step import OrtSession

if TYPE_CHECKING:
    from typing import Self


class OrtDecoder(Decoder):
    """A decoder in onnxruntime, on one thread unless ``open`` is told otherwise."""

    runtime = OrtSession.runtime

    def __init__(
        self,
        opened: onnxruntime.InferenceSession,
        file_contract: FileContract,
        first_state: Arrays | None = None,
    ) -> None:
        super().__init__(file_contract, first_state)
        self._opened = opened
        self._outputs = [output.name for output in opened.get_outputs()]

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``OpenedFile.describe``."""
        return OrtSession.describe(path)

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> Self:
        """See ``OpenedFile.open``."""
        return cls(
            open_runtime(path, threads=checked_threads(threads) or 1), file_contract, first_state
        )

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            results = self._opened.run(self._outputs, feeds)
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise ContractError(
                f"onnxruntime could not run {self.computes}: {first_line(error)}"
            ) from error
        return dict(zip(self._outputs, results, strict=True))


class OrtGenerator(OrtDecoder, Generator):
    """Writes texts with onnxruntime."""


class OrtCaptioner(OrtDecoder, Captioner):
    """Writes captions with onnxruntime."""
