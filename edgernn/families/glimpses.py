"""Models that look at a picture several times, each time at a small part of it, and name what they
see: ``encode`` takes the picture, a step is a look, the scores after the last look count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgernn.contract import Contract
from edgernn.families.base import Sample
from edgernn.families.examples import LENGTHS, TARGET, ExamplesFamily
from edgernn.families.loss import Part, TextLoss, compare
from edgernn.sessions.model import Model

IMAGE, NOISE = "image", "location_noise"  # what encode and the step are given
LOCATION = "location"  # the state: where the next look goes, (y, x) of -1 to 1
LOGITS, LOOKED = "logits", "looked"  # what the step gives
CLASSES, COORDINATES = "classes", "coordinates"
_PLACE, _ROWS = 2, 64  # numbers that say one; pictures run together


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

    def loss(self, reference: Model, candidate: Model, sample: Sample) -> TextLoss:
        """See ``Family.loss``: both look where the reference looks, each on its own state, as both
        read the same text of a language model; the shares that are right are those of each on the
        path that it chooses itself.
        """
        own = super().loss(reference, candidate, sample)
        led = compare(self._led(reference, candidate, sample))
        return replace(led, reference_accuracy=own.reference_accuracy, accuracy=own.accuracy)

    def _led(self, reference: Model, candidate: Model, sample: Sample) -> Iterator[Part]:
        """Yield the scores of both after the last looks, and the targets."""
        scores = reference.contract.step.read_outputs[0].name
        rows = reference.rows or candidate.rows or _ROWS
        asked, image = self.asked(sample), reference.contract.encode
        assert image is not None
        for first in range(0, len(sample[TARGET]), rows):
            group = slice(first, first + rows)
            seen = {spec.name: sample[spec.name][group] for spec in image.fresh_inputs}
            count = len(sample[TARGET][group])
            contexts, state = reference.begin(seen, batch=count)
            others, other = candidate.begin(seen, batch=count)
            for t in range(int(sample[LENGTHS][group].max())):
                noise = sample[NOISE][group, t : t + 1]
                expected, state = reference.step({NOISE: noise, **contexts}, state)
                led = expected[LOOKED] - other[LOCATION][:, None].astype("float32")
                found, other = candidate.step({NOISE: led, **others}, other)
                if (keep := asked[group, t]).any():
                    target = sample[TARGET][group][keep]
                    yield expected[scores][keep, -1], found[scores][keep, -1], target
