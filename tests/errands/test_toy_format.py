"""The errand of whoever adds a format: one row file, one exporter, one session and the row in the
table, written into a copy of the project, and every command takes the new format.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
ROW = '''
"""Toy: the weights of a language model of LSTMs in an npz, run by numpy."""

from edgernn.formats.promise import in_float32
from edgernn.formats.row import Format

TOY = Format(
    name="toy",
    family="toy",
    title="numpy",
    mark="",
    suffix=".toy",
    promises={"float32": in_float32("the same float32 sums in another order, in numpy")},
    exporter="edgernn.export.to_toy:ToyExporter",
    session="edgernn.sessions.toy:ToySession",
    export_extra="toy",
    run_extra="toy",
    packages=("toy-runtime",),
    by_default=False,
    kinds=("npz",),
)
ROWS = (TOY,)
'''
EXPORTER = """
import numpy as np

from edgernn.export.base import Exporter


class ToyExporter(Exporter):
    format_name = "toy"

    def target(self, precision):
        return "numpy"

    def versions(self):
        return f"numpy {np.__version__}"

    def _write(self, model, path, *, file_contract, precision):
        arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
        metadata = file_contract.to_metadata()
        said = {f"said {name}": np.array(text) for name, text in metadata.items()}
        with path.open("wb") as file:
            np.savez(file, **arrays, **said)
        return ()
"""
SESSION = """
import zipfile

import numpy as np

from edgernn.contract import FileContract
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.sessions.base import Session


def read(path):
    try:
        with np.load(path) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ContractError(f"{path} is damaged or no toy file: {error}") from error


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class ToySession(Session):
    runtime = "numpy"

    def __init__(self, weights, file_contract, first_state=None):
        super().__init__(file_contract, first_state)
        self.weights = weights

    @classmethod
    def describe(cls, path):
        found = read(path)
        said = {name[5:]: str(found[name]) for name in found if name.startswith("said ")}
        own = FileContract.from_metadata(said, source=str(path))
        return FileDescription(own.interface(), said, "numpy")

    @classmethod
    def open(cls, path, file_contract, first_state=None, *, threads=None):
        return cls(read(path), file_contract, first_state)

    def _run(self, feeds):
        w, h, c = self.weights, feeds["h"].copy(), feeds["c"].copy()
        x = w["embedding.weight"][feeds["tokens"]]  # [B, T, E]
        for layer in range(len(h)):
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ih, hh, b, d = (w[f"recurrent.fused.{name}_l{layer}"] for name in names)
            made = []
            for t in range(x.shape[1]):
                i, f, g, o = np.split(x[:, t] @ ih.T + b + h[layer] @ hh.T + d, 4, axis=1)
                c[layer] = sigmoid(f) * c[layer] + sigmoid(i) * np.tanh(g)  # [B, H]
                h[layer] = sigmoid(o) * np.tanh(c[layer])
                made.append(h[layer].copy())
            x = np.stack(made, axis=1)  # [B, T, H]
        return {"logits": x @ w["head.weight"].T + w["head.bias"], "h_next": h, "c_next": c}
"""

Edgernn = Callable[..., str]


@pytest.fixture(scope="module")
def edgernn(tmp_path_factory: pytest.TempPathFactory) -> Edgernn:
    """The command line of a copy of the project with the toy format in it."""
    copied = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "edgernn", copied / "edgernn", ignore=shutil.ignore_patterns("__pyc*"))
    shutil.copytree(ROOT / "export", copied / "edgernn" / "export", dirs_exist_ok=True)
    for place, text in (
        ("formats/toy.py", ROW),
        ("export/to_toy.py", EXPORTER),
        ("sessions/toy.py", SESSION),
    ):
        (copied / "edgernn" / place).write_text(text, encoding="utf-8")
    table = copied / "edgernn" / "formats" / "table.py"
    before = table.read_text(encoding="utf-8")
    own = "from edgernn.formats.installed"
    after = before.replace(f"\n{own}", f"\nfrom edgernn.formats import toy\n{own}", 1)
    after = after.replace("\nFORMATS = {", "\n_ROWS = (*_ROWS, *toy.ROWS)\nFORMATS = {")
    assert after.count("toy") == before.count("toy") + 2
    table.write_text(after, encoding="utf-8")

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "edgernn", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=copied,
            env={**os.environ, "PYTHONPATH": str(copied)},
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="module")
def toy_bundle(
    edgernn: Edgernn, checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny LSTM as ``edgernn export --to toy`` packs it."""
    out = tmp_path_factory.mktemp("toy") / "bundle"
    edgernn("export", checkpoint_folder, "--out", out, "--to", "toy")
    return out


def test_it_is_exported_with_what_it_promises(toy_bundle: Path) -> None:
    manifest = json.loads((toy_bundle / "manifest.json").read_text(encoding="utf-8"))
    (artifact,) = manifest["artifacts"]
    assert artifact["path"] == "toy/step.toy"
    assert artifact["parity"]["worst"] < artifact["tolerance"] == 1e-4


def test_every_check_is_made_of_it(edgernn: Edgernn, toy_bundle: Path) -> None:
    report = json.loads(edgernn("verify", toy_bundle, "--steps", "32", "--json", "-"))
    (artifact,) = report["artifacts"]
    status = {check["name"]: check["status"] for check in artifact["checks"]}
    assert status.pop("structure") == "not run"  # it has no reader of its structure
    assert set(status.values()) == {"passed"}
    assert artifact["runtime"] == "numpy"


def test_every_command_takes_it(edgernn: Edgernn, toy_bundle: Path) -> None:
    bench = json.loads(edgernn("bench", toy_bundle, "--steps", "10", "--json", "-"))
    assert [row["format"] for row in bench["artifacts"]] == ["toy"]
    assert "toy/step.toy" in edgernn("inspect", toy_bundle)
    assert "tokens" in edgernn("inspect", toy_bundle / "toy" / "step.toy")
    assert edgernn("generate", toy_bundle, "--prompt", "the", "--length", "8", "--seed", "1")
    card = edgernn("card", toy_bundle)
    assert "- toy\n" in card
    assert "toy/step.toy" in card


def test_doctor_names_it_and_its_package(edgernn: Edgernn) -> None:
    found = json.loads(edgernn("doctor", "--json"))
    assert found["formats"]["toy"] == {"export": "yes", "run": "yes"}
    assert found["packages"]["toy-runtime"] is None


def test_it_is_written_only_where_it_is_asked_for(
    edgernn: Edgernn, checkpoint_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("coremltools")
    edgernn("export", checkpoint_folder, "--out", tmp_path / "bundle")
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    assert "toy" not in {artifact["format"] for artifact in manifest["artifacts"]}
