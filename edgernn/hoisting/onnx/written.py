"""What each format can carry of a foreign step, and why not."""

from __future__ import annotations

from edgernn import formats
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.one_frame import one_frame
from edgernn.hoisting.onnx.step import ForeignStep
from edgernn.hoisting.onnx.torch_step.module import TorchStep, float_weights


def formats_of(step: ForeignStep) -> dict[str, str]:
    """Return format and precision → why it cannot carry the step; empty where it can.

    ONNX in float carries it as it is; the others take its operators in torch's own.
    """
    frame = one_frame(step)
    try:
        TorchStep(frame)
        untranslated = ""
    except UsageError as error:
        untranslated = str(error)
    stay = float_weights(frame)
    found = {}
    for row in formats.FORMATS.values():
        for precision in row.precisions:
            integers = row.promise(precision).integers
            why = "" if row.name == formats.OWN.name and not integers else untranslated
            if row.name == formats.OWN.name and integers and not why and stay:
                why = f"{', '.join(stay)} stay float; --allow-float takes that"
            found[f"{row.name} {precision}"] = why
    return found
