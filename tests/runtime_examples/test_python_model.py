"""The Python example as a library: what it finds in a contract, and what it refuses to feed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[2] / "runtime_examples" / "python"


def drive(folder: Path, source: str) -> Any:
    """Run a script that imports the example; return the JSON that it prints."""
    command = [sys.executable, "-c", source, str(EXAMPLE), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


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


def test_what_no_step_takes_is_refused(bundle_folder: Path) -> None:
    script = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy
from errors import BundleError
from model import load
model, said = load(sys.argv[2]), []
contexts, state = model.begin()
ids = {model.ids["name"]: numpy.array([[0]])}
wrong = [{"tokens": numpy.array(each)} for each in ([[-1]], [[10_000]], [[0.5]], [[0], [0]])]
for inputs, before in (*((each, state) for each in wrong), ({}, state), (ids, {**state, "h": [0]})):
    try:
        model.step(inputs, before)
    except BundleError as error:
        said.append(str(error))
print(json.dumps(said))
"""
    low, high, parts, rows, none, kind = drive(bundle_folder, script)
    assert "an id of tokens is -1, expected 0 to" in low
    assert "an id of tokens is 10000, expected 0 to" in high
    assert "the ids of tokens are float64, expected whole numbers" in parts
    assert re.match(r"h is \[\d, 1, \d+\], expected \[\d, 2, \d+\]; give what", rows)
    assert none == "tokens is missing; give every input, context and state"
    assert kind == "h is a list, expected an array of numpy; give one"
