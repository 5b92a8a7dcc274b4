#!/usr/bin/env bash
# coremltools saves a program without large constants as a package that names an empty folder, and an archive of its files
# is no package any more.
#
# An .mlpackage is a folder with a Manifest.json that lists its items, so a good guess is that packing every file and
# unpacking it elsewhere gives the package back. Where nothing was large enough to be stored apart, the item "weights" is a
# folder with nothing in it: an archive of files has no place for it, and coremltools then refuses the package by an
# identifier that nobody knows. With one empty file in the folder the archive is whole.
#
# Seen: coremltools 9.0, torch 2.13.0 for the CPU, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > package.py <<'PY'
import logging
import shutil
import warnings
import zipfile
from pathlib import Path

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import coremltools as ct
import torch


class Twice(torch.nn.Module):
    def forward(self, x):
        return x + x


def saved(path):
    traced = torch.jit.trace(Twice(), torch.ones(1, 4))
    kinds = {"convert_to": "mlprogram", "skip_model_load": True}
    ct.convert(traced, inputs=[ct.TensorType(name="x", shape=(1, 4))], **kinds).save(str(path))
    return path / "Data" / "com.apple.CoreML" / "weights"


def packed_and_unpacked(path):
    archive = path.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as whole:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                whole.write(file)
    shutil.rmtree(path)
    zipfile.ZipFile(archive).extractall()
    try:
        ct.models.MLModel(str(path), skip_model_load=True)
        return "opens"
    except RuntimeError as error:
        return str(error).split(":")[0]


weights = saved(Path("bare.mlpackage"))
assert weights.is_dir() and not list(weights.iterdir()), "the folder is not empty any more"
bare = packed_and_unpacked(Path("bare.mlpackage"))
(saved(Path("filled.mlpackage")) / "weight.bin").touch()
filled = packed_and_unpacked(Path("filled.mlpackage"))
print(f"with an empty folder: {bare}; with an empty file in it: {filled}")
assert (bare, filled) == ("Item does not exist for identifier", "opens"), "it has changed"
PY

python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy torch==2.13.0 coremltools==9.0
TQDM_DISABLE=1 env/bin/python package.py 2>/dev/null
