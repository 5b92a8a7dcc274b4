#!/usr/bin/env bash
# A state that a step reads through an operator that changes nothing is never written in Core ML, and no one says so.
#
# h.float() of a float32 tensor gives back the tensor itself, and so do .contiguous(), .cpu() and .to() of its own type:
# a good guess is that they cost nothing and mean nothing. torch's tracer, though, from then on
# takes the buffer for that operator's result, and records the assignment self.h[:] = … as one to the result. torch's own
# run of the trace is right, for the two are one memory. coremltools follows an assignment to a state, not to such a
# result: the package has read_state, no coreml_update_state, and steps from the same value for ever. One such read
# anywhere in the step is enough. Reads that torch answers with another tensor (.clone(), .detach(), .view(), h[:]) are
# harmless.
#
# Seen: torch 2.13.0 for the CPU, coremltools 9.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > states.py <<'PY'
import logging
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import coremltools as ct
import numpy as np
import torch
from torch import nn

SHAPE = (1, 4)


class Step(nn.Module):
    def __init__(self, read):
        super().__init__()
        self.register_buffer("h", torch.zeros(SHAPE))
        self.read, self.layer = read, nn.Linear(4, 4)

    def forward(self, x):
        after = torch.tanh(self.layer(self.read(self.h)) + x)
        self.h[:] = after
        return after * 2


def updates(read):
    traced = torch.jit.trace(Step(read).eval(), (torch.rand(SHAPE),), check_trace=False)
    before = traced.h.clone()
    traced(torch.ones(SHAPE))
    program = ct.convert(
        traced,
        inputs=[ct.TensorType(name="x", shape=SHAPE)],
        states=[ct.StateType(wrapped_type=ct.TensorType(shape=SHAPE, dtype=np.float16), name="h")],
        minimum_deployment_target=ct.target.iOS18,
        convert_to="milinternal",
    )
    kinds = [operation.op_type for operation in program.functions["main"].operations]
    return not torch.equal(before, traced.h), kinds.count("read_state"), kinds.count("coreml_update_state")


reads = {
    "h": lambda h: h,
    "h.clone()": lambda h: h.clone(),
    "h.view(1, 4)": lambda h: h.view(1, 4),
    "h.float()": lambda h: h.float(),
    "h.contiguous()": lambda h: h.contiguous(),
    "h.to(torch.float32)": lambda h: h.to(torch.float32),
    "h.cpu()": lambda h: h.cpu(),
}
lost = set()
for name, read in reads.items():
    kept, read_state, update = updates(read)
    print(f"{name}: torch writes {kept}, read_state {read_state}, coreml_update_state {update}")
    assert kept and read_state == 1
    if not update:
        lost.add(name)
assert lost == {"h.float()", "h.contiguous()", "h.to(torch.float32)", "h.cpu()"}, lost
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy torch==2.13.0 coremltools==9.0
TQDM_DISABLE=1 env/bin/python states.py
