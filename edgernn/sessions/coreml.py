"""Core ML: runs ``.mlpackage`` folders on macOS; reads what they promise on any machine."""

from __future__ import annotations

import contextlib
import io
import platform
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.sessions.quiet import quiet

# coremltools prints a line for each missing macOS library, and what executorch does that it imports
with quiet():
    import coremltools as ct

from edgernn.contract import PICTURE, FileContract, first_line, next_name
from edgernn.contract.interface import FileDescription, FileTensor, Interface
from edgernn.errors import ContractError, UnavailableError
from edgernn.sessions.base import Arrays, Session

_ARRAY = ct.proto.FeatureTypes_pb2.ArrayFeatureType
_COLOUR_SPACE = ct.proto.FeatureTypes_pb2.ImageFeatureType.ColorSpace
_CHANNELS = {"RGB": 3, "GRAYSCALE": 1}  # of a pixel buffer
_TARGETS = {8: "iOS17", 9: "iOS18"}  # by specification version
_DTYPES = {_ARRAY.FLOAT32: "float32", _ARRAY.FLOAT16: "float16", _ARRAY.INT32: "int32"}


class CoreMLSession(Session):
    """A session of Core ML with the state as inputs and outputs."""

    runtime = "Core ML"

    def __init__(
        self, model: Any, file_contract: FileContract, first_state: Arrays | None = None
    ) -> None:
        super().__init__(file_contract, first_state)
        self._model = model

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``; works on every machine."""
        spec = _load(path, predict=False).get_spec()
        inputs, outputs, states = (
            tuple(_tensor(feature) for feature in features)
            for features in (
                spec.description.input,
                spec.description.output,
                spec.description.state,
            )
        )
        target = _TARGETS.get(
            spec.specificationVersion, f"specification {spec.specificationVersion}"
        )
        return FileDescription(
            Interface(inputs, outputs, states), dict(spec.description.metadata.userDefined), target
        )

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> CoreMLSession:
        """See ``Session.open``."""
        if platform.system() != "Darwin":
            raise UnavailableError(
                f"Core ML predicts on macOS and iOS only, this is {platform.system()}"
            )
        return cls(_load(path, predict=True), file_contract, first_state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results: dict[str, np.ndarray] = self._model.predict(self._native(feeds))
        return results

    def _native(self, feeds: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return the feeds as Core ML takes them: a picture ``[1, H, W, 3]``, or ``[1, H, W, 1]``
        where it is grey, as a Pillow image.
        """
        pictures = [
            spec.name for spec in self.spec.inputs if self.file_contract.dtype(spec) == PICTURE
        ]
        if not pictures:
            return feeds
        from PIL import Image

        return {
            name: Image.fromarray(_pixels(array)) if name in pictures else array
            for name, array in feeds.items()
        }


class CoreMLStateSession(CoreMLSession):
    """A session of Core ML whose runtime keeps the state: it is written before and read after every
    step.

    That costs two copies of the state a step and buys the same protocol as everywhere; an app that
    only streams forward leaves both out.
    """

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        kept = [state.name for state in self.spec.states]
        memory = self._model.make_state()
        for name in kept:
            memory.write_state(name, feeds[name])
        results = self._model.predict(
            {n: a for n, a in feeds.items() if n not in kept}, state=memory
        )
        return {**results, **{next_name(name): memory.read_state(name) for name in kept}}


def _pixels(picture: np.ndarray) -> np.ndarray:
    """Return a picture ``[1, H, W, C]`` as Pillow takes it, ``[H, W, 3]`` or ``[H, W]``."""
    own: np.ndarray = picture[0, ..., 0] if picture.shape[-1] == 1 else picture[0]
    return own


def _load(path: Path, *, predict: bool) -> Any:
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return ct.models.MLModel(str(path), skip_model_load=not predict)
    except (
        Exception
    ) as error:  # coremltools raises bare Exception and RuntimeError for damaged packages
        raise ContractError(
            f"{path} is not a Core ML package that coremltools can open: {first_line(error)}"
        ) from error


def _tensor(feature: Any) -> FileTensor:
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        space = _COLOUR_SPACE.Name(image.colorSpace)
        shape = (1, image.height, image.width, _CHANNELS.get(space, 3))
        return FileTensor(
            feature.name, PICTURE if space in _CHANNELS else f"{space} picture", shape
        )
    array = feature.type.stateType.arrayType if kind == "stateType" else feature.type.multiArrayType
    return FileTensor(
        feature.name, _DTYPES.get(array.dataType, str(array.dataType)), tuple(array.shape)
    )
