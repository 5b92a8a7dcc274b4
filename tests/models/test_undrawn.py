"""Models made without drawing: the same parameters, and nothing drawn."""

from __future__ import annotations

import pytest
import torch

from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.models.undrawn import Undrawn


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_relu"])
def test_a_model_has_its_parameters_and_nothing_is_drawn(cell: str) -> None:
    config = LanguageConfig(vocabulary=9, cell=cell, embedding=4, hidden=6, layers=2)
    torch.manual_seed(0)
    drawn = LanguageModel(config).state_dict()
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    with Undrawn():
        made = LanguageModel(config).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    shapes = [{name: t.shape for name, t in own.items()} for own in (made, drawn)]
    assert shapes[0] == shapes[1]
