#!/usr/bin/env bash
# torch.load takes a checkpoint whose weights were changed on the way, although the file has a check sum of every tensor.
#
# torch.save writes a zip archive, and with every entry its CRC-32. A good guess is that torch.load compares them, as every
# zip reader does: a bit that flipped on a disk or in a download would be an error. It does not; the reader is built
# without that check. One flipped bit makes a weight of 1.0 infinite, and nothing is said. Whoever wants to know reads the
# entries with Python's zipfile, which does compare, or keeps a digest beside the file.
#
# Seen: torch 2.13.0 for the CPU, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > flip.py <<'PY'
import sys
import zipfile

import torch

weights = torch.arange(64.0)
torch.save({"weight": weights}, "model.pt")
raw = bytearray(open("model.pt", "rb").read())
place = raw.index(weights.numpy().tobytes())
raw[place + 7] ^= 0x40  # of the second weight, 1.0
open("model.pt", "wb").write(raw)

loaded = torch.load("model.pt", weights_only=True)["weight"]
named = zipfile.ZipFile("model.pt").testzip()
print("torch.load gives:", loaded[:3].tolist(), "where 0, 1, 2 were saved")
print("zipfile says that this entry is damaged:", named)
sys.exit(0 if loaded[1].isinf() and named else 1)
PY

python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy torch==2.13.0
env/bin/python flip.py
