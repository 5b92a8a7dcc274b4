"""Models that look at a picture several times, each time at a small part of it, and name what they
see: ``encode`` takes the picture, a step is a look, the scores after the last look count.
"""

from __future__ import annotations

from edgernn.contract import Contract
from edgernn.families.examples import ExamplesFamily

IMAGE, NOISE = "image", "location_noise"  # what encode and the step are given
LOCATION = "location"  # the state: where the next look goes, (y, x) of -1 to 1
LOGITS, LOOKED = "logits", "looked"  # what the step gives
CLASSES, COORDINATES = "classes", "coordinates"
_PLACE = 2  # numbers that say one


class GlimpsesFamily(ExamplesFamily):
    """Glimpses. Its held-out sample is one of ``ExamplesFamily``, a row a picture, as many steps as
    looks, the noise all zeros.
    """

    word = "glimpses"
    noun = "classifier of pictures by glimpses"
    layout = (
        "image uint8 [N, H, W, 1], location_noise float32 [N, T, 2], lengths int64 [N] and target "
        "int64 [N]"
    )
    unit = "look"
    command = "classify"
    arguments = " PICTURE"
    about = "a model that names what it sees in a picture"
    task, metrics = "image-classification", ("accuracy",)

    def problem(self, contract: Contract) -> str:
        """See ``Family.problem``."""
        encode, step = contract.encode, contract.step
        if encode is None or len(encode.inputs) != 1 or not encode.inputs[0].is_picture:
            return "it has no encode graph that takes one picture, to look at"
        shapes = {spec.name: contract.sizes.get(spec.axes[-1]) for spec in step.fresh_inputs}
        if shapes != {NOISE: _PLACE}:
            return (
                f"step takes {[t.name for t in step.fresh_inputs]}, expected {NOISE} [batch, time, "
                f"{_PLACE}] alone"
            )
        looked = next((spec for spec in step.read_outputs if spec.name == LOOKED), None)
        if looked is None or contract.sizes.get(looked.axes[-1]) != _PLACE:
            return f"step gives no {LOOKED} [batch, time, {_PLACE}], the place of each look"
        return super().problem(contract)
