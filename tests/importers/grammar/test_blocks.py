"""The grammar of keys: what names mean, and how many gates rows are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgernn.errors import CheckpointError
from edgernn.importers.grammar.blocks import in_order, paired
from edgernn.importers.grammar.parse import parse

DRAW = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return DRAW.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("gates", "cell"), [(1, "rnn"), (3, "gru"), (4, "lstm"), (5, "lstm_maxout")]
)
@pytest.mark.parametrize(("prefix", "ending"), [("", "_l0"), ("a.b.", ""), ("rnn.", "_l0")])
def test_rows_over_hidden_say_the_cell(gates: int, cell: str, prefix: str, ending: str) -> None:
    names = {f"{prefix}weight_ih{ending}": array(gates * 6, 4)}
    names |= {f"{prefix}weight_hh{ending}": array(gates * 6, 6)}
    [layer] = parse(names).stacks[prefix.rstrip(".")].layers
    assert (layer.cell, layer.inputs, layer.hidden) == (cell, 4, 6)


def test_other_numbers_of_rows_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"\[12, 6\] for the hidden size 6"):
        parse({"weight_ih": array(12, 4), "weight_hh": array(12, 6)})


@pytest.mark.parametrize("shape", [(0, 0), (4, 0), (0, 6)])
def test_matrices_without_rows_or_columns_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(CheckpointError, match="hidden size"):
        parse({"weight_ih": array(shape[0], 4), "weight_hh": array(*shape)})


@pytest.mark.parametrize("name", ["rnn.weight_hh", "fc.weight"])
def test_integers_are_refused(name: str) -> None:
    tensors = {"rnn.weight_ih": array(24, 4), "rnn.weight_hh": array(24, 6)}
    tensors[name] = np.zeros((24, 6), np.int8)
    with pytest.raises(CheckpointError, match="int8, expected floats"):
        parse(tensors)


def test_the_raw_matrix_is_meant_wherever_it_stands() -> None:
    raw, dropped = array(24, 6), array(24, 6)
    other = {"rnn.module.weight_ih_l0": array(24, 4)}
    for name in ("weight_hh_l0_raw", "module.weight_hh_l0_raw"):
        pair = {f"rnn.{name}": raw, "rnn.module.weight_hh_l0": dropped}
        for tensors in ({**pair, **other}, {**other, **dict(reversed(pair.items()))}):
            [layer] = parse(tensors).stacks["rnn"].layers
            assert layer.w_hh is raw


def test_a_layers_number_without_end_is_no_layer() -> None:
    assert not parse({f"weight_ih_l{'9' * 5000}": array(24, 4)}).stacks


def test_what_is_no_block_is_left_over_and_counters_are_nothing() -> None:
    found = parse({"norm.weight": array(3), "norm.num_batches_tracked": np.array(7)})
    assert [*found.others] == ["norm.weight"]


def test_a_number_of_a_layer_that_is_missing_is_named() -> None:
    names = {"weight_ih_l1": array(24, 6), "weight_hh_l1": array(24, 6)}
    with pytest.raises(CheckpointError, match="layer 0 has no weight_hh and no weight_ih"):
        parse(names)


def test_two_linear_layers_as_one_cell_in_torchs_order() -> None:
    """The rows of Torch7's char-rnn are i, f, o, g; torch's own LSTM has to compute the same."""
    tensors = {
        "core.i2h.weight": array(24, 4),
        "core.i2h.bias": array(24),
        "core.h2h.weight": array(24, 6),
        "core.h2h.bias": array(24),
    }
    layer = paired(parse(tensors), "core", rows="ifog")
    x, h, c = array(1, 4), array(1, 6), array(1, 6)
    sums = x @ tensors["core.i2h.weight"].T + tensors["core.i2h.bias"]
    sums = sums + h @ tensors["core.h2h.weight"].T + tensors["core.h2h.bias"]
    i, f, o = np.split(1 / (1 + np.exp(-sums[:, :18])), 3, axis=1)
    cell = f * c + i * np.tanh(sums[:, 18:])
    torch_cell = torch.nn.LSTMCell(4, 6)
    values = (layer.w_ih, layer.w_hh, layer.b_ih, layer.b_hh)
    with torch.no_grad():
        for parameter, value in zip(torch_cell.parameters(), values, strict=True):
            assert value is not None
            parameter.copy_(torch.from_numpy(value))
        made = torch_cell(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))
    np.testing.assert_allclose(made[0].numpy(), o * np.tanh(cell), atol=1e-6)
    np.testing.assert_allclose(made[1].numpy(), cell, atol=1e-6)


def test_rows_in_their_own_order_are_not_copied() -> None:
    rows = array(8, 3)
    assert in_order(rows, "ifgo", "ifgo") is rows
    assert in_order(rows, "ifog", "ifgo")[4:6].tolist() == rows[6:8].tolist()
