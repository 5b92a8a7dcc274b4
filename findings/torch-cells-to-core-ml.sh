#!/usr/bin/env bash
# torch traces nn.LSTMCell and nn.GRUCell to aten::unsafe_chunk and in-place gates, and coremltools cannot convert either cell.
#
# A cell is the step of a recurrent network, so a good guess is that a model which carries its state goes into Core ML as a
# traced nn.LSTMCell, where a whole nn.LSTM goes. The fused layer stays one operator, aten::lstm, which coremltools knows.
# The cells are composed of others by torch: unsafe_chunk, for which coremltools has no conversion, and sigmoid_ and tanh_
# on the parts. nn.RNNCell, which cuts nothing apart, is converted. The gates written out with chunk are, too.
#
# Seen: torch 2.13.0 for the CPU, coremltools 9.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > cells.py <<'PY'
import logging
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import coremltools as ct
import torch
from torch import nn


class Step(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x, *state):
        return self.cell(x, state if len(state) > 1 else state[0])


class LSTMStep(Step):
    def forward(self, x, h, c):
        return self.cell(x, (h, c))


class WrittenOut(nn.Module):
    """The LSTM's step of the same weights."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x, h, c):
        cell = self.cell
        a = nn.functional.linear(x, cell.weight_ih, cell.bias_ih) + nn.functional.linear(h, cell.weight_hh, cell.bias_hh)
        i, f, g, o = a.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Layer(Step):
    def forward(self, x, h, c):
        y, (h, c) = self.cell(x[None], (h[None], c[None]))
        return y[0], c[0]


def converted(module, states):
    given = [torch.rand(1, 3), *(torch.rand(1, 4) for _ in range(states))]
    traced = torch.jit.trace(module.eval(), given)
    kinds = {node.kind() for node in traced.inlined_graph.nodes()}
    try:
        ct.convert(traced, inputs=[ct.TensorType(shape=each.shape) for each in given], convert_to="mlprogram")
    except NotImplementedError as error:
        return "aten::unsafe_chunk" in kinds, str(error).strip().splitlines()[-1]
    return "aten::unsafe_chunk" in kinds, "converted"


cell = nn.LSTMCell(3, 4)
found = {
    "LSTMCell": converted(LSTMStep(cell), 2),
    "GRUCell": converted(Step(nn.GRUCell(3, 4)), 1),
    "RNNCell": converted(Step(nn.RNNCell(3, 4)), 1),
    "LSTM": converted(Layer(nn.LSTM(3, 4)), 2),
    "written out": converted(WrittenOut(cell), 2),
}
for name, (cut, said) in found.items():
    print(f"{name}: unsafe_chunk {cut}, {said}")
assert all(cut and "'unsafe_chunk' not implemented" in said for cut, said in list(found.values())[:2])
assert all(not cut and said == "converted" for cut, said in list(found.values())[2:])
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy torch==2.13.0 coremltools==9.0
TQDM_DISABLE=1 env/bin/python cells.py
