"""The Python example as a library: ``begin`` and ``step`` of any network, by the names of its
contract.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import frame_bundle
import numpy as np
import pytest
import safetensors.numpy

EXAMPLE = Path(__file__).resolve().parents[2] / "runtime_examples" / "python"
# Begins, feeds the recorded inputs, and prints the first state and every step's outputs and state.
DRIVE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from model import load
from tensors import read_tensors
folder = Path(sys.argv[2])
model = load(folder)
recorded = read_tensors((folder / "golden.safetensors").read_bytes(), "golden")
inputs = {t["name"]: recorded[t["name"]] for t in model.encoder.inputs} if model.encoder else None
contexts, state = model.begin(inputs)
plain = lambda arrays: {name: array.tolist() for name, array in arrays.items()}
told = [plain({**contexts, **state})]
for at in range(4):
    fresh = {name: recorded[name][at] for name in model.names("input")}
    outputs, state = model.step({**fresh, **contexts}, state)
    told.append([plain(outputs), plain(state)])
attention = model.attention and model.attention["name"]
print(json.dumps([told, [model.ids, model.scores, attention, model.tokenizer]]))
"""


def drive(folder: Path, source: str = DRIVE) -> Any:
    """Run a script that imports the example; return the JSON that it prints."""
    command = [sys.executable, "-c", source, str(EXAMPLE), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("encode", [False, True])
def test_any_network_begins_and_steps(tmp_path: Path, encode: bool) -> None:
    folder = frame_bundle.write_frame_bundle(tmp_path, encode=encode)
    golden = safetensors.numpy.load_file(folder / "golden.safetensors")
    first = safetensors.numpy.load_file(folder / frame_bundle.FIRST_STATE) if not encode else {}
    contexts = {}
    if encode:
        contexts, first["h"] = frame_bundle.run_encode(golden["source"])
    state = {
        **first,
        "memory": np.zeros((1, 4, 2), np.float32),
        "count": np.zeros(1, np.int32),
    }
    (begun, *steps), found = drive(folder)
    assert found == [None, None, "weights" if encode else None, None]
    for name, array in {**contexts, **state}.items():
        np.testing.assert_allclose(begun[name], array, atol=1e-6)
    for at, (outputs, after) in enumerate(steps):
        fresh = {name: golden[name][at] for name in ("frame", "gate", "offset", "shift")}
        wanted, state = frame_bundle.run_step({**fresh, **contexts}, state)
        assert outputs.keys() == wanted.keys()
        for name, array in {**wanted, **state}.items():
            np.testing.assert_allclose({**outputs, **after}[name], array, atol=1e-5)


def test_ids_and_scores_are_found_without_their_names(bundle_folder: Path) -> None:
    script = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from contract import attention_of, ids_of, scores_of
contract = json.loads((Path(sys.argv[2]) / "manifest.json").read_text("utf-8"))["contract"]
for graph in contract["graphs"]:
    for tensor in (*graph["inputs"], *graph["outputs"]):
        tensor.setdefault("below", None)
        tensor["name"] = tensor["name"][::-1]
found = [ids_of(contract), scores_of(contract), attention_of(contract)]
print(json.dumps([each and each["name"] for each in found]))
"""
    assert drive(bundle_folder, script) == ["snekot", "stigol", None]


def test_an_id_that_is_none_is_refused(bundle_folder: Path) -> None:
    script = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy
from errors import BundleError
from model import load
model, said = load(Path(sys.argv[2])), []
contexts, state = model.begin()
for wrong in (-1, 10_000):
    try:
        model.step({model.ids["name"]: numpy.array([[wrong]])}, state)
    except BundleError as error:
        said.append(str(error))
print(json.dumps(said))
"""
    low, high = drive(bundle_folder, script)
    assert "an id of tokens is -1 or -1, expected 0 to" in low
    assert "an id of tokens is 10000 or 10000, expected 0 to" in high
