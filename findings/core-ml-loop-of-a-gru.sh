#!/usr/bin/env bash
# coremltools turns nn.GRU over a fixed number of steps into a loop, where nn.LSTM and nn.RNN become one operator each.
#
# The three are one family in torch, and Core ML's language has an operator for each (gru, lstm, rnn), so a good guess is
# that a traced layer becomes its operator. The GRU becomes while_loop with a gather, a scatter and the products of a step
# inside, even where the sequence has four fixed steps: Core ML's gru resets before the hidden product, torch's after it,
# and nothing unrolls the loop. Its matrices are constants of the loop's body, where whoever looks for the matrices of
# linear among the operators of a program does not find them.
#
# Seen: torch 2.13.0 for the CPU, coremltools 9.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > layers.py <<'PY'
import logging
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import coremltools as ct
import torch
from torch import nn

STEPS = 4


class Layer(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer = kind(3, 5, batch_first=True)

    def forward(self, x):
        return self.layer(x)[0]


def kinds(block):
    for operation in block.operations:
        yield operation.op_type
        for inner in operation.blocks:
            yield from (f"{operation.op_type}/{kind}" for kind in kinds(inner))


def converted(kind):
    x = torch.rand(1, STEPS, 3)
    traced = torch.jit.trace(Layer(kind).eval(), x)
    program = ct.convert(traced, inputs=[ct.TensorType(shape=x.shape)], convert_to="milinternal")
    return {each for each in kinds(program.functions["main"]) if not each.endswith(("const", "cast"))}


found = {kind.__name__: converted(kind) for kind in (nn.GRU, nn.RNN, nn.LSTM)}
for name, operators in found.items():
    print(f"{name}: {', '.join(sorted(operators))}")
assert {"while_loop", "while_loop/linear"} <= found["GRU"] and "gru" not in found["GRU"]
assert "lstm" in found["LSTM"] and "rnn" in found["RNN"]
assert not {"while_loop"} & (found["LSTM"] | found["RNN"])
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy torch==2.13.0 coremltools==9.0
TQDM_DISABLE=1 env/bin/python layers.py
