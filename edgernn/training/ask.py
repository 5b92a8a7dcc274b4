"""``edgernn train ask``: a network that answers questions about pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgernn.data.examples import ExampleSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.training.ask_examples import ANSWERS_KEY, AskData, make_examples
from edgernn.training.ask_network import AskModel, ask_network
from edgernn.training.ask_objective import AskObjective, AskOptions
from edgernn.training.kinds import EXAMPLES, Kind, Setup


class AskSetup(Setup):
    """What a run is made of, besides the loop's options; saved with the run.

    Attributes:
        model: the network but for its vocabulary and its answers, which the data decide.
        options: of the loss.
        minimum_count: fewest occurrences of a word; rarer ones are ``<unk>``.
        most_answers: that are told apart, the most frequent ones.
    """

    command: Literal["ask"] = "ask"
    model: AskModel = AskModel()
    options: AskOptions = AskOptions()
    minimum_count: int = Field(default=2, ge=1)
    most_answers: int = Field(default=1000, ge=2)


class AskKind(Kind[AskData, AskSetup]):
    """The row ``ask``."""

    command = "ask"
    lower = "--batch, --image-size, --hidden or --encoder"
    setup = AskSetup

    def check(self, data: AskData, setup: AskSetup) -> None:
        """See ``Kind.check``."""
        ask_network(setup.model, vocabulary=1, answers=("no", "yes")).contract()

    def prepare(
        self, data: AskData, out: Path, *, setup: AskSetup, tell: Callable[[str], None]
    ) -> None:
        """See ``Kind.prepare``."""
        _, tokenizer, sample = make_examples(
            data,
            out / EXAMPLES,
            size=setup.model.image_size,
            minimum_count=setup.minimum_count,
            most_answers=setup.most_answers,
            tell=tell,
        )
        tokenizer.save(out / checkpoint.TOKENIZER)
        checkpoint.save_evaluation(out / checkpoint.EVALUATION, sample)

    def network(
        self, setup: AskSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> NetworkConfig:
        """See ``Kind.network``."""
        vocabulary = _read_with(tokenizer).vocabulary_size
        answers = examples.about[ANSWERS_KEY]
        return ask_network(setup.model, vocabulary=vocabulary, answers=answers)

    def objective(
        self, setup: AskSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> AskObjective:
        """See ``Kind.objective``."""
        answers = examples.about[ANSWERS_KEY]
        return AskObjective(setup.options, examples, _read_with(tokenizer), answers)


def _read_with(tokenizer: Tokenizer | None) -> Tokenizer:
    assert tokenizer is not None  # which ``prepare`` wrote
    return tokenizer
