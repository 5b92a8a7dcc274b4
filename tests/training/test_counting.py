"""Training on whole lines: which tokens are seen, which are measured, and gates that begin open."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.training.counting import begin_counting, lines

TOKENIZER = Tokenizer.build(["ab\n"], "char")


def read(ids: np.ndarray) -> list[str]:
    return ["".join("." if i < 0 else TOKENIZER.decode([int(i)]) for i in row) for row in ids]


def test_a_row_is_a_line_after_a_newline() -> None:
    tokens, targets = lines(TOKENIZER, "ab", range(1, 3))
    assert read(tokens) == ["\nab\n\n", "\naabb"]
    assert read(targets) == ["ab\n..", "aabb\n"]


def test_only_what_the_count_decides_is_measured() -> None:
    _, targets = lines(TOKENIZER, "ab", range(1, 3), decided=True)
    assert read(targets) == ["..\n..", "...b\n"]


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_the_gate_that_keeps_begins_open_alone(cell: str, gates: int) -> None:
    shape = LanguageConfig(vocabulary=3, cell=cell, embedding=3, hidden=2, layers=1)
    model = LanguageModel(shape)
    (made,) = model.recurrent.cells()
    before = made.from_hidden.weight.detach().clone()
    begin_counting(model)
    bias = made.from_input.bias + made.from_hidden.bias
    expected = torch.zeros(gates, 2)
    expected[1] = 5.0  # rows i, f, g, o and r, z, n
    torch.testing.assert_close(bias.detach(), expected.flatten())
    torch.testing.assert_close(made.from_hidden.weight.detach(), before / 10)
