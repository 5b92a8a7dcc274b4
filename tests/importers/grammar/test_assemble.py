"""From a chain of blocks to a model: which kind it becomes, and a tokenizer that does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import CheckpointError, UsageError
from edgernn.importers.grammar.assemble import assemble
from edgernn.importers.grammar.blocks import Layer, Matrix, Stack
from edgernn.importers.grammar.chain import Chain

TOKENIZER = Tokenizer.build(["abcd"], "char")  # 4 ids


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def chain(words: int, *, table: int = 3, gives: int | None = None) -> Chain:
    """Return a table, a GRU of 5 and a head."""
    gru = Layer("gru", "gru", zeros(15, 3), zeros(15, 5))
    head = Matrix("head", zeros(words if gives is None else gives, 5))
    return Chain(Matrix("table", zeros(words, table)), (Stack("gru", (gru,)), head))


def test_with_a_tokenizer_a_uniform_chain_is_the_plain_language_model() -> None:
    made = assemble(chain(4).checked(), TOKENIZER)
    assert type(made.config).__name__ == "LanguageConfig"
    assert made.tensors["recurrent.fused.bias_hh_l0"].shape == (15,)


def test_a_tokenizer_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"4 tokens and table\.weight 6 rows"):
        assemble(chain(6).checked(), TOKENIZER)


def test_scores_that_are_not_of_the_ids_make_no_text() -> None:
    made = assemble(chain(4, gives=2).checked(), TOKENIZER)
    assert (made.config.family, made.tokenizer) == ("module", None)
    assert any("no score" in sentence for sentence in made.told)


def test_blocks_that_do_not_follow_one_another_are_refused() -> None:
    with pytest.raises(CheckpointError, match="gru takes 3 numbers and table before it gives 2"):
        chain(4, table=2).checked()
