"""Training on whole lines: which tokens are seen, which are measured, and gates that begin open."""

from __future__ import annotations

import numpy as np
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


def test_the_gate_that_keeps_begins_open_alone() -> None:
    model = _model("lstm")
    (made,) = model.recurrent.cells()
    before = made.from_hidden.weight.detach().clone()
    begin_counting(model)
    bias = made.from_input.bias + made.from_hidden.bias
    expected = torch.zeros(4, 2)
    expected[1] = 5.0  # rows i, f, g, o
    torch.testing.assert_close(bias.detach(), expected.flatten())
    torch.testing.assert_close(made.from_hidden.weight.detach(), before / 10)


def test_a_cell_that_shows_what_it_keeps_begins_as_it_was_made() -> None:
    model = _model("gru")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    begin_counting(model)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


def _model(cell: str) -> LanguageModel:
    return LanguageModel(LanguageConfig(vocabulary=3, cell=cell, embedding=3, hidden=2, layers=1))
