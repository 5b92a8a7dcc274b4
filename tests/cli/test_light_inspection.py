"""``inspect`` of a checkpoint of another program loads neither torch nor any other framework,
whichever its container.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
import t7_writer
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgernn.containers.table import CONTAINERS

KERAS = Path(__file__).parent.parent / "fixtures" / "keras"
WEIGHTS = {"rnn.weight_ih_l0": np.ones((24, 5), np.float32)}
# Inspects each file in turn; prints its exit code and which frameworks are loaded by then.
SCRIPT = """
import contextlib, io, json, sys
from edgernn.cli.app import _outcome
heavy, found = {"torch", "tensorflow", "keras", "coremltools", "matplotlib"}, {}
for name in sys.argv[1:]:
    sys.argv[1:] = ["inspect", name]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = _outcome()
    found[name] = [code, sorted(heavy & sys.modules.keys())]
print(json.dumps(found))
"""


def _torchscript(path: Path) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))


def _legacy(path: Path) -> None:
    torch.save(nn.LSTM(5, 6), path, _use_new_zipfile_serialization=False)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())


def _baselines(path: Path) -> None:
    policy = io.BytesIO()
    layers = {"lstm_actor": nn.LSTM(5, 6), "action_net": nn.Linear(6, 2)}
    torch.save(nn.ModuleDict(layers).state_dict(), policy)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", "{}")
        archive.writestr("policy.pth", policy.getvalue())


def _torch7(path: Path) -> None:
    weight = t7_writer.tensor(np.ones((2, 3)), "Float")
    path.write_bytes(t7_writer.t7({"weight": weight}))


def _onnx(path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    weight = numpy_helper.from_array(np.ones(2, np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "weight"], ["y"])], "g", [x], [y], [weight]
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[opset]), path)


MAKERS: dict[str, Callable[[Path], object]] = {
    "torchscript": _torchscript,
    "torch-zip": lambda path: torch.save(nn.LSTM(5, 6), path),
    "torch-legacy": _legacy,
    "torch-tar": _tar,
    "pickle": lambda path: path.write_bytes(pickle.dumps({"words": [1, 2]})),
    "keras": lambda path: shutil.copy(next(KERAS.glob("*.keras")), path),
    "stable-baselines3": _baselines,
    "npz": lambda path: np.savez(path.open("wb"), **WEIGHTS),
    "npy": lambda path: np.save(path.open("wb"), np.ones(3)),
    "hdf5": lambda path: shutil.copy(next(KERAS.glob("*.h5")), path),
    "torch7": _torch7,
    "safetensors": lambda path: path.write_bytes(safetensors.numpy.save(WEIGHTS)),
    "json": lambda path: path.write_text('{"architecture": "LSTM", "weights": [1.0]}'),
    "onnx": _onnx,
}


@pytest.mark.filterwarnings("ignore")  # torch's, of its own formats
def test_no_container_loads_a_framework(tmp_path: Path) -> None:
    assert MAKERS.keys() == {row.word for row in CONTAINERS}
    for word, make in MAKERS.items():
        make(tmp_path / f"net.{word}")
    command = [sys.executable, "-c", SCRIPT, *(f"net.{word}" for word in MAKERS)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert {name: loaded for name, (_, loaded) in found.items() if loaded} == {}
    refused = {name for name, (code, _) in found.items() if code}
    assert refused == {"net.torch-tar"}
