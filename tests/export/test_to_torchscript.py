"""The TorchScript file: torch alone loads and runs it, at any batch and time."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgernn.contract import METADATA_KEY, Decoding, FileContract
from edgernn.export.to_torchscript import TorchScriptExporter
from edgernn.models.cells.table import FUSED
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.rollout import Plan, compare
from edgernn.sessions.opening import open_session

MakeModel = Callable[..., LanguageModel]
# What a host without edgernn writes; the paths of the files are its arguments.
HOST = """
import sys, json, warnings
warnings.simplefilter("ignore")
import torch
for path in sys.argv[1:]:
    extra = {"edgernn": ""}
    module = torch.jit.load(path, _extra_files=extra)
    contract = json.loads(extra["edgernn"])["contract"]
    step, sizes = contract["graphs"][0], contract["sizes"]
    names = [argument.name for argument in module.forward.schema.arguments]
    names.remove("self")
    assert names == [tensor["name"] for tensor in step["inputs"]], names
    for batch, time in [(1, 1), (3, 7), (2, 64), (1, 2)]:
        known = {**sizes, "batch": batch, "time": time}
        feeds = []
        for tensor in step["inputs"]:
            shape = [known[axis] for axis in tensor["axes"]]
            feeds.append(torch.ones(shape, dtype=getattr(torch, tensor["dtype"])))
        with torch.no_grad():
            results = module(*feeds)
        wanted = [[known[axis] for axis in tensor["axes"]] for tensor in step["outputs"]]
        assert [list(result.shape) for result in results] == wanted, (batch, time)
assert not [name for name in sys.modules if name.split(".")[0] == "edgernn"]
print("ran", len(sys.argv) - 1)
"""


def export(model: LanguageModel, path: Path) -> Path:
    TorchScriptExporter().export(model, path, precision="float32", decoding=Decoding(start=(5,)))
    return path


@pytest.fixture(scope="module")
def files(make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("torchscript")
    return {cell: export(make_model(cell=cell), folder / f"{cell}.pt") for cell in FUSED}


def load(path: Path) -> tuple[torch.jit.ScriptModule, dict[str, str]]:
    extra = {METADATA_KEY: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(path), _extra_files=extra), extra


def test_torch_alone_runs_it_at_any_size(files: dict[str, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOST, *map(str, files.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ran", "4"]


@pytest.mark.parametrize("cell", FUSED)
def test_the_arguments_have_the_names_of_the_contract(files: dict[str, Path], cell: str) -> None:
    module, extra = load(files[cell])
    own = FileContract.model_validate_json(extra[METADATA_KEY])
    names = [argument.name for argument in module.forward.schema.arguments]
    assert names == ["self", *(tensor.name for tensor in own.spec.inputs)]


def test_the_extra_file_is_the_contract(make_model: MakeModel, files: dict[str, Path]) -> None:
    _, extra = load(files["lstm"])
    expected = FileContract(contract=make_model().config.contract(), decoding=Decoding(start=(5,)))
    assert json.loads(extra[METADATA_KEY]) == json.loads(expected.model_dump_json())


@pytest.mark.parametrize("cell", FUSED)
def test_it_keeps_the_fused_layer(files: dict[str, Path], cell: str) -> None:
    module, _ = load(files[cell])
    kinds = [node.kind() for node in module.inlined_graph.nodes()]
    fused = {
        "lstm": "aten::lstm",
        "gru": "aten::gru",
        "rnn": "aten::rnn_tanh",
        "rnn_relu": "aten::rnn_relu",
    }[cell]
    assert kinds.count(fused) == 1


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", FUSED)
def test_parity_over_a_chained_run(
    make_model: MakeModel, tmp_path: Path, cell: str, layers: int
) -> None:
    model = make_model(cell=cell, layers=layers, tied=True, embedding=8)
    reference, candidate = EagerSession(model), open_session(export(model, tmp_path / "step.pt"))
    for plan in (Plan(1, (1,) * 16), Plan(3, (7, 1, 16))):
        assert compare(reference, candidate, plan, seed=4).worst.scaled <= 1e-6


def test_it_runs_on_the_cpu_and_needs_no_gradients(files: dict[str, Path]) -> None:
    module, _ = load(files["gru"])
    assert {parameter.device.type for parameter in module.parameters()} == {"cpu"}
    assert not any(parameter.requires_grad for parameter in module.parameters())
