"""onnxruntime: runs ``.onnx`` files on the CPU.

A step of one row goes over memory that stays bound to the graph (``SingleStep``); every other call
hands its arrays over anew. Both read the caller's states where they lie, and what they return is
changed by no later call.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from edgernn.contract import FileContract
from edgernn.contract.interface import FileDescription
from edgernn.sessions.base import Arrays, Session, State, checked_threads
from edgernn.sessions.ort.floors import required_by
from edgernn.sessions.ort.header import read_target
from edgernn.sessions.ort.reading import read_model
from edgernn.sessions.ort.runtime import interface_of, open_runtime, step_failure
from edgernn.sessions.ort.single import SingleStep, has_single_steps


class OrtSession(Session):
    """A session of onnxruntime, on one thread unless ``open`` is told otherwise.

    Two threads halve a step from H = 256 on, but only while a second core has nothing else to do,
    and they keep it busy between the steps. Where it has other work, a step takes up to 1.5 times
    as long (H = 2048); at H = 64 nothing changes. A session cannot know what else its machine does,
    so it takes the number that never loses.
    """

    runtime = "onnxruntime"

    def __init__(
        self,
        runtime: onnxruntime.InferenceSession,
        file_contract: FileContract,
        first_state: Arrays | None = None,
    ) -> None:
        super().__init__(file_contract, first_state)
        self._runtime = runtime
        self._outputs = [output.name for output in runtime.get_outputs()]
        self._single = (
            SingleStep(runtime, file_contract) if has_single_steps(runtime, file_contract) else None
        )

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``."""
        runtime = open_runtime(path)
        return FileDescription(
            interface_of(runtime),
            dict(runtime.get_modelmeta().custom_metadata_map),
            read_target(path),
            required_by(read_model(path)),
        )

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> OrtSession:
        """See ``Session.open``."""
        return cls(
            open_runtime(path, threads=checked_threads(threads) or 1), file_contract, first_state
        )

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """See ``Session.step``."""
        dicts = isinstance(inputs, dict) and isinstance(state, dict)
        done = self._single.step(inputs, state) if self._single and dicts else None
        return done or super().step(inputs, state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            results = self._runtime.run(self._outputs, feeds)
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise step_failure(error) from error
        return dict(zip(self._outputs, results, strict=True))
