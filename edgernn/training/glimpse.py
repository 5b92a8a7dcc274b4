"""``edgernn train glimpse``: a network that names what a picture shows after a few looks at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from edgernn.data.examples import ExampleSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.families.glimpses import IMAGE
from edgernn.models import checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.training.glimpse_examples import GlimpseData, make_examples
from edgernn.training.glimpse_network import GlimpseModel, glimpse_network
from edgernn.training.glimpse_objective import GlimpseObjective, GlimpseOptions
from edgernn.training.kinds import EXAMPLES, Kind, Setup
from edgernn.training.picture_examples import shape_of


class GlimpseSetup(Setup):
    """What a run is made of, besides the loop's options; saved with the run.

    Attributes:
        model: the network but for the size of the pictures and the labels, which the data decide.
        options: of the loss.
    """

    command: Literal["glimpse"] = "glimpse"
    model: GlimpseModel = GlimpseModel()
    options: GlimpseOptions = GlimpseOptions()


class GlimpseKind(Kind[GlimpseData, GlimpseSetup]):
    """The row ``glimpse``."""

    command = "glimpse"
    lower = "--batch, --hidden or --crop"
    setup = GlimpseSetup

    def check(self, data: GlimpseData, setup: GlimpseSetup) -> None:
        """See ``Kind.check``."""
        glimpse_network(setup.model, height=16, width=16, classes=("a", "b")).contract()

    def prepare(
        self, data: GlimpseData, out: Path, *, setup: GlimpseSetup, tell: Callable[[str], None]
    ) -> None:
        """See ``Kind.prepare``."""
        looks = setup.options.looks
        _, sample = make_examples(data, out / EXAMPLES, looks=looks, tell=tell)
        checkpoint.save_evaluation(out / checkpoint.EVALUATION, sample)

    def network(
        self, setup: GlimpseSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> NetworkConfig:
        """See ``Kind.network``."""
        return glimpse_network(setup.model, **shape_of(examples, IMAGE))

    def objective(
        self, setup: GlimpseSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> GlimpseObjective:
        """See ``Kind.objective``."""
        return GlimpseObjective(setup.options, hidden=setup.model.width)
