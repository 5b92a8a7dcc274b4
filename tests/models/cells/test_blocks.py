"""Weights by the names of a stack: whatever the cell, they fill it whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.models.cells.blocks import Block, stack_tensors
from edgernn.models.cells.table import CELLS, cell_class
from edgernn.models.recurrent import make_stack

INPUT, HIDDEN, LAYERS = 3, 4, 2


def blocks_of(gates: int, *, biases: bool = True) -> list[Block]:
    random, rows, made = np.random.default_rng(4), gates * HIDDEN, []
    for layer in range(LAYERS):
        w_ih = random.normal(size=(rows, HIDDEN if layer else INPUT)).astype(np.float32)
        w_hh = random.normal(size=(rows, HIDDEN)).astype(np.float32)
        b_ih, b_hh = random.normal(size=(2, rows)).astype(np.float32)
        made.append(Block(w_ih, w_hh, b_ih, b_hh) if biases else Block(w_ih, w_hh))
    return made


@pytest.mark.parametrize("cell", CELLS)
def test_the_names_and_shapes_are_those_of_the_stack(cell: str) -> None:
    stack = make_stack(cell, INPUT, hidden=HIDDEN, layers=LAYERS)
    found = stack_tensors(cell, blocks_of(cell_class(cell).gates))
    wanted = {name: tuple(tensor.shape) for name, tensor in stack.named_parameters()}
    assert {name: array.shape for name, array in found.items()}.items() <= wanted.items()
    others = {name.rpartition("layers.")[2][2:] for name in wanted.keys() - found.keys()}
    assert others == {
        "lstm_peephole": {"p_i", "p_f", "p_o"},
        "lstm_projected": {"projection.weight"},
        "lstm_normalised": {"input_norm.weight", "hidden_norm.weight", "cell_norm.weight"}
        | {"cell_norm.bias"},
    }.get(cell, set())


def test_the_rows_of_a_candidate_behind_its_reset_gate() -> None:
    (block, _), rows = blocks_of(3), 2 * HIDDEN
    found = stack_tensors("gru_before", [block])
    assert np.array_equal(found["layers.0.from_hidden.weight"], block.w_hh[:rows])
    assert np.array_equal(found["layers.0.from_reset.weight"], block.w_hh[rows:])
    assert np.array_equal(found["layers.0.from_reset.bias"], block.b_hh[rows:])


def test_other_options_have_the_names_of_the_step_face() -> None:
    options = {"activation": "relu"}
    stack = make_stack("gru", INPUT, hidden=HIDDEN, layers=LAYERS, options=options)
    found = stack_tensors("gru", blocks_of(3), options=options)
    assert found.keys() == dict(stack.named_parameters()).keys()


def test_biases_that_are_not_there_are_zeros() -> None:
    stack = make_stack("lstm_maxout", INPUT, hidden=HIDDEN, layers=LAYERS)
    found = stack_tensors("lstm_maxout", blocks_of(5, biases=False))
    stack.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})
    assert all(not p.any() for name, p in stack.named_parameters() if name.endswith("bias"))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"layer 0 has matrices of 16 and 16 rows, .* of 5 for"):
        stack_tensors("lstm_maxout", blocks_of(4))
    (block, _) = blocks_of(3)
    with pytest.raises(UsageError, match="matrices of 12 and 8 rows"):
        stack_tensors("gru_before", [block._replace(w_hh=block.w_hh[:8])])
