"""``edgernn train translate``: a network that writes what a text is in other words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgernn.data.examples import ExampleSet
from edgernn.data.pairs.pair_ids import pair_decoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.translator import TranslatorShape, translator_config
from edgernn.training.kinds import EXAMPLES, Kind, Setup
from edgernn.training.translate_examples import LENGTH, TranslateData, make_examples
from edgernn.training.translate_objective import TranslateObjective


class TranslateSetup(Setup):
    """What a run is made of, besides the loop's options; saved with the run.

    Attributes:
        model: the network but for its vocabulary, which the data decide.
        label_smoothing: the share of a character that is spread over all, in training.
    """

    command: Literal["translate"] = "translate"
    model: TranslatorShape = TranslatorShape()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class TranslateKind(Kind[TranslateData, TranslateSetup]):
    """The row ``translate``."""

    command = "translate"
    lower = "--batch, --hidden or --encoder"
    setup = TranslateSetup

    def check(self, data: TranslateData, setup: TranslateSetup) -> None:
        """See ``Kind.check``."""
        translator_config(setup.model, vocabulary=1).contract()

    def prepare(
        self,
        data: TranslateData,
        out: Path,
        *,
        setup: TranslateSetup,
        tell: Callable[[str], None],
    ) -> None:
        """See ``Kind.prepare``."""
        tokenizer, sample = make_examples(data, out / EXAMPLES, tell=tell)
        tokenizer.save(out / checkpoint.TOKENIZER)
        checkpoint.save_evaluation(out / checkpoint.EVALUATION, sample)

    def network(
        self, setup: TranslateSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> NetworkConfig:
        """See ``Kind.network``."""
        writes = pair_decoding(examples.about[LENGTH])
        vocabulary = _read_with(tokenizer).vocabulary_size
        return translator_config(setup.model, vocabulary, writes=writes)

    def objective(
        self, setup: TranslateSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> TranslateObjective:
        """See ``Kind.objective``."""
        return TranslateObjective(
            _read_with(tokenizer), length=examples.about[LENGTH], smoothing=setup.label_smoothing
        )


def _read_with(tokenizer: Tokenizer | None) -> Tokenizer:
    assert tokenizer is not None  # which ``prepare`` wrote
    return tokenizer
