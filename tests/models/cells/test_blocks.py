"""Weights by the names of a stack: whatever the cell, they fill it whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.models.cells.blocks import Block, stack_tensors
from edgernn.models.cells.table import CELLS, FUSED, cell_class
from edgernn.models.recurrent import make_stack

INPUT, HIDDEN, LAYERS = 3, 4, 2


APART = {  # of a cell: what it has beside the two linear layers
    "gru_before": ("from_reset.weight", "from_reset.bias"),
    "gru_normalised": tuple(
        f"{norm}.{kind}"
        for norm in ("input_norm", "hidden_norm", "input_norm_n", "hidden_norm_n")
        for kind in ("weight", "bias")
    ),
    "lstm_peephole": ("p_i", "p_f", "p_o"),
    "lstm_projected": ("projection.weight",),
    "mut1": ("from_reset.weight", "from_reset.bias"),
    "mut2": ("from_reset.weight", "from_reset.bias"),
    "mut3": ("from_reset.weight", "from_reset.bias", "from_squashed.weight"),
    "lstm_normalised": tuple(
        f"{norm}_norm.{kind}" for norm in ("input", "hidden", "cell") for kind in ("weight", "bias")
    ),
}


def blocks_of(cell: str, *, biases: bool = True) -> list[Block]:
    random, made = np.random.default_rng(4), []
    for layer in range(LAYERS):
        shapes = {
            name: tuple(tensor.shape)
            for name, tensor in cell_class(cell)(
                HIDDEN if layer else INPUT, HIDDEN
            ).named_parameters()
        }
        values = {name: random.normal(size=shape).astype("f4") for name, shape in shapes.items()}
        both = [values.get(f"{part}.bias") for part in ("from_input", "from_hidden")]
        others = {name: values[name] for name in APART.get(cell, ())}
        w_ih, none = values["from_input.weight"], np.zeros((0, HIDDEN), "f4")
        w_hh = values.get("from_hidden.weight", none)
        made.append(Block(w_ih, w_hh, *(both if biases else (None, None)), others))
    return made


@pytest.mark.parametrize("cell", CELLS)
def test_they_fill_the_stack_whole(cell: str) -> None:
    stack, blocks = make_stack(cell, INPUT, hidden=HIDDEN, layers=LAYERS), blocks_of(cell)
    found = stack_tensors(cell, blocks)
    stack.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})
    if cell in FUSED:
        assert np.array_equal(found["fused.bias_hh_l1"], blocks[1].b_hh)
    else:
        assert np.array_equal(found["layers.1.from_input.weight"], blocks[1].w_ih)


def test_other_options_have_the_names_of_the_step_face() -> None:
    options = {"activation": "relu"}
    stack = make_stack("gru", INPUT, hidden=HIDDEN, layers=LAYERS, options=options)
    found = stack_tensors("gru", blocks_of("gru"), options=options)
    assert found.keys() == dict(stack.named_parameters()).keys()


def test_biases_that_are_not_there_are_zeros() -> None:
    stack = make_stack("lstm_maxout", INPUT, hidden=HIDDEN, layers=LAYERS)
    found = stack_tensors("lstm_maxout", blocks_of("lstm_maxout", biases=False))
    stack.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})
    assert all(not p.any() for name, p in stack.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize(
    ("cell", "as_if", "told"),
    [
        ("lstm_maxout", "lstm", r"layer 0: from_input.weight of the cell lstm_maxout is \[16, 3\]"),
        ("gru_before", "gru", r"from_hidden.weight of .* is \[12, 4\], expected \[8, 4\]"),
        ("lstm_peephole", "lstm", r"p_i of the cell lstm_peephole is none, expected \[4\]"),
        ("lstm", "lstm_peephole", r"p_i of the cell lstm is \[4\], expected none"),
    ],
)
def test_what_does_not_fit_is_refused(cell: str, as_if: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        stack_tensors(cell, blocks_of(as_if))
