#!/usr/bin/env bash
# safetensors writes the keys of __metadata__ in a new order at every call: the same content, other bytes.
#
# The format fixes the order of the tensors, and files without metadata, or with one key, are the same at every save. So a
# good guess is that a file can be told by its SHA-256, as release bundles, caches and reproducible builds do. With two keys
# or more it cannot: the library keeps them in a map whose order is drawn anew, even within one process. Who needs the same
# bytes puts all of it under one key, as JSON, or writes the header.
#
# Seen: safetensors 0.8.0, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > order.py <<'PY'
import numpy as np
from safetensors.numpy import save

tensors = {"weight": np.arange(3.0), "bias": np.zeros(2)}
for keys in (1, 6):
    written = {save(tensors, {f"key{n}": "same" for n in range(keys)}) for _ in range(50)}
    print(f"{keys} keys of metadata: {len(written)} different files in 50 saves")
    assert (len(written) == 1) == (keys == 1)
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 safetensors==0.8.0
env/bin/python order.py
