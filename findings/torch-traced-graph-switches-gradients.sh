#!/usr/bin/env bash
# A graph that torch's make_fx traced before dispatch switches gradients off for the whole process that runs it.
#
# Tracing with pre_dispatch=True keeps torch.no_grad() of the traced code as two nodes that set the switch: off, and back to
# what it was. A good guess is that running the graph ends with gradients as they were. "What it was" is the value of the time
# of tracing: traced under torch.no_grad(), as one traces for inference, the second node says off as well, and whoever
# trains in the same process later is told that no tensor requires a gradient.
#
# Seen: torch 2.13.0 for the CPU, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > switch.py <<'PY'
import torch
from torch.fx.experimental.proxy_tensor import make_fx


def twice(x):
    with torch.no_grad():
        return x * 2


def after_running(traced):
    torch.set_grad_enabled(True)
    traced(torch.ones(2))
    return torch.is_grad_enabled()


plain = make_fx(twice, pre_dispatch=True)(torch.ones(2))
with torch.no_grad():
    quiet = make_fx(twice, pre_dispatch=True)(torch.ones(2))
found = after_running(plain), after_running(quiet)
print(f"gradients after the graph has run: traced with gradients on {found[0]}, under no_grad {found[1]}")
assert found == (True, False), "it has changed"
PY

python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy torch==2.13.0
env/bin/python switch.py
