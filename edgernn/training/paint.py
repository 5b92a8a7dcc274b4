"""``edgernn train paint``: a network that makes a picture of a label step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from edgernn.data.examples import TRAIN, ExampleSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.training.kinds import EXAMPLES, Kind, Setup
from edgernn.training.paint_examples import PaintData, make_examples
from edgernn.training.paint_network import PaintModel, paint_network
from edgernn.training.paint_objective import IMAGE, PaintObjective, PaintOptions
from edgernn.training.picture_examples import shape_of


class PaintSetup(Setup):
    """What a run is made of, besides the loop's options; saved with the run.

    Attributes:
        model: the network but for the size of the pictures and the labels, which the data decide.
        options: of the loss.
    """

    command: Literal["paint"] = "paint"
    model: PaintModel = PaintModel()
    options: PaintOptions = PaintOptions()


class PaintKind(Kind[PaintData, PaintSetup]):
    """The row ``paint``."""

    command = "paint"
    lower = "--batch, --hidden or --picture-size"
    setup = PaintSetup

    def check(self, data: PaintData, setup: PaintSetup) -> None:
        """See ``Kind.check``."""
        paint_network(setup.model, height=8, width=8, classes=("a", "b")).contract()

    def prepare(
        self, data: PaintData, out: Path, *, setup: PaintSetup, tell: Callable[[str], None]
    ) -> None:
        """See ``Kind.prepare``."""
        _, sample = make_examples(
            data, out / EXAMPLES, steps=setup.options.steps, width=setup.model.noise, tell=tell
        )
        checkpoint.save_evaluation(out / checkpoint.EVALUATION, sample)

    def network(
        self, setup: PaintSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> NetworkConfig:
        """See ``Kind.network``."""
        return paint_network(setup.model, **shape_of(examples, IMAGE))

    def objective(
        self, setup: PaintSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> PaintObjective:
        """See ``Kind.objective``."""
        pixels = examples.parts[TRAIN][IMAGE][0].size
        return PaintObjective(setup.options, setup.model, pixels=pixels)
