"""The table of cells: what ``--cell`` takes, and where each is. A new cell is one row.

Rows hold strings, so reading the names imports nothing, torch least of all.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

if TYPE_CHECKING:
    from edgernn.models.cells.base import Cell

# torch has a layer for these, which runs over time
FUSED = {
    "lstm": "edgernn.models.cells.lstm:LSTM",
    "gru": "edgernn.models.cells.gru:GRU",
    "rnn": "edgernn.models.cells.rnn:RNN",
    "rnn_relu": "edgernn.models.cells.rnn:RectifiedRNN",
}
CELLS = {
    **FUSED,
    "gru_before": "edgernn.models.cells.gru_before:GRUBefore",
    "gru_normalised": "edgernn.models.cells.gru_normalised:NormalisedGRU",
    "lstm_peephole": "edgernn.models.cells.lstm_peephole:PeepholeLSTM",
    "lstm_coupled": "edgernn.models.cells.lstm_coupled:CoupledLSTM",
    "lstm_maxout": "edgernn.models.cells.lstm_maxout:MaxoutLSTM",
    "lstm_normalised": "edgernn.models.cells.lstm_normalised:NormalisedLSTM",
    "lstm_projected": "edgernn.models.cells.lstm_projected:ProjectedLSTM",
    "min_gru": "edgernn.models.cells.min_gru:MinGRU",
    "min_lstm": "edgernn.models.cells.min_lstm:MinLSTM",
    "mut1": "edgernn.models.cells.mut1:MUT1",
    "mut2": "edgernn.models.cells.mut2:MUT2",
    "mut3": "edgernn.models.cells.mut3:MUT3",
    "nas": "edgernn.models.cells.nas:NAS",
}


def cell_class(name: str) -> type[Cell]:
    """Return the cell of a row; raise UsageError naming the known cells."""
    if name not in CELLS:
        raise UsageError(f"unknown cell {name!r}; {expected_one_of(name, CELLS)}")
    module, _, attribute = CELLS[name].partition(":")
    found: type[Cell] = getattr(importlib.import_module(module), attribute)
    return found
