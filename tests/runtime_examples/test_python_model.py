"""The Python example as a library: what it finds in a contract, and what it refuses to feed."""

from __future__ import annotations

import json
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
