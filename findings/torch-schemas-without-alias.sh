#!/usr/bin/env bash
# torch's schemas say that dropout and type_as give new memory; switched off, or of the same type, they give back their input.
#
# Who reads a TorchScript graph and wants to know whether an operator writes into a weight or an input follows the alias
# annotations, `Tensor(a) -> Tensor(a)`, back to where memory comes from. A good guess is that no annotation means fresh
# memory. aten::dropout, aten::feature_dropout and aten::type_as are composed of others, and bear none, though in inference
# their result is the very tensor that went in: an in-place operator after them writes into it. So "fresh" can only be a list
# of operators that are known to allocate.
#
# Seen: torch 2.13.0 for the CPU, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > alias.py <<'PY'
import torch

x = torch.ones(3)
given = {
    "aten::dropout": torch.dropout(x, 0.5, False),
    "aten::feature_dropout": torch.feature_dropout(x, 0.5, False),
    "aten::type_as": x.type_as(x),
    "aten::contiguous": x.contiguous(),  # one that says so
}
found = {}
for name, result in given.items():
    (schema,) = torch._C._jit_get_schemas_for_operator(name)
    found[name] = (schema.returns[0].alias_info is not None, result.data_ptr() == x.data_ptr())
    print(f"{schema}: annotated {found[name][0]}, the same memory {found[name][1]}")
assert found == {name: (name == "aten::contiguous", True) for name in given}
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy torch==2.13.0
env/bin/python alias.py
