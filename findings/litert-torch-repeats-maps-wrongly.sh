#!/usr/bin/env bash
# litert-torch converts a map that is repeated over the rows of a batch to other numbers, beside convolutions.
#
# A captioner or an answerer puts the same maps (where a pixel is) beside what a convolution made of each picture:
# cat([features, maps.repeat(B, 1, 1, 1)]). The converter turns the axes of what convolutions read, [B, C, H, W] to
# [B, H, W, C]. A good guess is that it either turns a repeated constant as well or refuses it. With 8 rows the file
# converts, runs, has the right shape, and gives other numbers, off by over 0.5 where the outputs are of the size 1;
# with 1 row it is exact, and so it is with 8 where the copies are joined by torch.cat. So compare at the number of rows
# that is shipped.
#
# Seen: litert-torch 0.10.0, ai-edge-litert 2.3.0, torch 2.13.0 (CPU), Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > repeated.py <<'PY'
import litert_torch
import torch


class Placed(torch.nn.Module):
    def __init__(self, joined):
        super().__init__()
        self.joined = joined
        self.register_buffer("maps", torch.randn(1, 2, 8, 8))
        self.before = torch.nn.Conv2d(3, 6, 3, padding=1)
        self.after = torch.nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        rows = x.shape[0]
        maps = torch.cat([self.maps] * rows) if self.joined else self.maps.repeat(rows, 1, 1, 1)
        return self.after(torch.cat((self.before(x), maps), 1))


def worst(rows, joined):
    torch.manual_seed(0)
    network, x = Placed(joined).eval(), torch.randn(rows, 3, 8, 8)
    with torch.no_grad():
        expected = network(x)
    made = torch.from_numpy(litert_torch.convert(network, (x,))(x))
    assert made.shape == expected.shape
    return float((made - expected).abs().max())


found = {(rows, joined): worst(rows, joined) for rows, joined in ((1, False), (8, False), (8, True))}
for (rows, joined), off in found.items():
    print(f"{rows} rows, {'cat' if joined else 'repeat'}: off by {off:.1e}")
assert found[1, False] < 1e-5
assert found[8, False] > 0.5
assert found[8, True] < 1e-5
PY
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 litert-torch==0.10.0 \
    ai-edge-litert==2.3.0
env/bin/python repeated.py
