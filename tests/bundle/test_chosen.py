"""Files of a bundle are chosen by format, family or path, and a wrong name is told."""

from __future__ import annotations

import pytest

from edgernn.bundle import Bundle
from edgernn.bundle.chosen import chosen
from edgernn.errors import UsageError

STEP = "onnx/step.onnx"


def names(bundle: Bundle, *to: str) -> list[str]:
    return [artifact.path for artifact in chosen(bundle, to)]


def test_a_file_is_chosen_alone_and_beside_formats(captioner_bundle: Bundle) -> None:
    every = [artifact.path for artifact in captioner_bundle.manifest.artifacts]
    assert [artifact.path for artifact in chosen(captioner_bundle, None)] == every
    assert names(captioner_bundle, STEP) == [STEP]
    assert names(captioner_bundle, STEP, "onnx") == names(captioner_bundle, "onnx")
    assert [artifact.path for artifact in chosen(captioner_bundle, iter([STEP]))] == [STEP]
    assert len(every) > 1


def test_what_is_not_there_is_told(captioner_bundle: Bundle) -> None:
    with pytest.raises(
        UsageError, match=r"has no file 'onnx/setp.onnx'; expected one of .* did you mean"
    ):
        names(captioner_bundle, "onnx/setp.onnx")
    with pytest.raises(UsageError, match="unknown format 'onx'"):
        names(captioner_bundle, STEP, "onx")
    with pytest.raises(UsageError, match="no format given"):
        names(captioner_bundle)
    with pytest.raises(UsageError, match="formats are 3, expected a name"):
        chosen(captioner_bundle, 3)  # type: ignore[arg-type]
